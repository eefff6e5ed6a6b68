//! What a kernel sees of the input at each of its positions, as rows of a matrix (im2col), and the way back.
//!
//! Output pixels are counted through the whole batch, row by row. The input's planes are [padded](super::padded).

use std::ops::Range;

use super::padded::Layout;

/// Neighbouring output pixels of one row.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// The place of the first in the planes of channel 0.
    place: usize,
    /// Of the columns.
    block: usize,
    /// From the block's first column.
    at: usize,
    len: usize,
}

/// Reads and writes patches, as a matrix whose columns fall into blocks. Keeps memory from call to call.
pub(super) struct Patches<'a> {
    layout: Layout<'a>,
    /// Planes from an image to the next.
    channels: usize,
    /// Columns of a block.
    width: usize,
    runs: Vec<Run>,
}

impl<'a> Patches<'a> {
    /// Of planes of which an image has `channels`, in blocks of `width` columns.
    pub(super) fn new(layout: Layout<'a>, channels: usize, width: usize) -> Self {
        Self { layout, channels, width, runs: Vec::new() }
    }

    /// Chooses the columns of the matrix: output pixels.
    #[inline(always)]
    pub(super) fn select(&mut self, pixels: Range<usize>) {
        let [height, width] = self.layout.shape.output;
        self.runs.clear();
        let mut pixel = pixels.start;
        while pixel < pixels.end {
            let (row, column) = (pixel / width, pixel % width);
            let (block, at) = ((pixel - pixels.start) / self.width, (pixel - pixels.start) % self.width);
            let len = (width - column).min(pixels.end - pixel).min(self.width - at);
            let image = row / height * self.channels * self.layout.len();
            let place = image + self.layout.pixel(row % height, column);
            self.runs.push(Run { place, block, at, len });
            pixel += len;
        }
    }

    /// Copies rows `depths` of the matrix: row `d` is element `d` of the weights of an output channel, in the order of their
    /// memory, counted from channel `first_channel` on. In each block, which starts `block` numbers of `matrix` after the one
    /// before, a row follows the other; numbers beyond the pixels keep their values.
    #[inline(always)]
    pub(super) fn gather(
        &self,
        planes: &[f32],
        first_channel: usize,
        depths: Range<usize>,
        matrix: &mut [f32],
        block: usize,
    ) {
        let taps = self.layout.shape.taps();
        for (row, depth) in depths.enumerate() {
            let channel = (first_channel + depth / taps) * self.layout.len();
            let planes = &planes[channel + self.layout.tap(depth % taps)..];
            for run in &self.runs {
                let to = run.block * block + row * self.width + run.at;
                copy(&planes[run.place..run.place + run.len], &mut matrix[to..to + run.len]);
            }
        }
    }

    /// Adds rows `depths` of a matrix of one block, as [`gather`](Self::gather) reads it, to the planes, which are those from
    /// `first_depth` on.
    #[inline(always)]
    pub(super) fn scatter(
        &self,
        planes: &mut [f32],
        first_depth: usize,
        depths: Range<usize>,
        matrix: &[f32],
    ) {
        let taps = self.layout.shape.taps();
        for (depth, row) in depths.zip(matrix.chunks_exact(self.width)) {
            let channel = (depth - first_depth) / taps * self.layout.len();
            let planes = &mut planes[channel + self.layout.tap(depth % taps)..];
            for run in &self.runs {
                let target = &mut planes[run.place..run.place + run.len];
                for (target, &number) in target.iter_mut().zip(&row[run.at..run.at + run.len]) {
                    *target += number;
                }
            }
        }
    }
}

/// A copy of a few numbers, without the call that a copy of unknown length is.
#[inline(always)]
fn copy(source: &[f32], target: &mut [f32]) {
    let (sources, source) = source.as_chunks::<8>();
    let (targets, target) = target.as_chunks_mut::<8>();
    for (target, source) in targets.iter_mut().zip(sources) {
        *target = *source;
    }
    for (target, source) in target.iter_mut().zip(source) {
        *target = *source;
    }
}
