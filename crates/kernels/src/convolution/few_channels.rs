//! Convolutions of few channels, the first ones of most networks: the patches of neighbouring pixels overlap so much that they are read
//! where they lie, in rows with their padding.

use std::ops::Range;

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::lowered::PARTS;
use super::shape::Shape;
use crate::channels_last::put;
use crate::finish::Finish;
use crate::fresh::{Fresh, filled};
use crate::linear::Strips;
use crate::lines::from_lines;
use crate::product::{Overlapping, STRIP, StripRow, TILE, columns_product, most_rows, pieces};
use crate::scratch::with_scratch;
use crate::vector::LINE;

/// Rows of the padded image that a thread reads at a time.
const ROWS: usize = 32;
/// Rows of the output that a thread computes at a time, where they go to planes.
const BAND: usize = 8;
/// Pixels of a row that go to planes at once.
const SEGMENT: usize = TILE * LINE;

/// Whether this is the way to compute the convolution.
pub(super) fn suits(shape: &Shape) -> bool {
    shape.channels_in < LINE
        && shape.channels_out >= LINE
        && shape.groups == 1
        && shape.dilation[1] == 1
        && !shape.is_pointwise()
}

/// Whether it also is where the output is planes, whose rows are shared among the threads.
pub(super) fn suits_planes(shape: &Shape) -> bool {
    suits(shape) && shape.batch * shape.output[0].div_ceil(BAND) >= PARTS
}

/// The output, `[batch, channels_out, height, width]`, of an input `[batch, channels_in, height, width]`.
pub(super) fn forward(shape: &Shape, input: &[f32], strips: &Strips<'_>, finish: Finish<'_>) -> Vec<f32> {
    Rows::with(shape, input, strips, |rows| {
        filled(shape.of_output().iter().product(), |output| {
            bands(shape, output).into_par_iter().for_each(|band| {
                AutoArch::new().dispatch(ToPlanes { rows, finish, band });
            });
        })
    })
}

/// The same as `[batch, height, width, channels_out]`.
pub(super) fn forward_to_pixels(
    shape: &Shape,
    input: &[f32],
    strips: &Strips<'_>,
    finish: Finish<'_>,
) -> Vec<f32> {
    Rows::with(shape, input, strips, |rows| {
        filled(shape.of_output().iter().product(), |output| {
            let pieces = output.par_chunks(shape.output[1] * shape.channels_out).enumerate();
            pieces.for_each(|(row, output)| {
                AutoArch::new().dispatch(ToPixels { rows, finish, row, output: output.zeroed() });
            });
        })
    })
}

/// The padded rows of the images, and what they are multiplied with.
#[derive(Clone, Copy)]
struct Rows<'a> {
    shape: &'a Shape,
    /// `[batch, row, column, channel]`.
    padded: &'a [f32],
    strips: &'a Strips<'a>,
}

impl Rows<'_> {
    /// Runs `f` with the rows of planes.
    fn with<R>(shape: &Shape, input: &[f32], strips: &Strips<'_>, f: impl FnOnce(Rows<'_>) -> R) -> R {
        let height = shape.input[0] + 2 * shape.padding[0];
        let (channels, width) = (shape.channels_in, shape.input[1]);
        let pitch = pitch(shape);
        // Behind the last row, what belongs to no product is read too.
        with_scratch(shape.batch * height * pitch + 2 * LINE, |padded| {
            let (rows, beyond) = padded.split_at_mut(shape.batch * height * pitch);
            beyond.fill(0.0);
            rows.par_chunks_exact_mut(pitch).with_min_len(ROWS).enumerate().for_each(|(index, row)| {
                row.fill(0.0);
                let (image, inside) = (index / height, (index % height).checked_sub(shape.padding[0]));
                if let Some(inside) = inside.filter(|&row| row < shape.input[0]) {
                    let planes =
                        input[image * channels * shape.pixels_in()..].chunks_exact(shape.pixels_in());
                    let pixels = &mut row[shape.padding[1] * channels..];
                    for (channel, plane) in planes.take(channels).enumerate() {
                        let places = pixels[channel..].iter_mut().step_by(channels);
                        for (place, number) in places.zip(&plane[inside * width..][..width]) {
                            *place = *number;
                        }
                    }
                }
            });
            f(Rows { shape, padded, strips })
        })
    }

    /// The sums of 32 channels for neighbouring pixels, as many as the tile has rows, from `column` on of an output row, counted through
    /// the batch.
    #[inline(always)]
    fn sums<S: Simd>(&self, strip: usize, row: usize, column: usize, tile: &mut [StripRow]) {
        let Self { shape, padded, strips } = *self;
        let (height, pitch) = (shape.input[0] + 2 * shape.padding[0], pitch(shape));
        let first = row / shape.output[0] * height + row % shape.output[0] * shape.stride[0];
        let step = shape.stride[1] * shape.channels_in;
        let left = Overlapping {
            numbers: &padded[first * pitch + column * step..],
            step,
            len: shape.kernel[1] * shape.channels_in,
            pitch: shape.dilation[0] * pitch,
        };
        let channels = shape.channels_out - strip * STRIP;
        columns_product::<S>(left, strips.floats(strip), channels, tile);
    }
}

/// Numbers of a padded row.
fn pitch(shape: &Shape) -> usize {
    (shape.input[1] + 2 * shape.padding[1]) * shape.channels_in
}

/// A row of pixels, to be computed.
struct ToPixels<'a> {
    rows: Rows<'a>,
    finish: Finish<'a>,
    /// Counted through the batch.
    row: usize,
    output: &'a mut [f32],
}

impl WithSimd for ToPixels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { rows, finish, row, output } = self;
        let channels = rows.shape.channels_out;
        let start = row * output.len();
        for strip in 0..channels.div_ceil(STRIP) {
            let of_channels = finish.of_channels(strip * STRIP);
            for (column, count) in pieces(rows.shape.output[1], most_rows::<S>()) {
                let mut tile = [[0.0; STRIP]; TILE];
                let tile = &mut tile[..count];
                rows.sums::<S>(strip, row, column, tile);
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

/// Some rows of an image's planes.
struct Band<'a> {
    /// Counted through the batch.
    rows: Range<usize>,
    planes: Vec<Fresh<'a>>,
}

fn bands<'a>(shape: &Shape, output: Fresh<'a>) -> Vec<Band<'a>> {
    let [height, width] = shape.output;
    let band_of = |image: usize, start: usize| {
        let start = image * height + start;
        Band { rows: start..(start + BAND).min((image + 1) * height), planes: Vec::new() }
    };
    let mut bands: Vec<_> = (0..shape.batch)
        .flat_map(|image| (0..height).step_by(BAND).map(move |start| band_of(image, start)))
        .collect();
    let per_image = height.div_ceil(BAND);
    for (index, plane) in output.chunks(height * width).enumerate() {
        let bands = &mut bands[index / shape.channels_out * per_image..];
        for (band, piece) in bands.iter_mut().zip(plane.chunks(BAND * width)) {
            band.planes.push(piece);
        }
    }
    bands
}

/// A band, to be computed.
struct ToPlanes<'a, 'b> {
    rows: Rows<'a>,
    finish: Finish<'a>,
    band: Band<'b>,
}

impl WithSimd for ToPlanes<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { rows, finish, band } = self;
        let shape = rows.shape;
        let [height, width] = shape.output;
        let mut planes: Vec<_> = band.planes.into_iter().map(Fresh::zeroed).collect();
        // Of both halves of a strip.
        let mut lines = vec![[0.0; LINE]; 2 * SEGMENT.min(width)];
        for (index, row) in band.rows.enumerate() {
            let (image, row_of_image) = (row / height, row % height);
            for (strip, planes) in planes.chunks_mut(STRIP).enumerate() {
                for (start, len) in pieces(width, SEGMENT) {
                    for (column, count) in pieces(len, most_rows::<S>()) {
                        let mut tile = [[0.0; STRIP]; TILE];
                        let tile = &mut tile[..count];
                        rows.sums::<S>(strip, row, start + column, tile);
                        for (pixel, sums) in (column..).zip(&*tile) {
                            for (half, sums) in sums.as_chunks::<LINE>().0.iter().enumerate() {
                                lines[half * len + pixel] = *sums;
                            }
                        }
                    }
                    for (half, planes) in planes.chunks_mut(LINE).enumerate() {
                        let first = strip * STRIP + half * LINE;
                        let (lines, at) = (&lines[half * len..][..len], index * width + start);
                        from_lines::<S>(lines, &finish.of_channels(first), planes, at);
                        for (channel, plane) in (first..).zip(planes) {
                            let row = (image * shape.channels_out + channel) * height + row_of_image;
                            finish.after_shift(row * width + start, &mut plane[at..at + len]);
                        }
                    }
                }
            }
        }
    }
}
