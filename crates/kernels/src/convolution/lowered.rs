//! Any convolution as products of matrices: the weights times the [patches](super::patches) of the input.
//!
//! Patches are read into the second-level cache, 32 pixels wide, and multiplied there; the whole matrix never exists.

use std::ops::Range;

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::padded::Layout;
use super::patches::Patches;
use super::shape::Shape;
use crate::finish::Finish;
use crate::fresh::{Fresh, filled};
use crate::prepared::{Forms, PackedRows};
use crate::product::{Left, STRIP, Start, StripRow, TILE, most_rows, pieces, product};
use crate::scratch::with_scratch;
use crate::vector::{LINE, Line};

/// Products that are summed before the next rows of weights come, so that both factors stay in their caches.
const SLICE: usize = 384;
/// Strips that a thread holds at a time: 384 x 32 x 4 numbers are 200 kB.
const STRIPS: usize = 4;
/// Strips that a thread holds at a time where maps are small.
const MOST_STRIPS: usize = 16;
/// Parts that the work falls into at least, where it can, whatever the number of threads.
pub(super) const PARTS: usize = 8;

/// The output, `[batch, channels_out, height, width]`.
pub(super) fn forward(
    shape: &Shape,
    input: &[f32],
    weight: &[f32],
    forms: Option<&Forms>,
    finish: Finish<'_>,
) -> Vec<f32> {
    let size = [shape.groups, shape.group_out(), shape.depth()];
    let pack = || {
        let groups = weight.chunks(size[1] * size[2]);
        PackedRows { size, groups: groups.map(|weight| pack_rows(weight, size[1], size[2])).collect() }
    };
    // The same weight could also be seen as one of another size.
    let kept = forms.map(|forms| forms.packed_rows.get_or_make(pack)).filter(|kept| kept.size == size);
    let made;
    let packed = match kept {
        Some(kept) => kept,
        None => {
            made = pack();
            &made
        }
    };
    let fill = |output: Fresh<'_>| {
        with_planes(shape, input, |layout, input| {
            parts(shape, output).into_par_iter().for_each(|part| {
                let mut planes: Vec<_> = part.planes.into_iter().map(Fresh::zeroed).collect();
                let part = Part {
                    planes: planes.as_mut_slice(),
                    group: part.group,
                    pixels: part.pixels,
                    rows: part.rows,
                };
                let weight = &packed.groups[part.group];
                let strips = part.pixels.len().div_ceil(STRIP);
                with_scratch(strips * slice_of(shape.depth(), strips) * STRIP, |scratch| {
                    AutoArch::new().dispatch(Forward { layout, input, weight, finish, part, scratch });
                });
            });
        })
    };
    filled(shape.of_output().iter().product(), fill)
}

/// Runs `f` with the [reduced](Shape::reduced) shape and the planes of the input: padded, sampled, or those that are there where
/// nothing has to change.
pub(super) fn with_planes<R>(shape: &Shape, input: &[f32], f: impl FnOnce(Layout<'_>, &[f32]) -> R) -> R {
    let reduced = &shape.reduced();
    let layout = Layout::new(reduced);
    if reduced.stride[1] == 1 && reduced.padding == [0, 0] && !shape.is_sampling() {
        return f(layout, input);
    }
    with_scratch(shape.batch * shape.channels_in * layout.len(), |planes| {
        let pairs = planes.par_chunks_exact_mut(layout.len()).zip(input.par_chunks_exact(shape.pixels_in()));
        if shape.is_sampling() {
            pairs.for_each(|(sampled, plane)| sample(shape, plane, sampled));
        } else {
            pairs.for_each(|(padded, plane)| layout.fill(plane, 0.0, padded));
        }
        f(layout, planes)
    })
}

/// The pixels that a kernel of one element meets.
fn sample(shape: &Shape, plane: &[f32], sampled: &mut [f32]) {
    let rows = plane.chunks_exact(shape.input[1]).step_by(shape.stride[0]);
    for (target, row) in sampled.chunks_exact_mut(shape.output[1]).zip(rows) {
        for (target, &number) in target.iter_mut().zip(row.iter().step_by(shape.stride[1])) {
            *target = number;
        }
    }
}

/// `depth` in parts of nearly equal size, whole lines, so small that a part of so many strips stays in its cache.
fn slice_of(depth: usize, strips: usize) -> usize {
    let most = SLICE * STRIPS / strips.max(STRIPS);
    depth.div_ceil(depth.div_ceil(most)).next_multiple_of(LINE)
}

/// `[rows, depth]` as blocks of 16 columns, row after row in each, zeros at the end.
fn pack_rows(matrix: &[f32], rows: usize, depth: usize) -> Vec<Line> {
    let mut packed = vec![[0.0; LINE]; depth.div_ceil(LINE) * rows];
    packed.par_chunks_mut(rows).enumerate().for_each(|(block, lines)| {
        for (line, row) in lines.iter_mut().zip(matrix.chunks_exact(depth)) {
            let row = &row[block * LINE..];
            match row.first_chunk() {
                Some(whole) => *line = *whole,
                None => line[..row.len()].copy_from_slice(row),
            }
        }
    });
    packed
}

/// A part of the output, with its memory.
struct Part<P> {
    group: usize,
    /// Of the output, counted through the batch.
    pixels: Range<usize>,
    /// Output channels of the group.
    rows: Range<usize>,
    /// The pixels of each channel, for each image that they touch.
    planes: P,
}

/// Cuts the output by pixels, groups and, where that makes too few parts, channels.
fn parts<'a>(shape: &Shape, output: Fresh<'a>) -> Vec<Part<Vec<Fresh<'a>>>> {
    let plane = shape.pixels_out();
    let pixels = shape.batch * plane;
    if pixels == 0 || shape.channels_out == 0 {
        return Vec::new();
    }
    let strips = pixels.div_ceil(STRIP);
    let pixel_parts = if strips <= MOST_STRIPS && shape.group_out() >= pixels {
        // Small maps: reading the input several times costs less than reading the weights.
        1
    } else {
        strips.div_ceil(STRIPS).max(PARTS.div_ceil(shape.groups).min(strips))
    };
    let row_parts = PARTS.div_ceil(pixel_parts * shape.groups).min(shape.group_out().div_ceil(LINE));
    let cuts: Vec<Range<usize>> = pieces(strips, strips.div_ceil(pixel_parts))
        .map(|(start, len)| start * STRIP..((start + len) * STRIP).min(pixels))
        .collect();
    let rows: Vec<Range<usize>> = pieces(shape.group_out(), shape.group_out().div_ceil(row_parts))
        .map(|(start, len)| start..start + len)
        .collect();
    let mut parts = Vec::with_capacity(cuts.len() * rows.len() * shape.groups);
    for group in 0..shape.groups {
        for rows in &rows {
            for pixels in &cuts {
                parts.push(Part { group, pixels: pixels.clone(), rows: rows.clone(), planes: Vec::new() });
            }
        }
    }
    for (channel, mut rest) in output.chunks(plane).enumerate() {
        let (image, channel) = (channel / shape.channels_out, channel % shape.channels_out);
        let (group, row) = (channel / shape.group_out(), channel % shape.group_out());
        let row_part = rows.iter().position(|rows| rows.contains(&row)).unwrap_or(0);
        let first = (group * rows.len() + row_part) * cuts.len();
        let mut at = image * plane;
        let start = cuts.partition_point(|cut| cut.end <= at);
        for part in &mut parts[first + start..first + cuts.len()] {
            if rest.is_empty() {
                break;
            }
            let len = (part.pixels.end - at).min(rest.len());
            let (piece, after) = rest.split_at(len);
            at += piece.len();
            part.planes.push(piece);
            rest = after;
        }
    }
    parts
}

struct Forward<'a, 'b> {
    layout: Layout<'a>,
    /// As the layout says.
    input: &'a [f32],
    weight: &'a [Line],
    finish: Finish<'a>,
    part: Part<&'a mut [&'b mut [f32]]>,
    scratch: &'a mut [f32],
}

impl WithSimd for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self) {
        let depth = self.layout.shape.depth();
        let slice = slice_of(depth, self.part.pixels.len().div_ceil(STRIP));
        let mut tile = [[0.0; STRIP]; TILE];
        let matrices = std::mem::take(&mut self.scratch).as_chunks_mut::<STRIP>().0;
        let mut patches = Patches::new(self.layout, self.layout.shape.channels_in, STRIP);
        patches.select(self.part.pixels.clone());
        let channel = self.part.group * self.layout.shape.group_in();
        for start in (0..depth).step_by(slice) {
            let depths = start..(start + slice).min(depth);
            let matrix = matrices.as_flattened_mut();
            patches.gather(self.input, channel, depths.clone(), matrix, slice * STRIP);
            for (row, rows) in pieces(self.part.rows.len(), most_rows::<S>()) {
                for (strip, matrix) in matrices.chunks_exact(slice).enumerate() {
                    self.multiply(start, row, &matrix[..depths.len()], strip, &mut tile[..rows]);
                }
            }
        }
    }
}

impl Forward<'_, '_> {
    #[inline(always)]
    fn pixels(&self, strip: usize) -> Range<usize> {
        let start = self.part.pixels.start + strip * STRIP;
        start..(start + STRIP).min(self.part.pixels.end)
    }

    /// The products of rows of the part, from `row` on, with a strip, from depth `start` on.
    #[inline(always)]
    fn multiply(
        &mut self,
        start: usize,
        row: usize,
        matrix: &[StripRow],
        strip: usize,
        tile: &mut [StripRow],
    ) {
        let first_row = self.part.rows.start + row;
        let left = Left {
            lines: &self.weight[start / LINE * self.layout.shape.group_out() + first_row..],
            block: self.layout.shape.group_out(),
        };
        let pixels = self.pixels(strip);
        let plane = self.layout.shape.pixels_out();
        let part_rows = self.part.rows.len();
        let first_image = self.part.pixels.start / plane;
        let image = pixels.start / plane;
        // Of the part's pixels of this image, the first that the strip has.
        let at = pixels.start - self.part.pixels.start.max(image * plane);
        let first_plane = (image - first_image) * part_rows + row;
        let first_channel = self.part.group * self.layout.shape.group_out() + first_row;
        let is_last = start + matrix.len() >= self.layout.shape.depth();
        product(left, matrix, Start::Zero, tile);
        if pixels.len() == STRIP && self.part.planes[first_plane].len() >= at + STRIP {
            let first = (image * self.layout.shape.channels_out + first_channel) * plane + pixels.start
                - image * plane;
            for (row, numbers) in tile.iter_mut().enumerate() {
                let target = &mut self.part.planes[first_plane + row][at..];
                if let Some(target) = target.first_chunk_mut::<STRIP>() {
                    if start > 0 {
                        *numbers = std::array::from_fn(|column| numbers[column] + target[column]);
                    }
                    if is_last {
                        self.finish.all(first_channel + row, first + row * plane, numbers);
                    }
                    *target = *numbers;
                }
            }
            return;
        }
        for (row, numbers) in tile.iter_mut().enumerate() {
            let (mut numbers, mut index, mut at) = (&mut numbers[..pixels.len()], first_plane + row, at);
            let (mut image, mut pixel) = (image, pixels.start - image * plane);
            while !numbers.is_empty() {
                let target = &mut self.part.planes[index][at..];
                let (here, after) = numbers.split_at_mut(numbers.len().min(target.len()));
                let target = &mut target[..here.len()];
                if start > 0 {
                    for (number, target) in here.iter_mut().zip(&*target) {
                        *number += target;
                    }
                }
                if is_last {
                    let channel = first_channel + row;
                    let place = (image * self.layout.shape.channels_out + channel) * plane + pixel;
                    self.finish.all(channel, place, here);
                }
                target.copy_from_slice(here);
                (numbers, index, at) = (after, index + part_rows, 0);
                (image, pixel) = (image + 1, 0);
            }
        }
    }
}
