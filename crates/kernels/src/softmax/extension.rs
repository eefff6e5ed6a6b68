//! The way of a softmax through burn's dispatch, and its place in the graph of gradients.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use super::Function;

/// What a backend has to offer for the fast path.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait SoftmaxOps: Backend {
    /// `function` of each vector along the last dimension.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn softmax_rows(input: FloatTensor<Self>, function: Function) -> FloatTensor<Self>;
}

/// The other half, for a backend without autodiff.
pub(crate) trait SoftmaxGradient: SoftmaxOps {
    /// The gradient of the input, from that of the output and from the output itself.
    fn softmax_rows_gradient(
        output: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        function: Function,
    ) -> FloatTensor<Self>;
}

#[derive(Debug)]
struct SoftmaxBackward;

impl<B: Backend + SoftmaxGradient> Backward<B, 1> for SoftmaxBackward {
    type State = (Function, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (function, output) = ops.state;
        unary::<B, _>(ops.parents, ops.node, gradients, |gradient| {
            B::softmax_rows_gradient(output, gradient, function)
        });
    }
}

impl<B: Backend + SoftmaxGradient, C: CheckpointStrategy> SoftmaxOps for Autodiff<B, C> {
    fn softmax_rows(input: FloatTensor<Self>, function: Function) -> FloatTensor<Self> {
        let prepared = Backward::<B, 1>::prepare::<C>(SoftmaxBackward, [input.node()]);
        let output = B::softmax_rows(input.into_primitive(), function);
        match prepared.compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(output),
            OpsKind::Tracked(prepared) => prepared.finish((function, output.clone()), output),
        }
    }
}
