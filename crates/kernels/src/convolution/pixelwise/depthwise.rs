//! Convolutions of each channel with a kernel of its own, 16 channels side by side.

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::super::Shape;
use crate::channels_last::{blocks, transposed};
use crate::finish::Finish;
use crate::fresh::{Fresh, Writer, filled};
use crate::vector::{LINE, Line, lanes, load, multiply_add, splat, store};

/// Numbers of kernels that stay in half of a first-level cache while a row passes.
const KERNELS: usize = 4096;
/// Neighbouring pixels that are computed at a time, where kernels are square and of a usual size.
const PIXELS: usize = 4;

/// The output, `[batch, height, width, channels]`, at least 16 of them.
pub(super) fn forward(shape: &Shape, input: &[f32], weight: &[f32], finish: Finish<'_>) -> Vec<f32> {
    let kernels = &transposed(weight, [shape.channels_out, shape.taps()]);
    let zeros = &vec![0.0; shape.channels_out];
    let row = shape.output[1] * shape.channels_out;
    filled(shape.of_output().iter().product(), |output| {
        output.par_chunks(row).enumerate().for_each(|(index, output)| {
            one_row(Row { shape, input, kernels, zeros, finish, index }, output);
        });
    })
}

fn one_row(row: Row<'_>, output: Fresh<'_>) {
    let mut pixels: Vec<Writer<'_>> = output.chunks(row.shape.channels_out).map(Fresh::writer).collect();
    AutoArch::new().dispatch(WriteRow { row, output: &mut pixels });
    Writer::finish_all(pixels);
}

/// A row of pixels.
#[derive(Clone, Copy)]
struct Row<'a> {
    shape: &'a Shape,
    input: &'a [f32],
    /// `[taps, channels]`.
    kernels: &'a [f32],
    /// Of a pixel beyond the image.
    zeros: &'a [f32],
    finish: Finish<'a>,
    /// Counted through the batch.
    index: usize,
}

struct WriteRow<'a, 'b> {
    row: Row<'a>,
    /// A piece for each pixel.
    output: &'a mut [Writer<'b>],
}

impl WithSimd for WriteRow<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { row, output } = self;
        let Shape { kernel, stride: [_, stride], dilation, output: [_, width], .. } = *row.shape;
        match (kernel, stride, dilation) {
            _ if width < PIXELS => row.pixel_by_pixel::<S>(output),
            ([3, 3], 1, [1, 1]) => row.side_by_side::<S, 3, 1, 6>(output),
            ([3, 3], 2, [1, 1]) => row.side_by_side::<S, 3, 2, 9>(output),
            ([5, 5], 1, [1, 1]) => row.side_by_side::<S, 5, 1, 8>(output),
            ([5, 5], 2, [1, 1]) => row.side_by_side::<S, 5, 2, 11>(output),
            ([7, 7], 1, [1, 1]) => row.side_by_side::<S, 7, 1, 10>(output),
            _ => row.pixel_by_pixel::<S>(output),
        }
    }
}

impl<'a> Row<'a> {
    /// Of the kernel's rows, those that meet the image, and the first row that they meet, counted through the batch.
    #[inline(always)]
    fn rows(&self) -> (std::ops::Range<usize>, usize) {
        let (height, rows_out) = (self.shape.input[0], self.shape.output[0]);
        let (rows, first) = self.shape.met(0, self.index % rows_out);
        (rows, self.index / rows_out * height + first)
    }

    /// A few pixels at a time, which see `COLUMNS` columns together, each read once: all channels of these pixels, or as many as have
    /// kernels in the cache.
    #[inline(always)]
    fn side_by_side<S: Simd, const SIZE: usize, const STRIDE: usize, const COLUMNS: usize>(
        &self,
        output: &mut [Writer<'_>],
    ) {
        const { assert!(COLUMNS == (PIXELS - 1) * STRIDE + SIZE) };
        let Self { shape, input, kernels, zeros, finish, index } = *self;
        let channels = shape.channels_out;
        let pixel = |pixel: usize, numbers: &'a [f32]| &numbers[pixel * channels..][..channels];
        let (rows, first_row) = self.rows();
        let mut taps = [[zeros; SIZE]; SIZE];
        for (row, taps) in rows.clone().zip(&mut taps) {
            for (column, tap) in taps.iter_mut().enumerate() {
                *tap = pixel(row * SIZE + column, kernels);
            }
        }
        let taps = &taps[..rows.len()];
        let at_a_time = KERNELS / (SIZE * SIZE) / LINE * LINE;
        for first in (0..channels).step_by(at_a_time) {
            let last = channels.min(first + at_a_time);
            for group in (0..output.len()).step_by(PIXELS) {
                // The last pixels are computed with some of those before them.
                let column = group.min(output.len() - PIXELS);
                let mut seen = [[zeros; COLUMNS]; SIZE];
                for (row, seen) in (first_row..).zip(&mut seen[..taps.len()]) {
                    for (seen, place) in seen.iter_mut().zip(column * STRIDE..) {
                        let inside = place.checked_sub(shape.padding[1]);
                        if let Some(inside) = inside.filter(|&inside| inside < shape.input[1]) {
                            *seen = pixel(row * shape.input[1] + inside, input);
                        }
                    }
                }
                for start in (first..last).step_by(LINE) {
                    // The last line has some channels of the one before it.
                    let channel = start.min(channels - LINE);
                    let mut sums = [[0.0; LINE]; PIXELS];
                    for lane in (0..LINE).step_by(lanes::<S>()) {
                        let at = channel + lane;
                        let mut vectors = [splat::<S>(0.0); PIXELS];
                        for (seen, taps) in seen.iter().zip(taps) {
                            let mut columns = [splat(0.0); COLUMNS];
                            for (column, seen) in columns.iter_mut().zip(seen) {
                                *column = load(&seen[at..]);
                            }
                            for (tap, kernel) in taps.iter().enumerate() {
                                let kernel = load(&kernel[at..]);
                                for (pixel, sum) in vectors.iter_mut().enumerate() {
                                    *sum = multiply_add(columns[pixel * STRIDE + tap], kernel, *sum);
                                }
                            }
                        }
                        for (sums, vector) in sums.iter_mut().zip(vectors) {
                            store(&mut sums[lane..], vector);
                        }
                    }
                    let place = (index * output.len() + column) * channels;
                    finished::<S>(&finish, place, channels, channel, &mut sums);
                    let news = output[group..].iter_mut().zip(&mut sums[group - column..]);
                    for (pixel, sums) in news {
                        push(pixel, sums, start - channel);
                    }
                }
            }
        }
    }

    /// The same for any kernel.
    #[inline(always)]
    fn pixel_by_pixel<S: Simd>(&self, output: &mut [Writer<'_>]) {
        let Self { shape, input, kernels, finish, index, .. } = *self;
        let (channels, width) = (shape.channels_out, shape.input[1]);
        let (rows, first_row) = self.rows();
        let pixels = output.len();
        for (pixel, output) in output.iter_mut().enumerate() {
            let (columns, first_column) = shape.met(1, pixel);
            for channel in blocks(channels) {
                let mut sums = [0.0; LINE];
                for lane in (0..LINE).step_by(lanes::<S>()) {
                    let mut sum = splat::<S>(0.0);
                    for (row, kernel_row) in rows.clone().enumerate() {
                        let row = (first_row + row * shape.dilation[0]) * width + first_column;
                        for (column, tap) in columns.clone().enumerate() {
                            let seen = (row + column * shape.dilation[1]) * channels + channel + lane;
                            let tap = (kernel_row * shape.kernel[1] + tap) * channels + channel + lane;
                            sum = multiply_add(load(&input[seen..]), load(&kernels[tap..]), sum);
                        }
                    }
                    store(&mut sums[lane..], sum);
                }
                let place = (index * pixels + pixel) * channels;
                finished::<S>(&finish, place, channels, channel, std::slice::from_mut(&mut sums));
                push(output, &mut sums, channel.next_multiple_of(LINE) - channel);
            }
        }
    }
}

/// What follows the sums of 16 channels of neighbouring pixels, the first of which lies at `place` in the output.
#[inline(always)]
fn finished<S: Simd>(finish: &Finish<'_>, place: usize, channels: usize, channel: usize, sums: &mut [Line]) {
    let of_channels = finish.of_channels(channel);
    for (pixel, sums) in sums.iter_mut().enumerate() {
        finish.pixel::<S, LINE>(&of_channels, place + pixel * channels + channel, sums);
    }
    finish.slow_nonlinearity(sums.as_flattened_mut());
}

/// Writes 16 channels, of which the first `known` are written.
#[inline(always)]
fn push(pixel: &mut Writer<'_>, sums: &mut Line, known: usize) {
    if known > 0 {
        sums.rotate_left(known);
    }
    pixel.push(sums);
}
