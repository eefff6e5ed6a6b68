//! The way of a group norm through burn's dispatch, and its place in the graph of gradients.

use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use crate::backward::register;

/// What a backend has to offer for the fast path.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait GroupNormOps: Backend {
    /// See [`group_norm`](super::group_norm).
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn group_norm(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
    ) -> FloatTensor<Self>;
}

/// The other half, for a backend without autodiff.
pub(crate) trait GroupNormGradient: GroupNormOps {
    /// As [`GroupNormOps::group_norm`], with what the backward pass needs.
    fn group_norm_with_statistics(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
    ) -> (FloatTensor<Self>, Statistics);

    /// The gradients of input, gamma and beta from that of the output.
    fn group_norm_gradients(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        statistics: &Statistics,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3];
}

/// The mean of each group in each element of the batch, and the reciprocal of its deviation.
pub(crate) type Statistics = Arc<[[f32; 2]]>;

#[derive(Debug)]
struct GroupNormBackward;

#[derive(Debug, Clone)]
struct State<B: Backend> {
    input: NodeId,
    gamma: FloatTensor<B>,
    statistics: Statistics,
}

impl<B: Backend + GroupNormGradient> Backward<B, 3> for GroupNormBackward {
    type State = State<B>;

    fn backward(self, ops: Ops<State<B>, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let State { input, gamma, statistics } = ops.state;
        let input = checkpointer.retrieve_node_output(input);
        let gradient = gradients.consume::<B>(&ops.node);
        let parts = B::group_norm_gradients(input, gamma, &statistics, gradient);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, _>(gradients, parents, parts);
    }
}

impl<B: Backend + GroupNormGradient, C: CheckpointStrategy> GroupNormOps for Autodiff<B, C> {
    fn group_norm(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let parents = [input.node(), gamma.node(), beta.node()];
        match Backward::<B, 3>::prepare::<C>(GroupNormBackward, parents).compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => {
                let [input, gamma, beta] = [input, gamma, beta].map(|x| x.into_primitive());
                prepared.finish(B::group_norm(input, gamma, beta, groups, epsilon))
            }
            OpsKind::Tracked(mut prepared) => {
                let node = prepared.checkpoint(&input);
                let [input, gamma, beta] = [input, gamma, beta].map(|x| x.into_primitive());
                let (output, statistics) =
                    B::group_norm_with_statistics(input, gamma.clone(), beta, groups, epsilon);
                prepared.finish(State { input: node, gamma, statistics }, output)
            }
        }
    }
}
