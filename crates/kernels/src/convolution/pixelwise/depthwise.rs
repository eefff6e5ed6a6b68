//! Convolutions of each channel with a kernel of its own, 16 channels side by side.

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::super::Shape;
use crate::channels_last::transposed;
use crate::finish::Finish;
use crate::fresh::{Fresh, Writer, filled};
use crate::vector::{LINE, Line, lanes, load, multiply_add, splat, store};

/// Numbers of kernels that stay in half of a first-level cache while a row passes.
const KERNELS: usize = 4096;
/// Neighbouring pixels that are computed at a time.
pub(super) const PIXELS: usize = 4;

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
            _ if width < PIXELS => row.any_kernel::<S, 1>(output),
            ([3, 3], 1, [1, 1]) => row.side_by_side::<S, 3, 1, 6>(output),
            ([3, 3], 2, [1, 1]) => row.side_by_side::<S, 3, 2, 9>(output),
            ([5, 5], 1, [1, 1]) => row.side_by_side::<S, 5, 1, 8>(output),
            ([5, 5], 2, [1, 1]) => row.side_by_side::<S, 5, 2, 11>(output),
            ([7, 7], 1, [1, 1]) => row.side_by_side::<S, 7, 1, 10>(output),
            _ => row.any_kernel::<S, PIXELS>(output),
        }
    }
}

impl<'a> Row<'a> {
    /// The input pixel that a row and a column of the kernel meet, of which the first meet those at `corner`, counted with the padding.
    #[inline(always)]
    fn seen(&self, corner: [usize; 2], tap: [usize; 2]) -> &'a [f32] {
        let Self { shape, input, zeros, index, .. } = *self;
        let [row, column] = [0, 1].map(|axis| corner[axis] + tap[axis] * shape.dilation[axis]);
        let ([height, width], [above, beside]) = (shape.input, shape.padding);
        if row < above || row >= above + height || column < beside || column >= beside + width {
            return zeros;
        }
        let image = index / shape.output[0];
        let pixel = (image * height + row - above) * width + column - beside;
        &input[pixel * shape.channels_out..][..shape.channels_out]
    }

    /// The row that the kernel's first meets, counted with the padding.
    #[inline(always)]
    fn first_row(&self) -> usize {
        self.index % self.shape.output[0] * self.shape.stride[0]
    }

    #[inline(always)]
    fn tap(&self, tap: usize) -> &'a [f32] {
        &self.kernels[tap * self.shape.channels_out..][..self.shape.channels_out]
    }

    /// A few pixels at a time, which see `COLUMNS` columns together, each read once: all channels of these pixels, or as many as have
    /// kernels in the cache.
    #[inline(always)]
    fn side_by_side<S: Simd, const SIZE: usize, const STRIDE: usize, const COLUMNS: usize>(
        &self,
        output: &mut [Writer<'_>],
    ) {
        const { assert!(COLUMNS == (PIXELS - 1) * STRIDE + SIZE) };
        let channels = self.shape.channels_out;
        let mut taps = [[self.zeros; SIZE]; SIZE];
        for (index, tap) in taps.as_flattened_mut().iter_mut().enumerate() {
            *tap = self.tap(index);
        }
        let at_a_time = KERNELS / (SIZE * SIZE) / LINE * LINE;
        for first in (0..channels).step_by(at_a_time) {
            let last = channels.min(first + at_a_time);
            for group in (0..output.len()).step_by(PIXELS) {
                // The last pixels are computed with some of those before them.
                let column = group.min(output.len() - PIXELS);
                let mut seen = [[self.zeros; COLUMNS]; SIZE];
                for (row, seen) in seen.iter_mut().enumerate() {
                    for (tap, seen) in seen.iter_mut().enumerate() {
                        *seen = self.seen([self.first_row(), column * STRIDE], [row, tap]);
                    }
                }
                for start in (first..last).step_by(LINE) {
                    // The last line has some channels of the one before it.
                    let channel = start.min(channels - LINE);
                    let mut sums = [[0.0; LINE]; PIXELS];
                    for lane in (0..LINE).step_by(lanes::<S>()) {
                        let at = channel + lane;
                        let mut vectors = [splat::<S>(0.0); PIXELS];
                        for (seen, taps) in seen.iter().zip(&taps) {
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
                    self.write::<S, PIXELS>([group, column], [start, channel], &mut sums, output);
                }
            }
        }
    }

    /// The same for any kernel, `N` pixels at a time, each of which reads what it sees.
    #[inline(always)]
    fn any_kernel<S: Simd, const N: usize>(&self, output: &mut [Writer<'_>]) {
        let Self { shape, zeros, .. } = *self;
        let channels = shape.channels_out;
        let mut seen = vec![[zeros; N]; shape.taps()];
        for group in (0..output.len()).step_by(N) {
            let column = group.min(output.len() - N);
            for (index, seen) in seen.iter_mut().enumerate() {
                let tap = [index / shape.kernel[1], index % shape.kernel[1]];
                for (pixel, seen) in seen.iter_mut().enumerate() {
                    *seen = self.seen([self.first_row(), (column + pixel) * shape.stride[1]], tap);
                }
            }
            for start in (0..channels).step_by(LINE) {
                let channel = start.min(channels - LINE);
                let mut sums = [[0.0; LINE]; N];
                for lane in (0..LINE).step_by(lanes::<S>()) {
                    let at = channel + lane;
                    let mut vectors = [splat::<S>(0.0); N];
                    for (index, seen) in seen.iter().enumerate() {
                        let kernel = load(&self.tap(index)[at..]);
                        for (sum, seen) in vectors.iter_mut().zip(seen) {
                            *sum = multiply_add(load(&seen[at..]), kernel, *sum);
                        }
                    }
                    for (sums, vector) in sums.iter_mut().zip(vectors) {
                        store(&mut sums[lane..], vector);
                    }
                }
                self.write::<S, N>([group, column], [start, channel], &mut sums, output);
            }
        }
    }

    /// Finishes and writes the sums of 16 channels of neighbouring pixels, of which those before `group` and `start` are written.
    #[inline(always)]
    fn write<S: Simd, const N: usize>(
        &self,
        [group, column]: [usize; 2],
        [start, channel]: [usize; 2],
        sums: &mut [Line; N],
        output: &mut [Writer<'_>],
    ) {
        let Self { shape, finish, index, .. } = *self;
        let place = (index * output.len() + column) * shape.channels_out + channel;
        let of_channels = finish.of_channels(channel);
        for (pixel, sums) in sums.iter_mut().enumerate() {
            finish.pixel::<S, LINE>(&of_channels, place + pixel * shape.channels_out, sums);
        }
        finish.slow_nonlinearity(sums.as_flattened_mut());
        for (pixel, sums) in output[group..].iter_mut().zip(&mut sums[group - column..]) {
            if channel < start {
                sums.rotate_left(start - channel);
            }
            pixel.push(sums);
        }
    }
}
