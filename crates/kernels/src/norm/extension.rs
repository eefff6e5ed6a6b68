//! The way of a normalisation through burn's dispatch, and its place in the graph of gradients.

use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use super::Centre;
use crate::backward::register;

/// What a backend has to offer for the fast path.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait NormOps: Backend {
    /// Vectors along the last dimension, normalised, scaled and shifted.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn norm(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        centre: Centre,
    ) -> FloatTensor<Self>;
}

/// The other half, for a backend without autodiff.
pub(crate) trait NormGradient: NormOps {
    /// As [`NormOps::norm`], with what the backward pass needs.
    fn norm_with_statistics(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        centre: Centre,
    ) -> (FloatTensor<Self>, Statistics);

    /// The gradients of input, gamma and beta from that of the output.
    fn norm_gradients(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        statistics: &Statistics,
        gradient: FloatTensor<Self>,
        centre: Centre,
    ) -> [FloatTensor<Self>; 3];
}

/// The centre of each vector and the reciprocal of its deviation.
pub(crate) type Statistics = Arc<[[f32; 2]]>;

#[derive(Debug)]
struct NormBackward;

#[derive(Debug, Clone)]
struct State<B: Backend> {
    input: NodeId,
    gamma: FloatTensor<B>,
    statistics: Statistics,
    centre: Centre,
}

impl<B: Backend + NormGradient> Backward<B, 3> for NormBackward {
    type State = State<B>;

    fn backward(self, ops: Ops<State<B>, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let State { input, gamma, statistics, centre } = ops.state;
        let input = checkpointer.retrieve_node_output(input);
        let gradient = gradients.consume::<B>(&ops.node);
        let parts = B::norm_gradients(input, gamma, &statistics, gradient, centre);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, _>(gradients, parents, parts);
    }
}

impl<B: Backend + NormGradient, C: CheckpointStrategy> NormOps for Autodiff<B, C> {
    fn norm(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        centre: Centre,
    ) -> FloatTensor<Self> {
        let parents = [input.node(), gamma.node(), beta.node()];
        match Backward::<B, 3>::prepare::<C>(NormBackward, parents).compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => {
                let [input, gamma, beta] = [input, gamma, beta].map(|x| x.into_primitive());
                prepared.finish(B::norm(input, gamma, beta, epsilon, centre))
            }
            OpsKind::Tracked(mut prepared) => {
                let node = prepared.checkpoint(&input);
                let [input, gamma, beta] = [input, gamma, beta].map(|x| x.into_primitive());
                let (output, statistics) =
                    B::norm_with_statistics(input, gamma.clone(), beta, epsilon, centre);
                prepared.finish(State { input: node, gamma, statistics, centre }, output)
            }
        }
    }
}
