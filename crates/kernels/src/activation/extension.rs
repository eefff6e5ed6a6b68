//! The way of an activation through burn's dispatch, and its place in the graph of gradients.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use super::Function;

/// What a backend has to offer for the fast path.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait ActivationOps: Backend {
    /// `function` of each element.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn activation(input: FloatTensor<Self>, function: Function) -> FloatTensor<Self>;
}

/// The other half, for a backend without autodiff.
pub(crate) trait ActivationGradient: ActivationOps {
    /// The gradient of the input, from that of the output and from what the forward pass [kept](Kept).
    fn activation_gradient(
        kept: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        function: Function,
    ) -> FloatTensor<Self>;
}

/// What the backward pass of a function needs. Keeping the output computes less; the input is often kept by the
/// operation before anyway.
#[derive(Debug, Clone)]
enum Kept<B: Backend> {
    Input(NodeId),
    Output(FloatTensor<B>),
}

#[derive(Debug)]
struct ActivationBackward;

impl<B: Backend + ActivationGradient> Backward<B, 1> for ActivationBackward {
    type State = (Function, Kept<B>);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let (function, kept) = ops.state;
        let kept = match kept {
            Kept::Input(node) => checkpointer.retrieve_node_output(node),
            Kept::Output(output) => output,
        };
        unary::<B, _>(ops.parents, ops.node, gradients, |gradient| {
            B::activation_gradient(kept, gradient, function)
        });
    }
}

impl<B: Backend + ActivationGradient, C: CheckpointStrategy> ActivationOps for Autodiff<B, C> {
    fn activation(input: FloatTensor<Self>, function: Function) -> FloatTensor<Self> {
        let prepared = Backward::<B, 1>::prepare::<C>(ActivationBackward, [input.node()]);
        match prepared.compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(B::activation(input.into_primitive(), function)),
            OpsKind::Tracked(mut prepared) => match function {
                Function::HardSwish
                | Function::Gelu
                | Function::GeluTanh
                | Function::QuickGelu
                | Function::Silu => {
                    let node = prepared.checkpoint(&input);
                    let output = B::activation(input.into_primitive(), function);
                    prepared.finish((function, Kept::Input(node)), output)
                }
                Function::Relu
                | Function::LeakyRelu
                | Function::Relu6
                | Function::HardSigmoid
                | Function::Sigmoid
                | Function::Tanh
                | Function::Exp => {
                    let output = B::activation(input.into_primitive(), function);
                    prepared.finish((function, Kept::Output(output.clone())), output)
                }
            },
        }
    }
}
