//! What the backward passes have in common.

use std::fmt::Debug;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};

/// Hands its gradient to each parent that wants one.
pub(crate) fn register<B: Backend, const N: usize>(
    gradients: &mut Gradients,
    parents: [Option<NodeId>; N],
    parts: [FloatTensor<B>; N],
) {
    for (parent, gradient) in parents.into_iter().zip(parts) {
        if let Some(parent) = parent {
            gradients.register::<B>(parent, gradient);
        }
    }
}

/// An operation on an input, a weight and, it may be, a bias, linear in each: with its sizes, and with its gradients on a backend without
/// autodiff. `gradient` is that of the output.
pub(crate) trait Weighted<B: Backend>: Clone + Debug + Send + 'static {
    /// The gradient of the input.
    fn input_gradient(&self, weight: FloatTensor<B>, gradient: FloatTensor<B>) -> FloatTensor<B>;

    /// The gradient of the weight.
    fn weight_gradient(&self, input: FloatTensor<B>, gradient: FloatTensor<B>) -> FloatTensor<B>;

    /// The gradient of the bias.
    fn bias_gradient(&self, gradient: FloatTensor<B>) -> FloatTensor<B>;
}

/// Computes such an operation and gives it its place in the graph. `parts` are input, weight and bias, or the first two.
pub(crate) fn weighted<B: Backend, C: CheckpointStrategy, W: Weighted<B>, const N: usize>(
    operation: W,
    parts: [FloatTensor<Autodiff<B, C>>; N],
    compute: impl FnOnce([FloatTensor<B>; N]) -> FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let nodes = parts.each_ref().map(|part| part.node());
    match Backward::<B, N>::prepare::<C>(WeightedBackward(operation.clone()), nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::UnTracked(prepared) => prepared.finish(compute(parts.map(|part| part.into_primitive()))),
        OpsKind::Tracked(mut prepared) => {
            let kept = [0, 1].map(|index| prepared.checkpoint(&parts[index]));
            prepared.finish(kept, compute(parts.map(|part| part.into_primitive())))
        }
    }
}

#[derive(Debug)]
struct WeightedBackward<W>(W);

impl<B: Backend, W: Weighted<B>, const N: usize> Backward<B, N> for WeightedBackward<W> {
    /// Input and weight.
    type State = [NodeId; 2];

    fn backward(self, ops: Ops<[NodeId; 2], N>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        // Both leave the checkpointer, which counts how often they are asked for.
        let [input, weight] = ops.state.map(|node| checkpointer.retrieve_node_output(node));
        let gradient = gradients.consume::<B>(&ops.node);
        let wanted = |index: usize| ops.parents.get(index)?.as_ref().map(|node| node.id);
        if let Some(node) = wanted(2) {
            gradients.register::<B>(node, self.0.bias_gradient(gradient.clone()));
        }
        if let Some(node) = wanted(1) {
            gradients.register::<B>(node, self.0.weight_gradient(input, gradient.clone()));
        }
        if let Some(node) = wanted(0) {
            gradients.register::<B>(node, self.0.input_gradient(weight, gradient));
        }
    }
}
