//! The way of a batch norm through burn's dispatch, and its place in the graph of gradients.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, backend_extension};

use crate::backward::register;

/// What a backend has to offer for the fast path.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait BatchNormOps: Backend {
    /// The normalised batch, and the mean and variance of each channel.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn normalize_batch(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Each channel times its scale, plus its shift.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn scale_channels(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// The other half, for a backend without autodiff. Gradients are those of the input and the two parameters.
pub(crate) trait BatchNormGradient: BatchNormOps {
    /// Of [`BatchNormOps::normalize_batch`], from the mean and variance that it gave.
    fn normalize_batch_gradients(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        statistics: [FloatTensor<Self>; 2],
        epsilon: f64,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3];

    /// Of [`BatchNormOps::scale_channels`].
    fn scale_channels_gradients(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3];
}

#[derive(Debug)]
struct NormalizeBackward;

#[derive(Debug, Clone)]
struct NormalizeState<B: Backend> {
    input: NodeId,
    gamma: FloatTensor<B>,
    statistics: [FloatTensor<B>; 2],
    epsilon: f64,
}

impl<B: Backend + BatchNormGradient> Backward<B, 3> for NormalizeBackward {
    type State = NormalizeState<B>;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let NormalizeState { input, gamma, statistics, epsilon } = ops.state;
        let input = checkpointer.retrieve_node_output(input);
        let gradient = gradients.consume::<B>(&ops.node);
        let parts = B::normalize_batch_gradients(input, gamma, statistics, epsilon, gradient);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, _>(gradients, parents, parts);
    }
}

#[derive(Debug)]
struct ScaleBackward;

impl<B: Backend + BatchNormGradient> Backward<B, 3> for ScaleBackward {
    type State = (NodeId, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let (input, scale) = ops.state;
        let input = checkpointer.retrieve_node_output(input);
        let gradient = gradients.consume::<B>(&ops.node);
        let parts = B::scale_channels_gradients(input, scale, gradient);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, _>(gradients, parents, parts);
    }
}

impl<B: Backend + BatchNormGradient, C: CheckpointStrategy> BatchNormOps for Autodiff<B, C> {
    fn normalize_batch(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let parents = [input.node(), gamma.node(), beta.node()];
        let (output, mean, variance) =
            match Backward::<B, 3>::prepare::<C>(NormalizeBackward, parents).compute_bound().stateful() {
                OpsKind::UnTracked(prepared) => {
                    let [input, gamma, beta] = [input, gamma, beta].map(|x| x.into_primitive());
                    let (output, mean, variance) = B::normalize_batch(input, gamma, beta, epsilon);
                    (prepared.finish(output), mean, variance)
                }
                OpsKind::Tracked(mut prepared) => {
                    let node = prepared.checkpoint(&input);
                    let [input, gamma, beta] = [input, gamma, beta].map(|x| x.into_primitive());
                    let (output, mean, variance) = B::normalize_batch(input, gamma.clone(), beta, epsilon);
                    let statistics = [mean.clone(), variance.clone()];
                    let state = NormalizeState { input: node, gamma, statistics, epsilon };
                    (prepared.finish(state, output), mean, variance)
                }
            };
        (output, Self::from_inner(mean), Self::from_inner(variance))
    }

    fn scale_channels(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let parents = [input.node(), scale.node(), shift.node()];
        match Backward::<B, 3>::prepare::<C>(ScaleBackward, parents).compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => {
                let [input, scale, shift] = [input, scale, shift].map(|x| x.into_primitive());
                prepared.finish(B::scale_channels(input, scale, shift))
            }
            OpsKind::Tracked(mut prepared) => {
                let node = prepared.checkpoint(&input);
                let [input, scale, shift] = [input, scale, shift].map(|x| x.into_primitive());
                let output = B::scale_channels(input, scale.clone(), shift);
                prepared.finish((node, scale), output)
            }
        }
    }
}
