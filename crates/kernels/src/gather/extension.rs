//! The way of rows through burn's dispatch, and their place in the graph of gradients.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, backend_extension};

/// What a backend has to offer for the fast path.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait GatherOps: Backend {
    /// See [`gather_rows`](super::gather_rows); the table has `count` rows.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn gather_rows(table: FloatTensor<Self>, indices: IntTensor<Self>, count: usize) -> FloatTensor<Self>;

    /// See [`segment_sum`](super::segment_sum).
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn sum_rows(values: FloatTensor<Self>, segments: IntTensor<Self>, count: usize) -> FloatTensor<Self>;
}

#[derive(Debug)]
struct GatherBackward;

impl<B: Backend + GatherOps> Backward<B, 1> for GatherBackward {
    type State = (IntTensor<B>, usize);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (indices, count) = ops.state;
        unary::<B, _>(ops.parents, ops.node, gradients, |gradient| B::sum_rows(gradient, indices, count));
    }
}

#[derive(Debug)]
struct SumBackward;

impl<B: Backend + GatherOps> Backward<B, 1> for SumBackward {
    type State = (IntTensor<B>, usize);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (segments, count) = ops.state;
        unary::<B, _>(ops.parents, ops.node, gradients, |gradient| B::gather_rows(gradient, segments, count));
    }
}

impl<B: Backend + GatherOps, C: CheckpointStrategy> GatherOps for Autodiff<B, C> {
    fn gather_rows(table: FloatTensor<Self>, indices: IntTensor<Self>, count: usize) -> FloatTensor<Self> {
        let prepared = Backward::<B, 1>::prepare::<C>(GatherBackward, [table.node()]);
        let output = B::gather_rows(table.into_primitive(), indices.clone(), count);
        match prepared.compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(output),
            OpsKind::Tracked(prepared) => prepared.finish((indices, count), output),
        }
    }

    fn sum_rows(values: FloatTensor<Self>, segments: IntTensor<Self>, count: usize) -> FloatTensor<Self> {
        let prepared = Backward::<B, 1>::prepare::<C>(SumBackward, [values.node()]);
        let output = B::sum_rows(values.into_primitive(), segments.clone(), count);
        match prepared.compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(output),
            OpsKind::Tracked(prepared) => prepared.finish((segments, count), output),
        }
    }
}
