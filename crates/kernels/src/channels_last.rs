//! Images whose pixels lie one after the other, each with all of its channels: `[batch, height, width, channels]` in memory, seen as
//! `[batch, channels, height, width]`.
//!
//! Convolutions in evaluation leave their output in this order, and take it: a pixel is a vector then, and vector instructions work on
//! channels side by side. Everything else sees an ordinary strided tensor.

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use burn::tensor::TensorData;

use crate::fresh::filled;
use crate::lines::to_lines;
use crate::memory::{CHUNK, FlexTensor, for_each, values};
use crate::scratch::Scratch;
use crate::vector::LINE;

/// From the order of dimensions that tensors have to that in memory, and back.
const TO_PIXELS: [usize; 4] = [0, 2, 3, 1];
const FROM_PIXELS: [usize; 4] = [0, 3, 1, 2];

/// The tensor as `[batch, height, width, channels]`, where it lies in this order and in no other.
pub(crate) fn pixels(tensor: &FlexTensor) -> Option<FlexTensor> {
    if tensor.layout().num_dims() != 4 || tensor.is_contiguous() {
        return None;
    }
    let pixels = tensor.permute(&TO_PIXELS);
    pixels.is_contiguous().then_some(pixels)
}

/// Whether the channels of each pixel lie side by side, as in what [`pixels`] yields and in parts of it.
pub(crate) fn are_pixels(tensor: &FlexTensor) -> bool {
    let layout = tensor.layout();
    layout.num_dims() == 4
        && layout.shape()[1] > 1
        && layout.strides()[1] == 1
        && layout.has_positive_strides()
        && !tensor.is_contiguous()
}

/// Images as `[batch, height, width, channels]`, copied where they lie in another order.
pub(crate) fn into_pixels(tensor: FlexTensor) -> FlexTensor {
    let pixels = tensor.permute(&TO_PIXELS);
    if pixels.is_contiguous() {
        return pixels;
    }
    if are_pixels(&tensor) {
        return pixels.to_contiguous();
    }
    let tensor = if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() };
    let shape = tensor.layout().shape();
    let [batch, channels, height, width] = std::array::from_fn(|axis| shape[axis]);
    let numbers = transposed(values(&tensor), [channels, height * width]);
    FlexTensor::from_data(TensorData::new(numbers, [batch, height, width, channels]))
}

/// What [`pixels`] yields, as `[batch, channels, height, width]`.
pub(crate) fn from_pixels(pixels: &FlexTensor) -> FlexTensor {
    pixels.permute(&FROM_PIXELS)
}

/// A copy of what [`pixels`] yields, `[batch, channels, height, width]` in memory too.
pub(crate) fn planes(pixels: &FlexTensor) -> FlexTensor {
    let shape = pixels.layout().shape();
    let [batch, height, width, channels] = std::array::from_fn(|axis| shape[axis]);
    let numbers = transposed(values(pixels), [height * width, channels]);
    FlexTensor::from_data(TensorData::new(numbers, [batch, channels, height, width]))
}

/// The transposes of matrices, one after the other.
pub(crate) fn transposed(input: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let size = rows * columns;
    // Rows of the result, so that a piece is at most as large as a cache holds.
    let at_a_time = (CHUNK / rows.max(1)).max(1).next_multiple_of(LINE);
    filled(input.len(), |output| {
        let matrices = output.chunks(size.max(1)).zip(input.chunks_exact(size.max(1)));
        let parts: Vec<_> = matrices
            .flat_map(|(output, input)| {
                let pieces = output.chunks(at_a_time * rows).enumerate();
                pieces.map(move |(piece, output)| (input, piece * at_a_time, output))
            })
            .collect();
        for_each(parts.into_par_iter(), |(input, first, output)| {
            let output = output.zeroed();
            AutoArch::new().dispatch(Transpose { input, columns, first, rows, output });
        });
    })
}

/// Some columns of a matrix, from `first` on, become rows of the output.
struct Transpose<'a> {
    input: &'a [f32],
    columns: usize,
    first: usize,
    /// Of the input, at least one.
    rows: usize,
    output: &'a mut [f32],
}

impl WithSimd for Transpose<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        // Not in a closure, which would get no vector instructions.
        let mut scratch = Scratch::new(self.output.len() / self.rows * LINE);
        let lines = scratch.as_chunks_mut::<LINE>().0;
        for row in (0..self.rows).step_by(LINE) {
            let rows = LINE.min(self.rows - row);
            to_lines::<S>(&self.input[row * self.columns + self.first..], self.columns, rows, lines);
            for (output, line) in self.output.chunks_exact_mut(self.rows).zip(&*lines) {
                let end = (row + LINE).min(self.rows);
                put(line, &mut output[row..end]);
            }
        }
    }
}

/// Where blocks of 16 channels start: side by side, the last one at the end, so that it may have some of the block before it. None where
/// there are fewer than 16.
#[inline(always)]
pub(crate) fn blocks(channels: usize) -> impl Iterator<Item = usize> {
    let last = channels.checked_sub(LINE);
    (0..channels.div_ceil(LINE)).filter_map(move |block| last.map(|last| last.min(block * LINE)))
}

/// Writes numbers, or as many of them as there are places.
#[inline(always)]
pub(crate) fn put<const N: usize>(numbers: &[f32; N], places: &mut [f32]) {
    match places.first_chunk_mut() {
        Some(whole) => *whole = *numbers,
        None => places.copy_from_slice(&numbers[..places.len()]),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::{are_pixels, from_pixels, into_pixels, pixels, planes, transposed};
    use crate::memory::{FlexTensor, contiguous, values};

    fn images(shape: [usize; 4]) -> FlexTensor {
        let len = shape.iter().product::<usize>();
        FlexTensor::from_data(TensorData::new((0..len).map(|index| index as f32).collect(), shape))
    }

    #[test]
    fn there_and_back() {
        for shape in [
            [2, 3, 5, 7],
            [1, 16, 4, 4],
            [3, 33, 17, 19],
            [1, 1, 3, 2],
            [2, 5, 1, 1],
            [0, 3, 2, 2],
            [1, 70, 200, 90],
        ] {
            let images = images(shape);
            let there = into_pixels(images.clone());
            let [batch, channels, height, width] = shape;
            assert_eq!(there.layout().shape().as_slice(), [batch, height, width, channels]);
            let expected = images.permute(&[0, 2, 3, 1]).to_contiguous();
            assert_eq!(values(&there), values(&expected));
            assert_eq!(values(&planes(&there)), values(&images));
            let seen = from_pixels(&there);
            assert_eq!(pixels(&seen).is_some(), !seen.is_contiguous());
            assert_eq!(values(&contiguous(seen)), values(&images));
        }
    }

    #[test]
    fn other_orders_are_not_taken_for_pixels() {
        let images = images([2, 3, 4, 5]);
        assert!(pixels(&images).is_none());
        assert!(pixels(&images.permute(&[0, 1, 3, 2])).is_none());
        let part = images.permute(&[0, 3, 1, 2]).narrow(1, 1, 2);
        assert!(pixels(&part).is_none());
        let expected = part.permute(&[0, 2, 3, 1]).to_contiguous();
        assert_eq!(values(&into_pixels(part)), values(&expected));
    }

    /// Cut out of images whose pixels lie one after the other.
    #[test]
    fn parts_are_copied_pixel_by_pixel() {
        let whole = from_pixels(&into_pixels(images([2, 19, 6, 7])));
        for part in [
            whole.narrow(2, 1, 3).narrow(3, 2, 4),
            whole.narrow(0, 1, 1).narrow(1, 3, 5),
            whole.narrow(3, 6, 1),
        ] {
            assert!(are_pixels(&part));
            let expected = part.to_contiguous();
            assert_eq!(values(&contiguous(part.clone())), values(&expected));
            assert_eq!(values(&planes(&into_pixels(part))), values(&expected));
        }
        assert!(!are_pixels(&images([2, 19, 6, 7])));
        assert!(!are_pixels(&images([2, 3, 6, 7]).permute(&[0, 1, 3, 2])));
    }

    #[test]
    fn nothing_to_transpose() {
        assert!(transposed(&[], [0, 5]).is_empty());
        assert!(transposed(&[], [5, 0]).is_empty());
    }
}
