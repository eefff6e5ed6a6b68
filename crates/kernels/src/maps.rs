//! Feature maps with their channels weighed, or side by side.

#[cfg(feature = "flex")]
mod flex;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

#[cfg(feature = "flex")]
use crate::device::{from_flex, is_plain, to_flex};

/// `input * factors`: a factor for each channel of each image.
///
/// # Shapes
/// - `input`: `[batch, channels, height, width]`
/// - `factors`: `[batch, channels, 1, 1]`
/// - output: as `input`
///
/// # Panics
/// If shapes don't fit.
pub fn scale_channels(input: Tensor<4>, factors: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    {
        let [batch, channels, ..] = input.dims();
        if is_plain(&input) && is_plain(&factors) && factors.dims() == [batch, channels, 1, 1] {
            return from_flex(flex::scale_channels(to_flex(input), to_flex(factors)));
        }
    }
    input * factors
}

/// The channels of several feature maps in one, those of the first coming first: `Tensor::cat(maps, 1)`.
///
/// # Shapes
/// - `maps`: `[batch, channels, height, width]` each, of any numbers of channels
/// - output: `[batch, channels of all, height, width]`
///
/// # Panics
/// If there are no maps, or their other sizes differ.
pub fn concat_channels(mut maps: Vec<Tensor<4>>) -> Tensor<4> {
    if maps.len() == 1 {
        return maps.remove(0);
    }
    #[cfg(feature = "flex")]
    {
        let size = |map: &Tensor<4>| {
            let [batch, _, height, width] = map.dims();
            [batch, height, width]
        };
        let fits = |map: &Tensor<4>| is_plain(map) && size(map) == size(&maps[0]);
        if !maps.is_empty() && maps.iter().all(fits) {
            return from_flex(flex::concat_channels(maps.into_iter().map(to_flex).collect()));
        }
    }
    Tensor::cat(maps, 1)
}
