//! The way of a transposed convolution through burn's dispatch, and its place in the graph of gradients.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use crate::backward::{Weighted, weighted};
use crate::convolution::extension::ConvolutionGradient;
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

/// A transposed convolution by the convolution from its output to its input.
#[derive(Debug, Clone)]
struct Transposed(Shape);

impl<B: ConvolutionGradient> Weighted<B> for Transposed {
    fn input_gradient(&self, weight: FloatTensor<B>, gradient: FloatTensor<B>) -> FloatTensor<B> {
        B::convolution(gradient, weight, self.0)
    }

    /// The input and the gradient change places.
    fn weight_gradient(&self, input: FloatTensor<B>, gradient: FloatTensor<B>) -> FloatTensor<B> {
        B::convolution_weight_gradient(gradient, input, self.0)
    }

    fn bias_gradient(&self, gradient: FloatTensor<B>) -> FloatTensor<B> {
        B::convolution_bias_gradient(gradient)
    }
}

impl<B: ConvolutionGradient + TransposedOps, C: CheckpointStrategy> TransposedOps for Autodiff<B, C> {
    fn transposed_convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shape: Shape,
    ) -> FloatTensor<Self> {
        weighted::<B, C, _, _>(Transposed(shape), [input, weight, bias], |[input, weight, bias]| {
            B::transposed_convolution(input, weight, bias, shape)
        })
    }
}
