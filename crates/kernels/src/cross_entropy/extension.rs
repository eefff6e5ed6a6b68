//! The way of a cross entropy through burn's dispatch, and its place in the graph of gradients.

use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, backend_extension};

/// What a backend has to offer for the fast path.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait CrossEntropyOps: Backend {
    /// See [`cross_entropy`](super::cross_entropy).
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn cross_entropy_of_rows(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
        label_smoothing: f64,
    ) -> FloatTensor<Self>;
}

/// The other half, for a backend without autodiff.
pub(crate) trait CrossEntropyGradient: CrossEntropyOps {
    /// As [`CrossEntropyOps::cross_entropy_of_rows`], with what the backward pass needs.
    fn cross_entropy_with_sums(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
        label_smoothing: f64,
    ) -> (FloatTensor<Self>, Sums);

    /// The gradient of the logits from that of the output.
    fn cross_entropy_gradient(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
        label_smoothing: f64,
        sums: &Sums,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// Of each sample, the largest logit `m` and `Σ_k e^(x_k - m)`. Their logarithm in one number would have no digits left of the
/// second where logits are large.
pub(crate) type Sums = Arc<[[f32; 2]]>;

#[derive(Debug)]
struct CrossEntropyBackward;

#[derive(Debug, Clone)]
struct State<B: Backend> {
    logits: NodeId,
    labels: IntTensor<B>,
    label_smoothing: f64,
    sums: Sums,
}

impl<B: Backend + CrossEntropyGradient> Backward<B, 1> for CrossEntropyBackward {
    type State = State<B>;

    fn backward(self, ops: Ops<State<B>, 1>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let State { logits, labels, label_smoothing, sums } = ops.state;
        let logits = checkpointer.retrieve_node_output(logits);
        unary::<B, _>(ops.parents, ops.node, gradients, |gradient| {
            B::cross_entropy_gradient(logits, labels, label_smoothing, &sums, gradient)
        });
    }
}

impl<B: Backend + CrossEntropyGradient, C: CheckpointStrategy> CrossEntropyOps for Autodiff<B, C> {
    fn cross_entropy_of_rows(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
        label_smoothing: f64,
    ) -> FloatTensor<Self> {
        let prepared = Backward::<B, 1>::prepare::<C>(CrossEntropyBackward, [logits.node()]);
        match prepared.compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::cross_entropy_of_rows(logits.into_primitive(), labels, label_smoothing))
            }
            OpsKind::Tracked(mut prepared) => {
                let node = prepared.checkpoint(&logits);
                let (output, sums) =
                    B::cross_entropy_with_sums(logits.into_primitive(), labels.clone(), label_smoothing);
                prepared.finish(State { logits: node, labels, label_smoothing, sums }, output)
            }
        }
    }
}
