//! The way of a convolution through burn's dispatch, and its place in the graph of gradients.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use super::shape::Shape;

/// What a backend has to offer for the fast path.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait ConvolutionOps: Backend {
    /// See [`conv2d`](super::conv2d); without a bias.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn convolution(input: FloatTensor<Self>, weight: FloatTensor<Self>, shape: Shape) -> FloatTensor<Self>;

    /// The same plus a bias.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn biased_convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shape: Shape,
    ) -> FloatTensor<Self>;
}

/// The other half, for a backend without autodiff. `gradient` is that of the output.
pub(crate) trait ConvolutionGradient: ConvolutionOps {
    /// The gradient of the input.
    fn convolution_input_gradient(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        shape: Shape,
    ) -> FloatTensor<Self>;

    /// The gradient of the weight.
    fn convolution_weight_gradient(
        input: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        shape: Shape,
    ) -> FloatTensor<Self>;

    /// The gradient of the bias.
    fn convolution_bias_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// What the backward pass needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) input: NodeId,
    pub(super) weight: NodeId,
    pub(super) shape: Shape,
}

impl Kept {
    /// Registers the gradients of those parents that want one.
    fn backward<B: ConvolutionGradient>(
        self,
        gradient: FloatTensor<B>,
        [input, weight, bias]: [Option<NodeId>; 3],
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        // Both leave the checkpointer, which counts how often they are asked for.
        let kept_input = checkpointer.retrieve_node_output(self.input);
        let kept_weight = checkpointer.retrieve_node_output(self.weight);
        if let Some(node) = bias {
            gradients.register::<B>(node, B::convolution_bias_gradient(gradient.clone()));
        }
        if let Some(node) = weight {
            let gradient = B::convolution_weight_gradient(kept_input, gradient.clone(), self.shape);
            gradients.register::<B>(node, gradient);
        }
        if let Some(node) = input {
            let gradient = B::convolution_input_gradient(kept_weight, gradient, self.shape);
            gradients.register::<B>(node, gradient);
        }
    }
}

#[derive(Debug)]
struct ConvolutionBackward;

impl<B: ConvolutionGradient> Backward<B, 2> for ConvolutionBackward {
    type State = Kept;

    fn backward(self, ops: Ops<Kept, 2>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [input, weight] = ops.parents.map(|parent| parent.map(|node| node.id));
        let gradient = gradients.consume::<B>(&ops.node);
        ops.state.backward::<B>(gradient, [input, weight, None], gradients, checkpointer);
    }
}

impl<B: ConvolutionGradient> Backward<B, 3> for ConvolutionBackward {
    type State = Kept;

    fn backward(self, ops: Ops<Kept, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let gradient = gradients.consume::<B>(&ops.node);
        ops.state.backward::<B>(gradient, parents, gradients, checkpointer);
    }
}

impl<B: ConvolutionGradient, C: CheckpointStrategy> ConvolutionOps for Autodiff<B, C> {
    fn convolution(input: FloatTensor<Self>, weight: FloatTensor<Self>, shape: Shape) -> FloatTensor<Self> {
        let nodes = [input.node(), weight.node()];
        let compute = |input: FloatTensor<Self>, weight: FloatTensor<Self>| {
            B::convolution(input.into_primitive(), weight.into_primitive(), shape)
        };
        match Backward::<B, 2>::prepare::<C>(ConvolutionBackward, nodes).compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(compute(input, weight)),
            OpsKind::Tracked(mut prepared) => {
                let (kept_input, kept_weight) = (prepared.checkpoint(&input), prepared.checkpoint(&weight));
                let kept = Kept { input: kept_input, weight: kept_weight, shape };
                prepared.finish(kept, compute(input, weight))
            }
        }
    }

    fn biased_convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shape: Shape,
    ) -> FloatTensor<Self> {
        let nodes = [input.node(), weight.node(), bias.node()];
        let compute = |input: FloatTensor<Self>, weight: FloatTensor<Self>| {
            let (input, weight) = (input.into_primitive(), weight.into_primitive());
            B::biased_convolution(input, weight, bias.into_primitive(), shape)
        };
        match Backward::<B, 3>::prepare::<C>(ConvolutionBackward, nodes).compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(compute(input, weight)),
            OpsKind::Tracked(mut prepared) => {
                let (kept_input, kept_weight) = (prepared.checkpoint(&input), prepared.checkpoint(&weight));
                let kept = Kept { input: kept_input, weight: kept_weight, shape };
                prepared.finish(kept, compute(input, weight))
            }
        }
    }
}
