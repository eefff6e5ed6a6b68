//! Pooling over windows of an image.

mod average;
mod extension;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod pixelwise;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Tensor, module};

use crate::convolution::Shape;
use crate::device::is_accelerated;
pub use average::{adaptive_avg_pool2d, avg_pool2d};
use extension::PoolingOps;

/// The largest number of each window, the same as burn's; NaN where there is one.
///
/// The gradient goes to the first of several largest numbers, row by row, as in PyTorch. On flex, where the largest is NaN, it goes
/// to the first NaN (in PyTorch to the last), and where a window has nothing but minus infinity, it may be lost at an edge.
///
/// # Shapes
/// - `input`: `[batch, channels, height, width]`
/// - output: `[batch, channels, height', width']` with `height' = (height + 2 padding - dilation (kernel - 1) - 1) / stride + 1`,
///   rounded down or, in ceil mode, up
///
/// # Panics
/// If the windows don't fit the image.
pub fn max_pool2d(input: Tensor<4>, options: MaxPoolOptions<2>) -> Tensor<4> {
    match fast_shape(&input, &options) {
        Some(shape) => Tensor::from_dispatch(Dispatch::max_pool(input.into_dispatch(), shape)),
        None => module::max_pool2d(input, options),
    }
}

/// The windows as those of a depthwise convolution, where the fast path can take them.
fn fast_shape(input: &Tensor<4>, options: &MaxPoolOptions<2>) -> Option<Shape> {
    let [height, width] = options.kernel_size;
    let channels = input.dims()[1];
    let padding = options.padding.map(|(before, _)| before);
    let windows = ConvOptions::new(options.stride, padding, options.dilation, channels);
    let shape = Shape::new(input.dims(), [channels, 1, height, width], &windows)?;
    let fits = is_accelerated(input)
        && shape.is_depthwise()
        && !options.ceil_mode
        && options.padding.iter().all(|(before, after)| before == after)
        // No window lies in the padding alone.
        && (0..2).all(|axis| {
            padding[axis] <= options.kernel_size[axis] / 2 && (padding[axis] == 0 || options.dilation[axis] == 1)
        });
    fits.then_some(shape)
}
