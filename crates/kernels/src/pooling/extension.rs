//! The way of pooling through burn's dispatch, and its place in the graph of gradients.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use crate::convolution::Shape;

/// What a backend has to offer for the fast path. Windows are a depthwise convolution's.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait PoolingOps: Backend {
    /// See [`max_pool2d`](super::max_pool2d).
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn max_pool(input: FloatTensor<Self>, shape: Shape) -> FloatTensor<Self>;
}

/// The other half, for a backend without autodiff.
pub(crate) trait PoolingGradient: PoolingOps {
    /// The gradient of the input.
    fn max_pool_gradient(
        input: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        shape: Shape,
    ) -> FloatTensor<Self>;
}

#[derive(Debug)]
struct MaxPoolBackward;

impl<B: PoolingGradient> Backward<B, 1> for MaxPoolBackward {
    type State = (NodeId, Shape);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let (input, shape) = ops.state;
        let input = checkpointer.retrieve_node_output(input);
        unary::<B, _>(ops.parents, ops.node, gradients, |gradient| {
            B::max_pool_gradient(input, gradient, shape)
        });
    }
}

impl<B: PoolingGradient, C: CheckpointStrategy> PoolingOps for Autodiff<B, C> {
    fn max_pool(input: FloatTensor<Self>, shape: Shape) -> FloatTensor<Self> {
        let prepared = Backward::<B, 1>::prepare::<C>(MaxPoolBackward, [input.node()]);
        match prepared.compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(B::max_pool(input.into_primitive(), shape)),
            OpsKind::Tracked(mut prepared) => {
                let kept = prepared.checkpoint(&input);
                prepared.finish((kept, shape), B::max_pool(input.into_primitive(), shape))
            }
        }
    }
}
