//! The way of a transposed convolution through burn's dispatch, and its place in the graph of gradients.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use crate::convolution::extension::{ConvolutionGradient, Kept};
use crate::convolution::shape::Shape;

/// What a backend has to offer for the fast path. Shapes are those of the convolution from the output to the input.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait TransposedOps: Backend {
    /// See [`conv_transpose2d`](super::conv_transpose2d).
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn transposed_convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shape: Shape,
    ) -> FloatTensor<Self>;
}

#[derive(Debug)]
struct TransposedBackward;

impl<B: ConvolutionGradient + TransposedOps> Backward<B, 3> for TransposedBackward {
    type State = Kept;

    /// The input and the gradient change places.
    fn backward(self, ops: Ops<Kept, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let Kept { input, weight, shape } = ops.state;
        let kept_input = checkpointer.retrieve_node_output(input);
        let kept_weight = checkpointer.retrieve_node_output(weight);
        let gradient = gradients.consume::<B>(&ops.node);
        let [input, weight, bias] = ops.parents.map(|parent| parent.map(|node| node.id));
        if let Some(node) = bias {
            gradients.register::<B>(node, B::convolution_bias_gradient(gradient.clone()));
        }
        if let Some(node) = weight {
            let of_weight = B::convolution_weight_gradient(gradient.clone(), kept_input, shape);
            gradients.register::<B>(node, of_weight);
        }
        if let Some(node) = input {
            gradients.register::<B>(node, B::convolution(gradient, kept_weight, shape));
        }
    }
}

impl<B: ConvolutionGradient + TransposedOps, C: CheckpointStrategy> TransposedOps for Autodiff<B, C> {
    fn transposed_convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shape: Shape,
    ) -> FloatTensor<Self> {
        let parents = [input.node(), weight.node(), bias.node()];
        let compute = |input: FloatTensor<Self>, weight: FloatTensor<Self>| {
            let [input, weight, bias] = [input, weight, bias].map(|tensor| tensor.into_primitive());
            B::transposed_convolution(input, weight, bias, shape)
        };
        match Backward::<B, 3>::prepare::<C>(TransposedBackward, parents).compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(compute(input, weight)),
            OpsKind::Tracked(mut prepared) => {
                let [kept_input, kept_weight] = [&input, &weight].map(|tensor| prepared.checkpoint(tensor));
                prepared
                    .finish(Kept { input: kept_input, weight: kept_weight, shape }, compute(input, weight))
            }
        }
    }
}
