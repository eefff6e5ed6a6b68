//! Two-dimensional convolutions (cross-correlations, as everywhere in the field).

#[cfg(feature = "flex")]
mod depthwise;
mod extension;
#[cfg(feature = "flex")]
mod few_channels;
#[cfg(feature = "flex")]
mod flex;
mod fused;
mod inverted;
#[cfg(feature = "flex")]
mod lowered;
#[cfg(feature = "flex")]
mod lowered_gradient;
#[cfg(feature = "flex")]
mod padded;
#[cfg(feature = "flex")]
mod patches;
#[cfg(feature = "flex")]
mod pixelwise;
#[cfg_attr(not(feature = "flex"), expect(dead_code, reason = "what only the fast path asks"))]
mod shape;
#[cfg(test)]
mod tests;
mod transposed;
#[cfg(feature = "flex")]
mod winograd;

use burn::backend::Dispatch;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, module};

use crate::device::is_accelerated;
use extension::ConvolutionOps;
pub use fused::{ChannelNorm, Epilogue, FusedConv, Nonlinearity, conv2d_fused};
pub use inverted::inverted_residual;
#[cfg(feature = "flex")]
pub(crate) use padded::Layout;
pub(crate) use shape::Shape;
pub use transposed::conv_transpose2d;

/// The convolution of `input` with the kernels in `weight`, plus `bias`; the same as burn's.
///
/// On flex, with at least 32 channels on both sides, 3x3 kernels with stride 1 are computed with Winograd's transforms: the largest error stays
/// below 2e-5 of the largest number, in values and gradients, and an infinity or NaN in the input makes NaN of all outputs in the tiles of 4x4
/// pixels that it reaches. All others are exact to a few roundings, also those that are transformed with stride 2 (3x3 and 4x4 with a
/// padding of 1), where an infinity can become NaN.
///
/// # Shapes
/// - `input`: `[batch, channels in, height, width]`
/// - `weight`: `[channels out, channels in / groups, kernel height, kernel width]`
/// - `bias`: `[channels out]`
/// - output: `[batch, channels out, height', width']` with `height' = (height + 2 padding - dilation (kernel - 1) - 1) / stride + 1`,
///   rounded down
///
/// # Panics
/// If shapes and options don't fit.
pub fn conv2d(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
) -> Tensor<4> {
    let accelerated = is_accelerated(&input)
        && is_accelerated(&weight)
        && bias.as_ref().is_none_or(|bias| is_accelerated(bias) && bias.dims() == [weight.dims()[0]]);
    let shape = Shape::new(input.dims(), weight.dims(), &options);
    let Some(shape) = shape.filter(|shape| accelerated && shape.is_fast()) else {
        return module::conv2d(input, weight, bias, options);
    };
    let (input, weight) = (input.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => Dispatch::biased_convolution(input, weight, bias.into_dispatch(), shape),
        None => Dispatch::convolution(input, weight, shape),
    })
}
