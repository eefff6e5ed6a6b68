//! The way of a map through burn's dispatch, and its place in the graph of gradients.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use super::PlaneMap;

/// What a backend has to offer for the fast path. The way back is the transposed map.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait PlaneMapOps: Backend {
    /// See [`map_planes`](super::map_planes).
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn map_planes(input: FloatTensor<Self>, map: Arc<PlaneMap>) -> FloatTensor<Self>;
}

#[derive(Debug)]
struct PlaneMapBackward;

impl<B: PlaneMapOps> Backward<B, 1> for PlaneMapBackward {
    type State = Arc<PlaneMap>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let map = ops.state;
        unary::<B, _>(ops.parents, ops.node, gradients, |gradient| {
            B::map_planes(gradient, Arc::new(map.transposed()))
        });
    }
}

impl<B: PlaneMapOps, C: CheckpointStrategy> PlaneMapOps for Autodiff<B, C> {
    fn map_planes(input: FloatTensor<Self>, map: Arc<PlaneMap>) -> FloatTensor<Self> {
        let prepared = Backward::<B, 1>::prepare::<C>(PlaneMapBackward, [input.node()]);
        match prepared.compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(B::map_planes(input.into_primitive(), map)),
            OpsKind::Tracked(prepared) => {
                let output = B::map_planes(input.into_primitive(), Arc::clone(&map));
                prepared.finish(map, output)
            }
        }
    }
}
