//! Convolutions by channel of images whose channels lie in blocks of 16: in each block, the pixels one after the other.

use macerator::{AutoArch, Simd, WithSimd};

use super::super::Shape;
use super::depthwise::PIXELS;
use crate::finish::{Finish, InRegisters};
use crate::vector::{LINE, Line, lanes, load, multiply_add, splat, store};

/// Kernels that are `[channels, taps]` as `[blocks, taps]`, with zeros beyond the last channel.
pub(super) fn kernels(kernels: &[f32], taps: usize) -> Vec<Line> {
    let channels = kernels.len() / taps;
    let mut lines = vec![[0.0; LINE]; channels.div_ceil(LINE) * taps];
    for (channel, kernel) in kernels.chunks_exact(taps).enumerate() {
        for (line, number) in lines[channel / LINE * taps..].iter_mut().zip(kernel) {
            line[channel % LINE] = *number;
        }
    }
    lines
}

/// Some rows of an image, with their padding.
pub(super) struct PaddedRows<'a> {
    /// Of the whole image.
    pub(super) shape: &'a Shape,
    /// `[blocks, rows, pitch]`: what the kernels meet.
    pub(super) input: &'a [Line],
    /// Pixels from a row to the next.
    pub(super) pitch: usize,
    /// `[blocks, taps]`.
    pub(super) kernels: &'a [Line],
    pub(super) finish: Finish<'a>,
}

impl PaddedRows<'_> {
    /// Writes `[blocks, rows, columns]`, so many pixels in each block.
    pub(super) fn convolve(self, pixels: usize, output: &mut [Line]) {
        AutoArch::new().dispatch(Convolve { rows: self, pixels, output });
    }
}

struct Convolve<'a> {
    rows: PaddedRows<'a>,
    /// Of a block of the output.
    pixels: usize,
    output: &'a mut [Line],
}

impl WithSimd for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { rows, pixels, output } = self;
        let PaddedRows { shape, input, pitch, kernels, finish } = rows;
        let (taps, columns) = (shape.taps(), shape.output[1]);
        let blocks = output.chunks_exact_mut(pixels);
        let sources = input.chunks_exact(input.len() / blocks.len());
        for (block, ((output, input), kernel)) in
            blocks.zip(sources).zip(kernels.chunks_exact(taps)).enumerate()
        {
            let of_channels = finish.of_channels(block * LINE);
            let in_registers = finish.in_registers(&of_channels);
            for (row, output) in output.chunks_exact_mut(columns).enumerate() {
                let input = &input[row * shape.stride[0] * pitch..];
                match (shape.kernel, shape.stride[1]) {
                    _ if columns < PIXELS => {
                        pixel_by_pixel::<S>(shape, input, pitch, kernel, in_registers, output)
                    }
                    ([3, 3], 1) => side_by_side::<S, 3, 1, 6>(input, pitch, kernel, in_registers, output),
                    ([3, 3], 2) => side_by_side::<S, 3, 2, 9>(input, pitch, kernel, in_registers, output),
                    ([5, 5], 1) => side_by_side::<S, 5, 1, 8>(input, pitch, kernel, in_registers, output),
                    ([5, 5], 2) => side_by_side::<S, 5, 2, 11>(input, pitch, kernel, in_registers, output),
                    _ => pixel_by_pixel::<S>(shape, input, pitch, kernel, in_registers, output),
                }
            }
            if in_registers.is_none() {
                for line in &mut *output {
                    finish.pixel::<S, LINE>(&of_channels, 0, line);
                }
            }
            finish.slow_nonlinearity(output.as_flattened_mut());
        }
    }
}

/// The sums of a row, a few pixels at a time, which see `COLUMNS` columns together, each read once.
#[inline(always)]
fn side_by_side<S: Simd, const SIZE: usize, const STRIDE: usize, const COLUMNS: usize>(
    input: &[Line],
    pitch: usize,
    kernel: &[Line],
    finish: Option<InRegisters<'_, LINE>>,
    output: &mut [Line],
) {
    const { assert!(COLUMNS == (PIXELS - 1) * STRIDE + SIZE) };
    let (kernel, _) = kernel.as_chunks::<SIZE>();
    for group in (0..output.len()).step_by(PIXELS) {
        // The last pixels are computed with some of those before them.
        let column = group.min(output.len() - PIXELS);
        let output = output[column..].first_chunk_mut::<PIXELS>().expect("a row has as many pixels");
        for lane in (0..LINE).step_by(lanes::<S>()) {
            let mut sums = [[splat::<S>(0.0)]; PIXELS];
            for (row, taps) in kernel.iter().enumerate() {
                let seen = input[row * pitch + column * STRIDE..].first_chunk::<COLUMNS>();
                let seen = seen.expect("rows have their padding");
                let mut columns = [splat(0.0); COLUMNS];
                for (column, seen) in columns.iter_mut().zip(seen) {
                    *column = load(&seen[lane..]);
                }
                for (tap, kernel) in taps.iter().enumerate() {
                    let kernel = load(&kernel[lane..]);
                    for (pixel, [sum]) in sums.iter_mut().enumerate() {
                        *sum = multiply_add(columns[pixel * STRIDE + tap], kernel, *sum);
                    }
                }
            }
            if let Some(finish) = finish {
                finish.apply(&mut sums, lane);
            }
            for (output, [sum]) in output.iter_mut().zip(sums) {
                store(&mut output[lane..], sum);
            }
        }
    }
}

/// The same for any kernel.
#[inline(always)]
fn pixel_by_pixel<S: Simd>(
    shape: &Shape,
    input: &[Line],
    pitch: usize,
    kernel: &[Line],
    finish: Option<InRegisters<'_, LINE>>,
    output: &mut [Line],
) {
    for (column, output) in output.iter_mut().enumerate() {
        for lane in (0..LINE).step_by(lanes::<S>()) {
            let mut sums = [[splat::<S>(0.0)]];
            for (row, taps) in kernel.chunks_exact(shape.kernel[1]).enumerate() {
                let seen = &input[row * pitch + column * shape.stride[1]..];
                for (seen, tap) in seen.iter().zip(taps) {
                    sums = [[multiply_add(load(&seen[lane..]), load(&tap[lane..]), sums[0][0])]];
                }
            }
            if let Some(finish) = finish {
                finish.apply(&mut sums, lane);
            }
            store(&mut output[lane..], sums[0][0]);
        }
    }
}
