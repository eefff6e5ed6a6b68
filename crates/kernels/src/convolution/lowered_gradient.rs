//! The gradients of a convolution of any shape, as products of matrices like its [forward pass](super::lowered).

use std::ops::Range;

use macerator::{AutoArch, Simd, VFma, WithSimd};
use rayon::prelude::*;

use super::lowered::with_planes;
use super::padded::Layout;
use super::patches::Patches;
use super::shape::Shape;
use crate::finish::Finish;
use crate::fresh::filled;
use crate::lines::add_up;
use crate::product::{Left, STRIP, Start, StripRow, TILE, most_rows, pieces, product};
use crate::scratch::with_scratch;
use crate::vector::{Floats, LINE, Line, lanes, load, multiply_add, splat, store};

/// The gradient of the input, `[batch, channels_in, height, width]`: what each output pixel gives to its patch.
pub(super) fn input(shape: &Shape, weight: &[f32], gradient: &[f32], finish: Finish<'_>) -> Vec<f32> {
    if !shape.is_sampling() {
        return input_of_reduced(&shape.reduced(), weight, gradient, finish);
    }
    let sampled = input_of_reduced(&shape.reduced(), weight, gradient, Finish::default());
    filled(shape.batch * shape.channels_in * shape.pixels_in(), |output| {
        let planes = output.par_chunks(shape.pixels_in());
        let pairs = planes.zip(sampled.par_chunks_exact(shape.pixels_out()));
        pairs.enumerate().for_each(|(index, (plane, sampled))| {
            let plane = plane.zeroed();
            let rows = plane.chunks_exact_mut(shape.input[1]).step_by(shape.stride[0]);
            for (row, sampled) in rows.zip(sampled.chunks_exact(shape.output[1])) {
                for (target, &number) in row.iter_mut().step_by(shape.stride[1]).zip(sampled) {
                    *target = number;
                }
            }
            finish.all(index % shape.channels_in, index * plane.len(), plane);
        });
    })
}

fn input_of_reduced(shape: &Shape, weight: &[f32], gradient: &[f32], finish: Finish<'_>) -> Vec<f32> {
    let packed: Vec<Vec<Line>> = weight
        .chunks(shape.group_out() * shape.depth())
        .map(|weight| pack_columns(weight, shape.group_out(), shape.depth()))
        .collect();
    // As many channels as make a few tiles, so that reading the gradient anew for each part is little of its work.
    let channels = (8 * LINE).div_ceil(shape.taps()).min(shape.group_in());
    let layout = Layout::new(shape);
    filled(shape.batch * shape.channels_in * shape.pixels_in(), |output| {
        let mut parts = Vec::new();
        for (image, planes) in output.chunks(shape.channels_in * shape.pixels_in()).enumerate() {
            for (group, planes) in planes.chunks(shape.group_in() * shape.pixels_in()).enumerate() {
                for (part, planes) in planes.chunks(channels * shape.pixels_in()).enumerate() {
                    parts.push((image, group, part * channels, planes));
                }
            }
        }
        parts.into_par_iter().for_each(|(image, group, channel, planes)| {
            let planes = planes.zeroed().chunks_mut(shape.pixels_in()).collect();
            let part = InputPart { image, group, channel, planes };
            let weight = &packed[part.group];
            let strip = shape.group_out() * STRIP;
            let padded = if shape.is_pointwise() { 0 } else { part.planes.len() * layout.len() };
            with_scratch(strip + padded, |scratch| {
                let (strip, padded) = scratch.split_at_mut(strip);
                let strip = strip.as_chunks_mut::<STRIP>().0;
                AutoArch::new().dispatch(InputGradient {
                    shape,
                    layout,
                    gradient,
                    weight,
                    finish,
                    part,
                    strip,
                    padded,
                });
            });
        });
    })
}

/// The transpose of `[depth, columns]` as blocks of 16 of the depth, column after column in each, zeros at the end.
fn pack_columns(matrix: &[f32], depth: usize, columns: usize) -> Vec<Line> {
    let mut packed = vec![[0.0; LINE]; depth.div_ceil(LINE) * columns];
    packed.par_chunks_mut(columns).zip(matrix.par_chunks(LINE * columns)).for_each(|(lines, rows)| {
        for (index, row) in rows.chunks_exact(columns).enumerate() {
            for (line, &number) in lines.iter_mut().zip(row) {
                line[index] = number;
            }
        }
    });
    packed
}

/// Some input channels of an image.
struct InputPart<'a> {
    image: usize,
    group: usize,
    /// The first, within the group.
    channel: usize,
    planes: Vec<&'a mut [f32]>,
}

struct InputGradient<'a> {
    shape: &'a Shape,
    layout: Layout<'a>,
    gradient: &'a [f32],
    weight: &'a [Line],
    finish: Finish<'a>,
    part: InputPart<'a>,
    /// A row for each output channel.
    strip: &'a mut [StripRow],
    /// For the part's planes, unless each is written at once.
    padded: &'a mut [f32],
}

impl WithSimd for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self) {
        let shape = self.shape;
        let (depth, plane) = (shape.group_out(), shape.pixels_out());
        let rows = self.part.planes.len() * shape.taps();
        let first_row = self.part.channel * shape.taps();
        let first_plane = self.part.image * shape.channels_out + self.part.group * depth;
        let gradient = &self.gradient[first_plane * plane..][..depth * plane];
        let mut patches = Patches::new(self.layout, self.part.planes.len(), STRIP);
        let mut tile = [[0.0; STRIP]; TILE];
        self.padded.fill(0.0);
        let strip = self.strip;
        for pixel in (0..plane).step_by(STRIP) {
            let len = STRIP.min(plane - pixel);
            patches.select(pixel..pixel + len);
            for (row, plane) in strip.iter_mut().zip(gradient.chunks_exact(plane)) {
                match plane[pixel..].first_chunk() {
                    Some(whole) => *row = *whole,
                    None => row[..len].copy_from_slice(&plane[pixel..]),
                }
            }
            for (row, count) in pieces(rows, most_rows::<S>()) {
                let left = Left { lines: &self.weight[first_row + row..], block: shape.depth() };
                let tile = &mut tile[..count];
                product(left, strip, Start::Zero, tile);
                if shape.is_pointwise() {
                    for (plane, numbers) in self.part.planes[row..].iter_mut().zip(&*tile) {
                        match plane[pixel..].first_chunk_mut::<STRIP>() {
                            Some(target) => *target = *numbers,
                            None => plane[pixel..].copy_from_slice(&numbers[..len]),
                        }
                    }
                    continue;
                }
                let depths = first_row + row..first_row + row + count;
                patches.scatter(self.padded, first_row, depths, tile.as_flattened());
            }
        }
        if !shape.is_pointwise() {
            let planes = self.part.planes.iter_mut();
            for (plane, padded) in planes.zip(self.padded.chunks_exact(self.layout.len())) {
                self.layout.unfill(padded, plane);
            }
        }
        let first_channel = self.part.group * shape.group_in() + self.part.channel;
        let first = self.part.image * shape.channels_in + first_channel;
        for (index, plane) in self.part.planes.iter_mut().enumerate() {
            self.finish.all(first_channel + index, (first + index) * plane.len(), plane);
        }
    }
}

/// Output pixels that are summed before the next are read.
const CHUNK: usize = 512;
/// Sums, of 16 numbers each, that a thread keeps in its second-level cache.
const SUMS: usize = 8192;

/// The gradient of the weights: the products of the output's gradient and the patches, summed over all pixels.
///
/// Both factors have their pixels side by side, so a register holds partial sums of one element, which are added at the end.
pub(super) fn weight(shape: &Shape, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    let (depth, rows, plane) = (shape.depth(), shape.group_out(), shape.pixels_out());
    let pixels = shape.batch * plane;
    let mut output = vec![0.0; shape.channels_out * depth];
    if pixels == 0 {
        return output;
    }
    let width = pixels.next_multiple_of(LINE);
    with_scratch(shape.channels_out * width, |side_by_side| {
        side_by_side.par_chunks_mut(width).enumerate().for_each(|(channel, row)| {
            for (image, part) in row[..pixels].chunks_exact_mut(plane).enumerate() {
                part.copy_from_slice(&gradient[(image * shape.channels_out + channel) * plane..][..plane]);
            }
            row[pixels..].fill(0.0);
        });
        let gradient: &[f32] = side_by_side;
        let most =
            (SUMS / rows).clamp(COLUMNS, 10 * COLUMNS).min(depth.div_ceil(4)).next_multiple_of(COLUMNS);
        let columns: Vec<Range<usize>> = pieces(depth, most).map(|(start, len)| start..start + len).collect();
        let parts: Vec<_> = (0..shape.groups)
            .flat_map(|group| columns.iter().map(move |columns| (group, columns.clone())))
            .collect();
        let sums: Vec<Vec<f32>> = with_planes(shape, input, |layout, input| {
            let sums_of = |(group, columns): &(usize, Range<usize>)| {
                let (group, columns) = (*group, columns.clone());
                let gradient = &gradient[group * rows * width..][..rows * width];
                let lines = rows * columns.len();
                let mut sums = vec![0.0; lines];
                let output = &mut sums;
                with_scratch(columns.len() * CHUNK + lines * LINE, |scratch| {
                    let op = WeightGradient { layout, input, gradient, group, columns, output, scratch };
                    AutoArch::new().dispatch(op);
                });
                sums
            };
            parts.par_iter().map(sums_of).collect()
        });
        for ((group, columns), sums) in parts.iter().zip(&sums) {
            let target = output[group * rows * depth..].chunks_exact_mut(depth);
            for (row, sums) in target.zip(sums.chunks_exact(columns.len())) {
                row[columns.clone()].copy_from_slice(sums);
            }
        }
    });
    output
}

struct WeightGradient<'a> {
    layout: Layout<'a>,
    /// As the layout says.
    input: &'a [f32],
    /// `[rows, pixels]` of the group, the pixels padded to a multiple of [`LINE`].
    gradient: &'a [f32],
    group: usize,
    /// Of the weights.
    columns: Range<usize>,
    /// `[rows, columns]`.
    output: &'a mut [f32],
    /// For the patches, and a line for each element of the output.
    scratch: &'a mut [f32],
}

/// Rows and columns of sums that are computed at a time.
const ROWS: usize = 4;
const COLUMNS: usize = 6;

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let (rows, columns) = (self.layout.shape.group_out(), self.columns.len());
        let pixels = self.layout.shape.batch * self.layout.shape.pixels_out();
        let width = pixels.next_multiple_of(LINE);
        let mut patches = Patches::new(self.layout, self.layout.shape.channels_in, CHUNK);
        let channel = self.group * self.layout.shape.group_in();
        let (matrix, sums) = self.scratch.split_at_mut(columns * CHUNK);
        let sums = sums.as_chunks_mut::<LINE>().0;
        sums.fill([0.0; LINE]);
        for start in (0..pixels).step_by(CHUNK) {
            let range = start..(start + CHUNK).min(pixels);
            let len = range.len().next_multiple_of(LINE);
            if len > range.len() {
                matrix.fill(0.0);
            }
            patches.select(range);
            patches.gather(self.input, channel, self.columns.clone(), matrix, columns * CHUNK);
            for row in (0..rows).step_by(ROWS) {
                let last_row = (row + ROWS).min(rows);
                // At the edges a row or column is computed again, which is cheaper than a loop of its own.
                let left = std::array::from_fn(|index| {
                    &self.gradient[(row + index).min(last_row - 1) * width + start..][..len]
                });
                for column in (0..columns).step_by(COLUMNS) {
                    let last_column = (column + COLUMNS).min(columns);
                    let right = std::array::from_fn(|index| {
                        &matrix[(column + index).min(last_column - 1) * CHUNK..][..len]
                    });
                    let tile = dots::<S>(left, right);
                    for (row, tile) in (row..last_row).zip(&tile) {
                        let sums = &mut sums[row * columns + column..row * columns + last_column];
                        for (sum, part) in sums.iter_mut().zip(tile) {
                            let total = load::<S>(sum) + *part;
                            store(sum, total);
                        }
                    }
                }
            }
        }
        add_up::<S>(sums, self.output);
    }
}

/// The products of each of the left rows with each of the right ones, summed lane by lane.
#[inline(always)]
fn dots<S: Simd>(left: [&[f32]; ROWS], right: [&[f32]; COLUMNS]) -> [[Floats<S>; COLUMNS]; ROWS] {
    let mut tile = [[splat::<S>(0.0); COLUMNS]; ROWS];
    // With 16 registers the sums don't fit at once: two rows of three columns do.
    let (rows, columns) =
        if lanes::<S>() == 16 || f32::is_accelerated::<S>() && lanes::<S>() == 4 { (4, 6) } else { (4, 2) };
    match (rows, columns) {
        (4, 6) => dots_of::<S, 4, 6>(left, right, &mut tile, 0),
        _ => {
            for column in (0..COLUMNS).step_by(2) {
                dots_of::<S, 4, 2>(left, [right[column], right[column + 1]], &mut tile, column);
            }
        }
    }
    tile
}

#[inline(always)]
fn dots_of<S: Simd, const R: usize, const C: usize>(
    left: [&[f32]; R],
    right: [&[f32]; C],
    tile: &mut [[Floats<S>; COLUMNS]; ROWS],
    column: usize,
) {
    let mut sums = [[splat::<S>(0.0); C]; R];
    let len = left[0].len();
    let mut at = 0;
    while at + lanes::<S>() <= len {
        let right: [Floats<S>; C] = std::array::from_fn(|index| load::<S>(&right[index][at..]));
        for (sums, left) in sums.iter_mut().zip(&left) {
            let left = load::<S>(&left[at..]);
            for (sum, &right) in sums.iter_mut().zip(&right) {
                *sum = multiply_add(left, right, *sum);
            }
        }
        at += lanes::<S>();
    }
    for (tile, sums) in tile.iter_mut().zip(sums) {
        tile[column..column + C].copy_from_slice(&sums);
    }
}
