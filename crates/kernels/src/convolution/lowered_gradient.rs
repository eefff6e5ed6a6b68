//! The gradients of a convolution of any shape, as products of matrices like its [forward pass](super::lowered).

use std::ops::Range;

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::lowered::{PARTS, with_planes};
use super::padded::Layout;
use super::patches::Patches;
use super::shape::Shape;
use crate::finish::Finish;
use crate::fresh::filled;
use crate::linear::Order;
use crate::lines::to_lines;
use crate::matrix::Matrix;
use crate::product::{
    Left, STRIP, Start, StripRow, TILE, add_transposed_product, in_pieces, most_rows, pieces, product,
};
use crate::scratch::with_scratch;
use crate::vector::{LINE, Line};

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

/// Output pixels that are summed before the next are read: patches of 32 elements are 16 kB.
const CHUNK: usize = 128;
/// Sums that a thread keeps in its second-level cache, 256 kB.
const SUMS: usize = 1 << 16;
/// Rows of sums that are computed at once at most.
const ROWS: usize = 8;
/// Numbers of the gradient, turned round, that are kept at a time, 16 MB.
const MOST_TURNED: usize = 1 << 22;

/// The gradient of the weights: the products of the output's gradient and the patches, summed over all pixels.
///
/// Both factors are turned round, so that a pixel has 16 numbers of the gradient and 32 of its patch side by side.
pub(super) fn weight(shape: &Shape, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    let mut output = vec![0.0; shape.channels_out * shape.depth()];
    let turned = shape.groups * shape.group_out().next_multiple_of(LINE) * shape.pixels_out();
    let most = (MOST_TURNED / turned).max(1);
    for image in (0..shape.batch).step_by(most) {
        let images = Shape { batch: most.min(shape.batch - image), ..*shape };
        let input = &input[image * shape.channels_in * shape.pixels_in()..];
        let gradient = &gradient[image * shape.channels_out * shape.pixels_out()..];
        add_weight(&images, input, gradient, &mut output);
    }
    output
}

/// Adds the gradient of the weights by some images, from the first ones of these on.
fn add_weight(shape: &Shape, input: &[f32], gradient: &[f32], output: &mut [f32]) {
    let (depth, rows) = (shape.depth(), shape.group_out());
    let pixels = shape.batch * shape.pixels_out();
    let blocks = rows.div_ceil(LINE);
    with_scratch(shape.groups * blocks * pixels * LINE, |turned| {
        turned.par_chunks_exact_mut(pixels * LINE).enumerate().for_each(|(index, lines)| {
            let (group, block) = (index / blocks, index % blocks);
            AutoArch::new().dispatch(TurnGradient { shape, gradient, group, block, lines });
        });
        let gradient: &[Line] = turned.as_chunks().0;
        let strips = depth.div_ceil(STRIP);
        let most = strips.div_ceil(PARTS).min(SUMS / (blocks * LINE * STRIP)).max(1);
        let strip_parts = strips.div_ceil(most);
        let pixel_parts = PARTS.div_ceil(strip_parts * shape.groups).min(pixels.div_ceil(CHUNK));
        let mut parts = Vec::with_capacity(shape.groups * strip_parts * pixel_parts);
        for group in 0..shape.groups {
            for (strip, count) in in_pieces(strips, strip_parts) {
                let columns = strip * STRIP..((strip + count) * STRIP).min(depth);
                for (start, len) in in_pieces(pixels, pixel_parts) {
                    parts.push(WeightPart { group, columns: columns.clone(), pixels: start..start + len });
                }
            }
        }
        let sums: Vec<Vec<StripRow>> = with_planes(shape, input, |layout, input| {
            let sums_of = |part: &WeightPart| {
                let gradient = &gradient[part.group * blocks * pixels..][..blocks * pixels];
                let mut sums = vec![[0.0; STRIP]; part.columns.len().div_ceil(STRIP) * blocks * LINE];
                with_scratch(2 * CHUNK * STRIP, |scratch| {
                    let (matrix, strip) = scratch.split_at_mut(CHUNK * STRIP);
                    let sums = sums.as_mut_slice();
                    let op = WeightGradient { layout, input, gradient, part, sums, matrix, strip };
                    AutoArch::new().dispatch(op);
                });
                sums
            };
            parts.par_iter().map(sums_of).collect()
        });
        output.par_chunks_exact_mut(depth).enumerate().for_each(|(channel, output)| {
            let (group, row) = (channel / rows, channel % rows);
            for (part, sums) in parts.iter().zip(&sums).filter(|(part, _)| part.group == group) {
                let columns = output[part.columns.clone()].chunks_mut(STRIP);
                for (output, sums) in columns.zip(sums[row..].iter().step_by(blocks * LINE)) {
                    for (sum, part) in output.iter_mut().zip(sums) {
                        *sum += part;
                    }
                }
            }
        });
    });
}

/// From 16 rows of the output's gradient to a line for each pixel.
struct TurnGradient<'a> {
    shape: &'a Shape,
    gradient: &'a [f32],
    group: usize,
    /// Of rows, within the group.
    block: usize,
    lines: &'a mut [f32],
}

impl WithSimd for TurnGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { shape, gradient, group, block, lines } = self;
        let plane = shape.pixels_out();
        let rows = LINE.min(shape.group_out() - block * LINE);
        let first = group * shape.group_out() + block * LINE;
        for (image, lines) in lines.as_chunks_mut().0.chunks_exact_mut(plane).enumerate() {
            let source = &gradient[(image * shape.channels_out + first) * plane..];
            to_lines::<S>(source, plane, rows, lines);
        }
    }
}

/// Some of the sums, over some of the pixels.
struct WeightPart {
    group: usize,
    /// Of the weights of an output channel.
    columns: Range<usize>,
    /// Of the output, counted through the batch.
    pixels: Range<usize>,
}

struct WeightGradient<'a> {
    layout: Layout<'a>,
    /// As the layout says.
    input: &'a [f32],
    /// Of the group: `[block, pixel]`.
    gradient: &'a [Line],
    part: &'a WeightPart,
    /// `[strip, block, row of the block]`.
    sums: &'a mut [StripRow],
    /// For the patches of a chunk: a row for each column.
    matrix: &'a mut [f32],
    /// For the same, turned round: a row for each pixel.
    strip: &'a mut [f32],
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { layout, input, gradient, part, sums, matrix, strip } = self;
        let rows = layout.shape.group_out();
        let blocks = rows.div_ceil(LINE);
        let pixels = gradient.len() / blocks;
        let channel = part.group * layout.shape.group_in();
        let strip = strip.as_chunks_mut::<STRIP>().0;
        let mut patches = Patches::new(layout, layout.shape.channels_in, CHUNK);
        for start in part.pixels.clone().step_by(CHUNK) {
            let len = CHUNK.min(part.pixels.end - start);
            patches.select(start..start + len);
            for (index, sums) in sums.chunks_exact_mut(blocks * LINE).enumerate() {
                let first = part.columns.start + index * STRIP;
                let columns = first..(first + STRIP).min(part.columns.end);
                let count = columns.len();
                patches.gather(input, channel, columns, matrix, matrix.len());
                let patches = Matrix::new(&matrix[..count * CHUNK], [CHUNK, count], Order::Columns);
                patches.pack_strip::<S>(0, &mut strip[..len]);
                for (block, sums) in sums.chunks_exact_mut(LINE).enumerate() {
                    let lines = &gradient[block * pixels + start..][..len];
                    let rows = LINE.min(rows - block * LINE).next_multiple_of(ROWS);
                    add_transposed_product::<S>(lines, strip, &mut sums[..rows]);
                }
            }
        }
    }
}
