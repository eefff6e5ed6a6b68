//! Convolutions of images whose [pixels](crate::channels_last) lie one after the other: the patches of the input times the weights.
//!
//! A patch is a few runs of neighbouring numbers, a row of the kernel each, and the output of a pixel is a vector.

mod blocked;
mod depthwise;
mod inverted;

use std::borrow::Cow;
use std::ops::Range;

use super::few_channels;
use super::shape::Shape;
use super::winograd::Winograd;
use crate::channels_last::transposed;
use crate::finish::Finish;
use crate::linear::{Order, Packed, Strips, Vectors, multiply};
use crate::matrix::Matrix;
use crate::narrow::Instructions;
use crate::prepared::{Forms, PixelStrips, Precision};
use crate::scratch::with_scratch;
use crate::vector::LINE;
pub(super) use inverted::{Block, BlockShapes, Product};

/// Whether images are better seen as pixels.
pub(super) fn suits(shape: &Shape) -> bool {
    shape.channels_out >= LINE && (shape.groups == 1 || shape.is_depthwise())
}

/// The output, `[batch, height, width, channels_out]`, of an input in the same order, or of planes where channels are [few](few_channels).
pub(super) fn forward(
    shape: &Shape,
    input: &[f32],
    weight: &[f32],
    forms: Option<&Forms>,
    finish: Finish<'_>,
) -> Vec<f32> {
    let beats_kept = |winograd: &Winograd<'_>, forms: &Forms| {
        let is_narrow = forms.precision == Precision::Bf16 && Instructions::detected().pairs.is_some();
        winograd.beats_kept(is_narrow)
    };
    if let Some(winograd) = Winograd::of(shape)
        && forms.is_none_or(|forms| beats_kept(&winograd, forms))
    {
        return winograd.forward_of_pixels(input, weight, finish);
    }
    if shape.is_depthwise() {
        return depthwise::forward(shape, input, weight, finish);
    }
    with_strips(shape, weight, forms, |strips| of_strips(shape, input, strips, finish))
}

/// Runs `f` with the weight's strips, those that are kept or new ones.
pub(super) fn with_strips<R>(
    shape: &Shape,
    weight: &[f32],
    forms: Option<&Forms>,
    f: impl FnOnce(&Strips<'_>) -> R,
) -> R {
    let size = [shape.channels_out, shape.channels_in, shape.taps()];
    let kernels = || match shape.taps() {
        1 => Cow::Borrowed(weight),
        taps => Cow::Owned(transposed(weight, [shape.channels_in, taps])),
    };
    let kept = forms.map(|forms| {
        forms.pixel_strips.get_or_make(|| {
            // Of few channels in any case, whatever the first shape that asks.
            let precision = if shape.channels_in < LINE { Precision::F32 } else { forms.precision };
            let strips = Strips::new(matrix(shape, &kernels()), precision, Instructions::detected());
            PixelStrips { size, strips }
        })
    });
    // The same weight could also be seen as one of another size.
    match kept.filter(|kept| kept.size == size) {
        Some(kept) => f(&kept.strips),
        None => f(&Strips::once(matrix(shape, &kernels()))),
    }
}

/// The kernels, `[channels_out, kernel height, kernel width, channels_in]`, as a matrix that patches are multiplied with.
fn matrix<'a>(shape: &Shape, kernels: &'a [f32]) -> Matrix<'a> {
    Matrix::new(kernels, [shape.depth(), shape.channels_out], Order::Columns)
}

fn of_strips(shape: &Shape, input: &[f32], strips: &Strips<'_>, finish: Finish<'_>) -> Vec<f32> {
    if few_channels::suits(shape) {
        return few_channels::forward_to_pixels(shape, input, strips, finish);
    }
    if shape.is_pointwise() {
        let pixels = [shape.batch * shape.pixels_in(), shape.channels_in];
        return multiply(&Matrix::new(input, pixels, Order::Rows), strips, finish);
    }
    multiply(&Patches { shape, input }, strips, finish)
}

/// What the kernel sees of the input at each of its positions: `[kernel height, kernel width, channels_in]`.
struct Patches<'a> {
    shape: &'a Shape,
    input: &'a [f32],
}

impl Vectors for Patches<'_> {
    fn count(&self) -> usize {
        self.shape.batch * self.shape.pixels_out()
    }

    fn pack(&self, strips: &Strips<'_>, range: Range<usize>) -> Packed {
        let (count, depth) = (range.len(), self.shape.depth());
        with_scratch(count * depth, |patches| {
            for (pixel, patch) in range.zip(patches.chunks_exact_mut(depth)) {
                self.read(pixel, patch);
            }
            Packed::new(strips, Matrix::new(patches, [count, depth], Order::Rows), 0..count)
        })
    }
}

impl Patches<'_> {
    /// The patch of an output pixel.
    fn read(&self, pixel: usize, patch: &mut [f32]) {
        let shape = self.shape;
        let ([height, width], channels) = (shape.input, shape.channels_in);
        let [rows, columns] = shape.output;
        let (image, row, column) = (pixel / (rows * columns), pixel / columns % rows, pixel % columns);
        let (inside_rows, first_row) = shape.met(0, row);
        let (inside, first_column) = shape.met(1, column);
        if inside_rows.len() < shape.kernel[0] || inside.len() < shape.kernel[1] {
            patch.fill(0.0);
        }
        let lines = patch.chunks_exact_mut(shape.kernel[1] * channels);
        for (index, line) in lines.skip(inside_rows.start).take(inside_rows.len()).enumerate() {
            let row = image * height + first_row + index * shape.dilation[0];
            let source = &self.input[(row * width + first_column) * channels..];
            let line = &mut line[inside.start * channels..inside.end * channels];
            if shape.dilation[1] == 1 {
                line.copy_from_slice(&source[..line.len()]);
            } else {
                let sources = source.chunks(channels).step_by(shape.dilation[1]);
                for (target, source) in line.chunks_exact_mut(channels).zip(sources) {
                    target.copy_from_slice(source);
                }
            }
        }
    }
}
