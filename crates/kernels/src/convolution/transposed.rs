//! Transposed convolutions: a convolution's way back, forwards.

mod extension;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, module};

use super::shape::Shape;
use crate::device::is_accelerated;
pub(super) use extension::TransposedOps;

/// The transpose of a convolution, plus `bias`; the same as burn's: each pixel adds its kernel's multiple to the output.
///
/// On flex it is computed as [`conv2d`](super::conv2d) computes its gradients, and its gradients as those convolutions.
///
/// # Shapes
/// - `input`: `[batch, channels in, height, width]`
/// - `weight`: `[channels in, channels out / groups, kernel height, kernel width]`
/// - `bias`: `[channels out]`
/// - output: `[batch, channels out, height', width']` with
///   `height' = (height - 1) stride - 2 padding + dilation (kernel - 1) + output padding + 1`
///
/// # Panics
/// If shapes and options don't fit.
pub fn conv_transpose2d(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvTransposeOptions<2>,
) -> Tensor<4> {
    let accelerated = is_accelerated(&input) && is_accelerated(&weight);
    let shape = transposed_of(input.dims(), weight.dims(), &options);
    let shape = shape.filter(|shape| {
        let fits = |bias: &Tensor<1>| is_accelerated(bias) && bias.dims() == [shape.channels_in];
        accelerated && shape.is_fast() && bias.as_ref().is_none_or(fits)
    });
    let Some(shape) = shape else {
        return module::conv_transpose2d(input, weight, bias, options);
    };
    let bias = bias.unwrap_or_else(|| Tensor::zeros([shape.channels_in], &input.device()));
    let [input, weight] = [input, weight].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::transposed_convolution(input, weight, bias.into_dispatch(), shape))
}

/// The convolution that leads from the output to the input, or nothing where shapes and options don't fit, or where the output
/// padding is so large that it would lead to a larger one.
fn transposed_of(input: [usize; 4], weight: [usize; 4], options: &ConvTransposeOptions<2>) -> Option<Shape> {
    let [batch, channels, height, width] = input;
    let [channels_in, group, kernel_height, kernel_width] = weight;
    let size = |axis: usize, length: usize, kernel: usize| {
        let reach = options.dilation[axis] * kernel.checked_sub(1)? + 1;
        let whole = length.checked_sub(1)? * options.stride[axis] + reach + options.padding_out[axis];
        whole.checked_sub(2 * options.padding[axis])
    };
    let output =
        [batch, group * options.groups, size(0, height, kernel_height)?, size(1, width, kernel_width)?];
    let convolution = ConvOptions::new(options.stride, options.padding, options.dilation, options.groups);
    let shape = Shape::new(output, weight, &convolution)?;
    (channels == channels_in && shape.output == [height, width]).then_some(shape)
}
