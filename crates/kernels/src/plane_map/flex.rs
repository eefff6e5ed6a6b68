//! Maps of planes on flex.
//!
//! Rows are combined number by number. To combine columns, 16 rows are turned into [lines](crate::lines), so that this is number by
//! number too. What leaves fewer rows comes first.

use std::sync::Arc;

use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::TensorData;
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::extension::PlaneMapOps;
use super::{Axis, PlaneMap};
use crate::channels_last::pixels;
use crate::finish::OfChannels;
use crate::fresh::filled;
use crate::lanes::sum;
use crate::lines::{from_lines, to_lines, transposed};
use crate::memory::{CHUNK, FlexTensor, contiguous, for_each, for_each_of, values};
use crate::scratch::{Scratch, with_scratch};
use crate::vector::{LINE, Line, lanes, load, splat, store};

impl PlaneMapOps for Flex {
    fn map_planes(input: FloatTensor<Self>, map: Arc<PlaneMap>) -> FloatTensor<Self> {
        let [batch, channels] = [0, 1].map(|axis| input.layout().shape()[axis]);
        if let (PlaneMap::Mean([height, width]), Some(pixels)) = (&*map, pixels(&input)) {
            let output = means_of_pixels(values(&pixels), channels, height * width);
            return FlexTensor::from_data(TensorData::new(output, [batch, channels, 1, 1]));
        }
        let input = contiguous(input);
        let (planes, numbers) = (batch * channels, values(&input));
        let output = match &*map {
            PlaneMap::Mean([height, width]) => means(numbers, planes, height * width),
            PlaneMap::Share([height, width]) => shares(numbers, planes, height * width),
            PlaneMap::Separable { rows, columns } => separable(numbers, planes, rows, columns),
        };
        let [height, width] = map.output();
        FlexTensor::from_data(TensorData::new(output, [batch, channels, height, width]))
    }
}

fn means(input: &[f32], planes: usize, pixels: usize) -> Vec<f32> {
    let at_a_time = (CHUNK / pixels).max(1);
    filled(planes, |output| {
        let pieces = output.par_chunks(at_a_time).zip(input.par_chunks(at_a_time * pixels));
        for_each(pieces, |(output, planes)| {
            AutoArch::new().dispatch(Means { planes, pixels, output: output.zeroed() });
        });
    })
}

/// Of images whose [pixels](crate::channels_last) lie one after the other.
fn means_of_pixels(input: &[f32], channels: usize, pixels: usize) -> Vec<f32> {
    let mut output = vec![0.0; input.len() / pixels.max(1)];
    let images = output.par_chunks_mut(channels.max(1)).zip(input.par_chunks((pixels * channels).max(1)));
    // An addition is 16 multiplications of a product.
    for_each_of(16 * pixels * channels, images, |(means, pixels)| {
        AutoArch::new().dispatch(PixelMeans { pixels, means });
    });
    output
}

struct PixelMeans<'a> {
    pixels: &'a [f32],
    means: &'a mut [f32],
}

/// Pixels that are summed in 32 bits.
const SUMMED: usize = 64;

impl WithSimd for PixelMeans<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { pixels, means } = self;
        let channels = means.len();
        // Not in a closure, which would get no vector instructions.
        let mut sums = Scratch::new(channels);
        let mut totals = vec![0.0_f64; channels];
        for some in pixels.chunks(SUMMED * channels) {
            sums.fill(0.0);
            for pixel in some.chunks_exact(channels) {
                for (sum, number) in sums.iter_mut().zip(pixel) {
                    *sum += number;
                }
            }
            for (total, sum) in totals.iter_mut().zip(&*sums) {
                *total += f64::from(*sum);
            }
        }
        let count = (pixels.len() / channels) as f64;
        for (mean, total) in means.iter_mut().zip(totals) {
            *mean = (total / count) as f32;
        }
    }
}

fn shares(input: &[f32], planes: usize, pixels: usize) -> Vec<f32> {
    let at_a_time = (CHUNK / pixels).max(1);
    filled(planes * pixels, |output| {
        let pieces = output.par_chunks(at_a_time * pixels).zip(input.par_chunks(at_a_time));
        for_each(pieces, |(planes, numbers)| {
            for (plane, number) in planes.chunks(pixels).zip(numbers) {
                plane.full(number / pixels as f32);
            }
        });
    })
}

/// Rows of the output that a thread computes at a time at least.
const FEWEST_ROWS: usize = 64;

fn separable(input: &[f32], planes: usize, rows: &Axis, columns: &Axis) -> Vec<f32> {
    let width = columns.outputs();
    let at_a_time = (CHUNK / width).max(FEWEST_ROWS).next_multiple_of(LINE);
    filled(planes * rows.outputs() * width, |output| {
        let pieces = output.par_chunks(at_a_time * width).enumerate();
        for_each(pieces, |(piece, output)| {
            let first_row = piece * at_a_time;
            let seen = first_row..first_row + output.len() / width;
            let seen = source(rows, seen.start).0..source(rows, seen.end - 1).1;
            let kept = if rows_first(rows) { LINE * columns.inputs() } else { seen.len() * width };
            let lines = (columns.inputs() + width) * LINE;
            with_scratch(lines + kept, |scratch| {
                let (lines, kept) = scratch.split_at_mut(lines);
                let lines = lines.as_chunks_mut().0.split_at_mut(columns.inputs()).into();
                let input = &input[seen.start * columns.inputs()..seen.end * columns.inputs()];
                let output = output.zeroed();
                let first_seen = seen.start;
                let op = Separable { rows, columns, first_row, first_seen, input, lines, kept, output };
                AutoArch::new().dispatch(op);
            });
        });
    })
}

/// Whether rows are combined before columns.
fn rows_first(rows: &Axis) -> bool {
    rows.outputs() < rows.inputs()
}

/// The first row that a row of the output sees, and the one behind the last. All are counted through the tensor.
#[inline(always)]
fn source(rows: &Axis, row: usize) -> (usize, usize) {
    let (first, weights) = rows.window(row % rows.outputs());
    let first = row / rows.outputs() * rows.inputs() + first;
    (first, first + weights.len())
}

struct Means<'a> {
    planes: &'a [f32],
    pixels: usize,
    output: &'a mut [f32],
}

/// Elements that are summed in 32 bits.
const PIECE: usize = 4096;

impl WithSimd for Means<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { planes, pixels, output } = self;
        if (LINE..SUMMED).contains(&pixels) {
            // 16 planes side by side: a vector of sums of each, then those of all at once.
            let mut square = [[0.0; LINE]; LINE];
            for (means, planes) in output.chunks_mut(LINE).zip(planes.chunks(LINE * pixels)) {
                for (sums, plane) in square.iter_mut().zip(planes.chunks_exact(pixels)) {
                    let (whole, rest) = plane.as_chunks::<LINE>();
                    for lane in (0..LINE).step_by(lanes::<S>()) {
                        let mut sum = splat::<S>(0.0);
                        for line in whole {
                            sum += load(&line[lane..]);
                        }
                        store(&mut sums[lane..], sum);
                    }
                    for (sum, number) in sums.iter_mut().zip(rest) {
                        *sum += number;
                    }
                }
                let mut sums = [0.0; LINE];
                for line in &transposed::<S>(&square) {
                    for (sum, number) in sums.iter_mut().zip(line) {
                        *sum += number;
                    }
                }
                for (mean, sum) in means.iter_mut().zip(sums) {
                    *mean = sum / pixels as f32;
                }
            }
            return;
        }
        for (mean, plane) in output.iter_mut().zip(planes.chunks_exact(pixels)) {
            let mut total = 0.0_f64;
            for piece in plane.chunks(PIECE) {
                total += f64::from(sum(piece, |x| x));
            }
            *mean = (total / pixels as f64) as f32;
        }
    }
}

/// Some neighbouring rows of the output, counted through the tensor.
struct Separable<'a> {
    rows: &'a Axis,
    columns: &'a Axis,
    first_row: usize,
    /// The first row that is seen.
    first_seen: usize,
    /// All rows that are seen.
    input: &'a [f32],
    /// Of the inputs and of the outputs.
    lines: [&'a mut [Line]; 2],
    /// For what comes first: the seen rows with their columns combined, or 16 rows of the output with all columns.
    kept: &'a mut [f32],
    output: &'a mut [f32],
}

impl WithSimd for Separable<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { rows, columns, first_row, first_seen, input, mut lines, kept, output } = self;
        let (before, width) = (columns.inputs(), columns.outputs());
        if rows_first(rows) {
            for (block, output) in output.chunks_mut(LINE * width).enumerate() {
                let count = output.len() / width;
                for (row, target) in kept.chunks_exact_mut(before).take(count).enumerate() {
                    let row = first_row + block * LINE + row;
                    combine_rows(rows, row, first_seen, input, target);
                }
                combine_columns::<S>(columns, &kept[..count * before], &mut lines, output);
            }
        } else {
            for (kept, input) in kept.chunks_mut(LINE * width).zip(input.chunks(LINE * before)) {
                combine_columns::<S>(columns, input, &mut lines, kept);
            }
            for (row, target) in output.chunks_exact_mut(width).enumerate() {
                combine_rows(rows, first_row + row, first_seen, kept, target);
            }
        }
    }
}

/// Columns that are summed at a time.
const BLOCK: usize = 2 * LINE;

/// A row of the output. `seen` has rows of its width, from `first_seen` on.
#[inline(always)]
fn combine_rows(rows: &Axis, row: usize, first_seen: usize, seen: &[f32], target: &mut [f32]) {
    let width = target.len();
    let seen = &seen[(source(rows, row).0 - first_seen) * width..];
    let weights = rows.window(row % rows.outputs()).1;
    let (blocks, rest) = target.as_chunks_mut::<BLOCK>();
    let start = blocks.len() * BLOCK;
    for (block, target) in blocks.iter_mut().enumerate() {
        let mut sums = [0.0; BLOCK];
        for (row, &weight) in weights.iter().enumerate() {
            let numbers = seen[row * width + block * BLOCK..].first_chunk::<BLOCK>().expect("whole rows");
            for (sum, &number) in sums.iter_mut().zip(numbers) {
                *sum += weight * number;
            }
        }
        *target = sums;
    }
    rest.fill(0.0);
    for (row, &weight) in weights.iter().enumerate() {
        for (sum, &number) in rest.iter_mut().zip(&seen[row * width + start..]) {
            *sum += weight * number;
        }
    }
}

/// The columns of up to 16 rows.
#[inline(always)]
fn combine_columns<S: Simd>(columns: &Axis, rows: &[f32], lines: &mut [&mut [Line]; 2], target: &mut [f32]) {
    let count = target.len() / columns.outputs();
    let [inputs, outputs] = lines;
    to_lines::<S>(rows, columns.inputs(), count, inputs);
    for (output, line) in outputs.iter_mut().enumerate() {
        let (first, weights) = columns.window(output);
        let mut sums = [0.0; LINE];
        for (input, &weight) in inputs[first..].iter().zip(weights) {
            for (sum, &number) in sums.iter_mut().zip(input) {
                *sum += weight * number;
            }
        }
        *line = sums;
    }
    let mut targets = target.chunks_exact_mut(columns.outputs());
    let mut targets: [&mut [f32]; LINE] = std::array::from_fn(|_| targets.next().unwrap_or_default());
    from_lines::<S>(outputs, &OfChannels::NONE, &mut targets[..count], 0);
}
