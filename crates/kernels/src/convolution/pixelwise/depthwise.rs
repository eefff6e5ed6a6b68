//! Convolutions of each channel with a kernel of its own, 16 channels side by side.

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::super::Shape;
use crate::channels_last::{blocks, put, transposed};
use crate::finish::Finish;
use crate::fresh::filled;
use crate::vector::{LINE, Line, lanes, load, multiply_add, splat, store};

/// Elements of a kernel at most, as [`Shape::is_depthwise`] allows.
const TAPS: usize = 49;

/// The output, `[batch, height, width, channels]`, at least 16 of them.
pub(super) fn forward(shape: &Shape, input: &[f32], weight: &[f32], finish: Finish<'_>) -> Vec<f32> {
    let kernels = &transposed(weight, [shape.channels_out, shape.taps()]);
    let row = shape.output[1] * shape.channels_out;
    filled(shape.of_output().iter().product(), |output| {
        output.par_chunks(row).enumerate().for_each(|(index, output)| {
            let output = output.zeroed();
            AutoArch::new().dispatch(Row { shape, input, kernels, finish, index, output });
        });
    })
}

/// A row of pixels.
struct Row<'a> {
    shape: &'a Shape,
    input: &'a [f32],
    /// `[taps, channels]`.
    kernels: &'a [f32],
    finish: Finish<'a>,
    /// Counted through the batch.
    index: usize,
    output: &'a mut [f32],
}

/// Pixels that are computed at a time, where all of the kernel's columns meet the image.
const PIXELS: usize = 4;

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        match self.shape.kernel {
            [3, 3] => self.compute::<S, 3>(),
            [5, 5] => self.compute::<S, 5>(),
            [7, 7] => self.compute::<S, 7>(),
            _ => self.compute::<S, 0>(),
        }
    }
}

impl Row<'_> {
    /// `WIDTH` is the kernel's, or 0 for any.
    #[inline(always)]
    fn compute<S: Simd, const WIDTH: usize>(self) {
        let Self { shape, input, kernels, finish, index, output } = self;
        let (channels, [height, width]) = (shape.channels_out, shape.input);
        let start = index * output.len();
        let (rows, first_row) = shape.met(0, index % shape.output[0]);
        let first_row = index / shape.output[0] * height + first_row;
        let met = |column| shape.met(1, column);
        // From the first column that sees all of the kernel's to the last.
        let whole = |column: &usize| met(*column).0.len() == shape.kernel[1];
        let first_whole = (0..shape.output[1]).find(whole).unwrap_or(shape.output[1]);
        let last_whole =
            (first_whole..shape.output[1]).rev().find(whole).map_or(first_whole, |last| last + 1);
        let (row_step, step) = (shape.dilation[0] * width * channels, shape.dilation[1] * channels);
        let stride = shape.stride[1] * channels;
        for channel in blocks(channels) {
            let of_channels = finish.of_channels(channel);
            let mut kernel = [[0.0; LINE]; TAPS];
            for (tap, kernels) in kernel.iter_mut().zip(kernels.chunks_exact(channels)) {
                *tap = *line(kernels, channel);
            }
            let kernel = &kernel[rows.start * shape.kernel[1]..rows.end * shape.kernel[1]];
            let mut column = 0;
            while column < shape.output[1] {
                let (columns, first_column) = met(column);
                let origin = (first_row * width + first_column) * channels + channel;
                let mut sums = [[0.0; LINE]; PIXELS];
                let count = if column >= first_whole && column + PIXELS <= last_whole { PIXELS } else { 1 };
                if count == PIXELS {
                    let kernel_width = if WIDTH > 0 { WIDTH } else { shape.kernel[1] };
                    for lane in (0..LINE).step_by(lanes::<S>()) {
                        let mut vectors = [splat::<S>(0.0); PIXELS];
                        for (row, kernel) in kernel.chunks_exact(kernel_width).enumerate() {
                            let input = &input[origin + row * row_step + lane..];
                            for (tap, kernel) in kernel.iter().enumerate() {
                                let kernel = load(&kernel[lane..]);
                                let input = &input[tap * step..];
                                for (pixel, sum) in vectors.iter_mut().enumerate() {
                                    *sum = multiply_add(load(&input[pixel * stride..]), kernel, *sum);
                                }
                            }
                        }
                        for (sums, vector) in sums.iter_mut().zip(vectors) {
                            store(&mut sums[lane..], vector);
                        }
                    }
                } else if !columns.is_empty() {
                    for lane in (0..LINE).step_by(lanes::<S>()) {
                        let mut sum = splat::<S>(0.0);
                        for (row, kernel) in kernel.chunks_exact(shape.kernel[1]).enumerate() {
                            let input = &input[origin + row * row_step + lane..];
                            for (tap, kernel) in kernel[columns.clone()].iter().enumerate() {
                                sum = multiply_add(load(&input[tap * step..]), load(&kernel[lane..]), sum);
                            }
                        }
                        store(&mut sums[0][lane..], sum);
                    }
                }
                let sums = &mut sums[..count];
                for (pixel, sums) in (column..).zip(&mut *sums) {
                    finish.pixel::<S, LINE>(&of_channels, start + pixel * channels + channel, sums);
                }
                finish.slow_nonlinearity(sums.as_flattened_mut());
                for (pixel, sums) in (column..).zip(&*sums) {
                    put(sums, &mut output[pixel * channels + channel..]);
                }
                column += count;
            }
        }
    }
}

#[inline(always)]
fn line(numbers: &[f32], start: usize) -> &Line {
    numbers[start..].first_chunk().expect("at least 16 channels")
}
