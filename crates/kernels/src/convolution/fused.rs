//! Convolutions with all that usually follows one in evaluation.

use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;

use super::conv2d;
#[cfg(feature = "flex")]
use super::{flex, shape::Shape};
#[cfg(feature = "flex")]
use crate::device::{from_flex, is_plain, to_flex};
use crate::{batch_norm, hard_swish, leaky_relu, relu, relu6, silu};

/// A batch norm in evaluation: a scale and a shift of each channel. All tensors are `[channels]`.
#[derive(Debug, Clone)]
pub struct ChannelNorm {
    /// Scale of what is normalised.
    pub gamma: Tensor<1>,
    /// Shift of what is normalised.
    pub beta: Tensor<1>,
    /// Is subtracted.
    pub mean: Tensor<1>,
    /// Its root divides.
    pub variance: Tensor<1>,
    /// Added to the variance.
    pub epsilon: f64,
}

/// What [`conv2d_fused`] can apply last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Nonlinearity {
    /// The sum as it is.
    #[default]
    Identity,
    /// See [`relu`].
    Relu,
    /// See [`leaky_relu`].
    LeakyRelu,
    /// See [`relu6`].
    Relu6,
    /// See [`hard_swish`].
    HardSwish,
    /// See [`silu`].
    Silu,
}

/// What follows a convolution, in this order.
#[derive(Debug, Clone, Default)]
pub struct Epilogue {
    /// Added to each channel, `[channels]`.
    pub bias: Option<Tensor<1>>,
    /// Scale and shift of each channel.
    pub norm: Option<ChannelNorm>,
    /// Added, of the output's shape.
    pub residual: Option<Tensor<4>>,
    /// Applied last.
    pub nonlinearity: Nonlinearity,
}

/// A convolution with what follows it: the arguments of [`conv2d_fused`].
#[derive(Debug, Clone)]
pub struct FusedConv {
    /// Of the convolution.
    pub weight: Tensor<4>,
    /// Of the convolution.
    pub options: ConvOptions<2>,
    /// What follows.
    pub epilogue: Epilogue,
}

impl FusedConv {
    /// See [`conv2d_fused`].
    pub(super) fn apply(self, input: Tensor<4>) -> Tensor<4> {
        conv2d_fused(input, self.weight, self.options, self.epilogue)
    }
}

/// `nonlinearity(norm(conv2d(input) + bias) + residual)`, the unit of convolutional networks in evaluation.
///
/// On flex without autodiff all of it happens where the convolution writes its output, which goes to memory once. The channels of a
/// pixel lie side by side there (PyTorch's `channels_last`), where there are at least 16 and no groups but depthwise ones; the shape is the
/// same.
///
/// # Shapes
/// As for [`conv2d`].
///
/// # Panics
/// If shapes and options don't fit.
pub fn conv2d_fused(
    input: Tensor<4>,
    weight: Tensor<4>,
    options: ConvOptions<2>,
    epilogue: Epilogue,
) -> Tensor<4> {
    let conv = FusedConv { weight, options, epilogue };
    #[cfg(feature = "flex")]
    if is_plain(&input)
        && let Some(shape) = fast_shape(input.dims(), &conv)
    {
        return from_flex(flex::fused(to_flex(input), &shape, conv));
    }
    let FusedConv { weight, options, epilogue } = conv;
    let Epilogue { bias, norm, residual, nonlinearity } = epilogue;
    let mut output = conv2d(input, weight, bias, options);
    if let Some(norm) = norm {
        output = batch_norm(output, norm.gamma, norm.beta, norm.mean, norm.variance, norm.epsilon);
    }
    if let Some(residual) = residual {
        output = output + residual;
    }
    match nonlinearity {
        Nonlinearity::Identity => output,
        Nonlinearity::Relu => relu(output),
        Nonlinearity::LeakyRelu => leaky_relu(output),
        Nonlinearity::Relu6 => relu6(output),
        Nonlinearity::HardSwish => hard_swish(output),
        Nonlinearity::Silu => silu(output),
    }
}

/// The sizes, where all tensors fit them and the fast path can take them.
#[cfg(feature = "flex")]
pub(super) fn fast_shape(input: [usize; 4], conv: &FusedConv) -> Option<Shape> {
    let FusedConv { weight, options, epilogue } = conv;
    let shape = Shape::new(input, weight.dims(), options)?;
    let of_norm = epilogue.norm.iter().flat_map(|norm| [&norm.gamma, &norm.beta, &norm.mean, &norm.variance]);
    let fits = shape.is_fast()
        && [weight].into_iter().chain(&epilogue.residual).all(is_plain)
        && epilogue.residual.iter().all(|residual| residual.dims() == shape.of_output())
        && of_norm
            .chain(&epilogue.bias)
            .all(|tensor| is_plain(tensor) && tensor.dims() == [shape.channels_out]);
    fits.then_some(shape)
}
