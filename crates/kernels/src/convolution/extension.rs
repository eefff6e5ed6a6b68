//! The way of a convolution through burn's dispatch, and its place in the graph of gradients.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use super::shape::Shape;
use crate::backward::{Weighted, weighted};

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

impl<B: ConvolutionGradient> Weighted<B> for Shape {
    fn input_gradient(&self, weight: FloatTensor<B>, gradient: FloatTensor<B>) -> FloatTensor<B> {
        B::convolution_input_gradient(weight, gradient, *self)
    }

    fn weight_gradient(&self, input: FloatTensor<B>, gradient: FloatTensor<B>) -> FloatTensor<B> {
        B::convolution_weight_gradient(input, gradient, *self)
    }

    fn bias_gradient(&self, gradient: FloatTensor<B>) -> FloatTensor<B> {
        B::convolution_bias_gradient(gradient)
    }
}

impl<B: ConvolutionGradient, C: CheckpointStrategy> ConvolutionOps for Autodiff<B, C> {
    fn convolution(input: FloatTensor<Self>, weight: FloatTensor<Self>, shape: Shape) -> FloatTensor<Self> {
        weighted::<B, C, _, _>(shape, [input, weight], |[input, weight]| B::convolution(input, weight, shape))
    }

    fn biased_convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shape: Shape,
    ) -> FloatTensor<Self> {
        weighted::<B, C, _, _>(shape, [input, weight, bias], |[input, weight, bias]| {
            B::biased_convolution(input, weight, bias, shape)
        })
    }
}
