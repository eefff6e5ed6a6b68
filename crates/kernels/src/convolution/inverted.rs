//! The three convolutions of an inverted residual block, a few rows of the image at a time.

#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

use super::fused::FusedConv;
#[cfg(feature = "flex")]
use super::{flex, fused::fast_shape, pixelwise::BlockShapes};
#[cfg(feature = "flex")]
use crate::device::{from_flex, is_plain, to_flex};

/// `project(depthwise(expand(input)))`, each a convolution with what follows it: the block of mobile networks (Sandler et al. 2018,
/// *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, arXiv:1801.04381).
///
/// On flex without autodiff, where `expand` and `project` are 1x1 convolutions, and `depthwise` has a kernel for each channel, threads
/// take the image a few rows at a time through all three: the maps between, which are the largest, stay in the
/// second-level cache. Elsewhere this is one [`conv2d_fused`](super::conv2d_fused) after the other.
///
/// # Shapes
/// - `input`: `[batch, channels, height, width]`
/// - output: that of `project`
///
/// # Panics
/// If shapes and options don't fit.
pub fn inverted_residual(
    input: Tensor<4>,
    expand: Option<FusedConv>,
    depthwise: FusedConv,
    project: FusedConv,
) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if is_plain(&input)
        && let Some(shapes) = shapes(input.dims(), expand.as_ref(), &depthwise, &project)
    {
        return from_flex(flex::inverted_residual(to_flex(input), &shapes, expand, depthwise, project));
    }
    let input = match expand {
        Some(expand) => expand.apply(input),
        None => input,
    };
    project.apply(depthwise.apply(input))
}

/// The sizes, where this pays.
#[cfg(feature = "flex")]
fn shapes(
    input: [usize; 4],
    expand: Option<&FusedConv>,
    depthwise: &FusedConv,
    project: &FusedConv,
) -> Option<BlockShapes> {
    let adds = |conv: &FusedConv| conv.epilogue.residual.is_some();
    if expand.is_some_and(adds) || adds(depthwise) {
        return None;
    }
    let expand = match expand {
        Some(expand) => Some(fast_shape(input, expand)?),
        None => None,
    };
    let between = expand.map_or(input, |shape| shape.of_output());
    let depthwise = fast_shape(between, depthwise)?;
    let project = fast_shape(depthwise.of_output(), project)?;
    let shapes = BlockShapes { expand, depthwise, project };
    shapes.pays().then_some(shapes)
}
