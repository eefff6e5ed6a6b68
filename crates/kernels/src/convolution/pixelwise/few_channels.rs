//! Convolutions of few channels, the first ones of most networks: the patches of neighbouring pixels overlap so much that they are read
//! where they lie, in rows with their padding.

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::super::Shape;
use crate::channels_last::put;
use crate::finish::Finish;
use crate::fresh::filled;
use crate::linear::Strips;
use crate::product::{Overlapping, STRIP, Start, TILE, most_rows, pieces, tile_product};
use crate::scratch::with_scratch;
use crate::vector::LINE;

/// Rows of the padded image that a thread reads at a time.
const ROWS: usize = 32;

/// Whether this is the way to compute the convolution.
pub(super) fn suits(shape: &Shape) -> bool {
    shape.channels_in < LINE && shape.dilation[1] == 1 && !shape.is_pointwise()
}

/// The output, `[batch, height, width, channels_out]`, of an input `[batch, channels_in, height, width]`.
pub(super) fn forward(shape: &Shape, input: &[f32], strips: &Strips<'_>, finish: Finish<'_>) -> Vec<f32> {
    let height = shape.input[0] + 2 * shape.padding[0];
    let (channels, width) = (shape.channels_in, shape.input[1]);
    let pitch = (width + 2 * shape.padding[1]) * channels;
    // Behind the last row, what belongs to no product is read too.
    with_scratch(shape.batch * height * pitch + 2 * LINE, |padded| {
        let (rows, beyond) = padded.split_at_mut(shape.batch * height * pitch);
        beyond.fill(0.0);
        rows.par_chunks_exact_mut(pitch).with_min_len(ROWS).enumerate().for_each(|(index, row)| {
            row.fill(0.0);
            let (image, inside) = (index / height, (index % height).checked_sub(shape.padding[0]));
            if let Some(inside) = inside.filter(|&row| row < shape.input[0]) {
                let planes = input[image * channels * shape.pixels_in()..].chunks_exact(shape.pixels_in());
                let pixels = &mut row[shape.padding[1] * channels..];
                for (channel, plane) in planes.take(channels).enumerate() {
                    let places = pixels[channel..].iter_mut().step_by(channels);
                    for (place, number) in places.zip(&plane[inside * width..][..width]) {
                        *place = *number;
                    }
                }
            }
        });
        let padded: &[f32] = padded;
        filled(shape.of_output().iter().product(), |output| {
            let rows = output.par_chunks(shape.output[1] * shape.channels_out).enumerate();
            rows.for_each(|(index, output)| {
                let first = index / shape.output[0] * height + index % shape.output[0] * shape.stride[0];
                let row = Row { shape, padded, pitch, first, strips, finish, index, output: output.zeroed() };
                AutoArch::new().dispatch(row);
            });
        })
    })
}

/// A row of pixels.
struct Row<'a> {
    shape: &'a Shape,
    padded: &'a [f32],
    /// Numbers from a row of the padded image to the next.
    pitch: usize,
    /// The first row that is seen.
    first: usize,
    strips: &'a Strips<'a>,
    finish: Finish<'a>,
    /// Counted through the batch.
    index: usize,
    output: &'a mut [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { shape, padded, pitch, first, strips, finish, index, output } = self;
        let channels = shape.channels_out;
        let start = index * output.len();
        let step = shape.stride[1] * shape.channels_in;
        // Of the kernel.
        let line = shape.kernel[1] * shape.channels_in;
        for strip in 0..channels.div_ceil(STRIP) {
            let kernel = strips.floats(strip);
            let of_channels = finish.of_channels(strip * STRIP);
            for (column, count) in pieces(shape.output[1], most_rows::<S>()) {
                let mut tile = [[0.0; STRIP]; TILE];
                let tile = &mut tile[..count];
                for (row, kernel) in kernel.chunks_exact(line).enumerate() {
                    let row = first + row * shape.dilation[0];
                    let numbers = &padded[row * pitch + column * step..];
                    let start = if row == first { Start::Zero } else { Start::Tile };
                    tile_product::<S>(Overlapping { numbers, step }, kernel, start, tile);
                }
                for (pixel, sums) in (column..).zip(&mut *tile) {
                    let place = start + pixel * channels + strip * STRIP;
                    finish.pixel::<S, STRIP>(&of_channels, place, sums);
                }
                finish.slow_nonlinearity(tile.as_flattened_mut());
                for (pixel, sums) in (column..).zip(&*tile) {
                    let place = pixel * channels + strip * STRIP;
                    let end = (place + STRIP).min((pixel + 1) * channels);
                    put(sums, &mut output[place..end]);
                }
            }
        }
    }
}
