//! Convolutions of each channel with a kernel of its own, 16 channels side by side.

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::super::Shape;
use crate::channels_last::transposed;
use crate::finish::Finish;
use crate::fresh::{Fresh, Writer, filled};
use crate::vector::{LINE, lanes, load, multiply_add, splat, store};

/// Numbers of kernels that stay in half of a first-level cache while a row passes.
const KERNELS: usize = 4096;
/// Pixels that are computed at a time, where all of the kernel's columns meet the image.
const PIXELS: usize = 4;

/// The output, `[batch, height, width, channels]`, at least 16 of them.
pub(super) fn forward(shape: &Shape, input: &[f32], weight: &[f32], finish: Finish<'_>) -> Vec<f32> {
    let kernels = &transposed(weight, [shape.channels_out, shape.taps()]);
    let row = shape.output[1] * shape.channels_out;
    filled(shape.of_output().iter().product(), |output| {
        output.par_chunks(row).enumerate().for_each(|(index, output)| {
            one_row(shape, input, kernels, finish, index, output);
        });
    })
}

/// The same on this thread alone, of kernels that are `[taps, channels]`.
pub(super) fn few_rows(shape: &Shape, input: &[f32], kernels: &[f32], finish: Finish<'_>) -> Vec<f32> {
    let row = shape.output[1] * shape.channels_out;
    filled(shape.of_output().iter().product(), |output| {
        for (index, output) in output.chunks(row).enumerate() {
            one_row(shape, input, kernels, finish, index, output);
        }
    })
}

fn one_row(
    shape: &Shape,
    input: &[f32],
    kernels: &[f32],
    finish: Finish<'_>,
    index: usize,
    output: Fresh<'_>,
) {
    let mut pixels: Vec<Writer<'_>> = output.chunks(shape.channels_out).map(Fresh::writer).collect();
    AutoArch::new().dispatch(Row { shape, input, kernels, finish, index, output: &mut pixels });
    Writer::finish_all(pixels);
}

/// A row of pixels.
struct Row<'a, 'b> {
    shape: &'a Shape,
    input: &'a [f32],
    /// `[taps, channels]`.
    kernels: &'a [f32],
    finish: Finish<'a>,
    /// Counted through the batch.
    index: usize,
    /// A piece for each pixel.
    output: &'a mut [Writer<'b>],
}

impl WithSimd for Row<'_, '_> {
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

impl Row<'_, '_> {
    /// `WIDTH` is the kernel's, or 0 for any. Neighbouring numbers are read one after the other: all channels of a few pixels, or as many
    /// as have kernels in the cache.
    #[inline(always)]
    fn compute<S: Simd, const WIDTH: usize>(self) {
        let Self { shape, input, kernels, finish, index, output } = self;
        let (channels, [height, width]) = (shape.channels_out, shape.input);
        let kernel_width = if WIDTH > 0 { WIDTH } else { shape.kernel[1] };
        let (rows, first_row) = shape.met(0, index % shape.output[0]);
        let first_row = index / shape.output[0] * height + first_row;
        let window = Window {
            input,
            kernels,
            rows: rows.len(),
            row_step: shape.dilation[0] * width * channels,
            kernel_step: kernel_width * channels,
            step: shape.dilation[1] * channels,
            stride: shape.stride[1] * channels,
            channels,
        };
        // From the first column that sees all of the kernel's to the last.
        let whole = |column: &usize| shape.met(1, *column).0.len() == kernel_width;
        let first_whole = (0..shape.output[1]).find(whole).unwrap_or(shape.output[1]);
        let end_whole = (first_whole..shape.output[1]).rev().find(whole).map_or(first_whole, |last| last + 1);
        let at_a_time = KERNELS / shape.taps() / LINE * LINE;
        for first in (0..channels).step_by(at_a_time) {
            let mut column = 0;
            while column < output.len() {
                let (columns, first_column) = shape.met(1, column);
                let are_whole = column >= first_whole && column + PIXELS <= end_whole;
                let pixels = &mut output[column..column + if are_whole { PIXELS } else { 1 }];
                for start in (first..channels.min(first + at_a_time)).step_by(LINE) {
                    // The last line has some channels of the one before it.
                    let channel = start.min(channels - LINE);
                    let origin = (first_row * width + first_column) * channels + channel;
                    let kernel = (rows.start * kernel_width + columns.start) * channels + channel;
                    let mut sums = [[0.0; LINE]; PIXELS];
                    if are_whole {
                        sums = window.sums::<S, PIXELS>(origin, kernel, kernel_width);
                    } else {
                        [sums[0]] = window.sums::<S, 1>(origin, kernel, columns.len());
                    }
                    let sums = &mut sums[..pixels.len()];
                    let of_channels = finish.of_channels(channel);
                    for (pixel, sums) in (index * shape.output[1] + column..).zip(&mut *sums) {
                        finish.pixel::<S, LINE>(&of_channels, pixel * channels + channel, sums);
                    }
                    finish.slow_nonlinearity(sums.as_flattened_mut());
                    for (pixel, sums) in pixels.iter_mut().zip(sums) {
                        if channel < start {
                            sums.rotate_left(start - channel);
                        }
                        pixel.push(sums);
                    }
                }
                column += pixels.len();
            }
        }
    }
}

/// Where a pixel's sum finds its numbers.
struct Window<'a> {
    input: &'a [f32],
    kernels: &'a [f32],
    /// Of the kernel, as many as meet the image.
    rows: usize,
    /// To what the next row of the kernel meets.
    row_step: usize,
    /// To the next row of the kernel.
    kernel_step: usize,
    /// To what the next column of the kernel meets.
    step: usize,
    /// To what the next pixel meets.
    stride: usize,
    channels: usize,
}

impl Window<'_> {
    /// The sums of 16 channels for neighbouring pixels, over some columns of the kernel. `origin` and `kernel` are where the first number of
    /// input and kernel is.
    #[inline(always)]
    fn sums<S: Simd, const N: usize>(
        &self,
        origin: usize,
        kernel: usize,
        columns: usize,
    ) -> [[f32; LINE]; N] {
        let mut sums = [[0.0; LINE]; N];
        for lane in (0..LINE).step_by(lanes::<S>()) {
            let mut vectors = [splat::<S>(0.0); N];
            for row in 0..self.rows {
                for column in 0..columns {
                    let tap = kernel + row * self.kernel_step + column * self.channels + lane;
                    let tap = load(&self.kernels[tap..]);
                    let input = &self.input[origin + row * self.row_step + column * self.step + lane..];
                    for (pixel, sum) in vectors.iter_mut().enumerate() {
                        *sum = multiply_add(load(&input[pixel * self.stride..]), tap, *sum);
                    }
                }
            }
            for (sums, vector) in sums.iter_mut().zip(vectors) {
                store(&mut sums[lane..], vector);
            }
        }
        sums
    }
}
