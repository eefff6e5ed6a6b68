//! The way of dropout through burn's dispatch, and its place in the graph of gradients.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

/// What a backend has to offer for the fast path.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait DropoutOps: Backend {
    /// See [`dropout`](super::dropout).
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn drop_elements(input: FloatTensor<Self>, probability: f64, seed: u64) -> FloatTensor<Self>;
}

/// The other half, for a backend without autodiff.
pub(crate) trait DropoutGradient: DropoutOps {
    /// As [`DropoutOps::drop_elements`], with what was kept.
    fn drop_elements_with_mask(
        input: FloatTensor<Self>,
        probability: f64,
        seed: u64,
    ) -> (FloatTensor<Self>, Mask);

    /// The gradient of the input from that of the output.
    fn dropout_gradient(gradient: FloatTensor<Self>, probability: f64, mask: &Mask) -> FloatTensor<Self>;
}

/// A bit for each element, 1 where it is kept: bit `step` of word `lane` of a block belongs to the block's element
/// `16 step + lane`.
pub(crate) type Mask = Arc<Vec<[u32; 16]>>;

#[derive(Debug)]
struct DropoutBackward;

impl<B: Backend + DropoutGradient> Backward<B, 1> for DropoutBackward {
    type State = (f64, Mask);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (probability, mask) = ops.state;
        unary::<B, _>(ops.parents, ops.node, gradients, |gradient| {
            B::dropout_gradient(gradient, probability, &mask)
        });
    }
}

impl<B: Backend + DropoutGradient, C: CheckpointStrategy> DropoutOps for Autodiff<B, C> {
    fn drop_elements(input: FloatTensor<Self>, probability: f64, seed: u64) -> FloatTensor<Self> {
        let prepared = Backward::<B, 1>::prepare::<C>(DropoutBackward, [input.node()]);
        let (output, mask) = B::drop_elements_with_mask(input.into_primitive(), probability, seed);
        match prepared.compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(output),
            OpsKind::Tracked(prepared) => prepared.finish((probability, mask), output),
        }
    }
}
