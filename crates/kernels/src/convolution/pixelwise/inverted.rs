//! The convolutions of an inverted residual block: a few rows of an image at a time go through all three, so that what is between them stays
//! in the second-level cache.

use std::ops::Range;

use rayon::prelude::*;

use super::super::Shape;
use super::blocked;
use crate::finish::Finish;
use crate::fresh::{Fresh, filled};
use crate::linear::{Order, Packed, Products, Rows, Strips, VECTORS, multiply_packed};
use crate::matrix::{Matrix, padded};
use crate::memory::for_each_of;
use crate::product::{STRIP, StripRow, in_pieces, pieces};
use crate::scratch::Scratch;
use crate::vector::{LINE, Line};

/// Numbers of expanded rows that a thread has at a time: 256 kB. Fewer in tests, whose images are small.
const EXPANDED: usize = if cfg!(test) { 9 << 10 } else { 1 << 16 };
/// So many parts for each thread come out even.
const PARTS: usize = 4;

/// The sizes of the three.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockShapes {
    /// Pointwise, if it is there.
    pub(crate) expand: Option<Shape>,
    pub(crate) depthwise: Shape,
    /// Pointwise.
    pub(crate) project: Shape,
}

impl BlockShapes {
    /// Whether it is better to compute them together.
    pub(crate) fn pays(&self) -> bool {
        let Self { expand, depthwise, project } = self;
        depthwise.is_depthwise()
            && depthwise.dilation == [1, 1]
            && depthwise.channels_in >= LINE
            && project.is_pointwise()
            && project.groups == 1
            && project.channels_out >= LINE
            && expand.is_none_or(|expand| expand.is_pointwise() && expand.groups == 1)
            && depthwise.batch > 0
            && self.rows_at_a_time() > 0
            && self.expands_few_twice()
    }

    /// Parts of an image. The rows where parts meet are expanded twice, so that images are cut only to keep all threads busy.
    fn parts(&self) -> usize {
        let (batch, rows) = (self.depthwise.batch, self.depthwise.output[0]);
        let threads = rayon::current_num_threads();
        let are_even =
            |parts: &usize| batch * parts >= PARTS * threads || (batch * parts).is_multiple_of(threads);
        (1..=rows).find(are_even).unwrap_or(rows)
    }

    /// Whether parts have at least twice the rows that they share with the next.
    fn expands_few_twice(&self) -> bool {
        let [kernel, stride] = [self.depthwise.kernel[0], self.depthwise.stride[0]];
        let parts = self.parts();
        parts == 1 || self.depthwise.output[0] / parts * stride >= 2 * kernel.saturating_sub(stride)
    }

    /// Pixels of an expanded row, with its padding.
    fn pitch(&self) -> usize {
        self.depthwise.input[1] + 2 * self.depthwise.padding[1]
    }

    /// Of 16 channels.
    fn blocks(&self) -> usize {
        self.depthwise.channels_in.div_ceil(LINE)
    }

    /// Of the output.
    fn rows_at_a_time(&self) -> usize {
        let [kernel, stride] = [self.depthwise.kernel[0], self.depthwise.stride[0]];
        (EXPANDED / (self.pitch() * self.blocks() * LINE) + stride).saturating_sub(kernel) / stride
    }
}

/// A matrix, and what is done with the products.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) strips: &'a Strips<'a>,
    pub(crate) finish: Finish<'a>,
}

/// The block.
pub(crate) struct Block<'a> {
    pub(crate) shapes: &'a BlockShapes,
    pub(crate) expand: Option<Product<'a>>,
    /// `[channels, taps]`.
    pub(crate) kernels: &'a [f32],
    pub(crate) of_depthwise: Finish<'a>,
    pub(crate) project: Product<'a>,
}

impl Block<'_> {
    /// The output, `[batch, height, width, channels_out]`, of an input in the same order.
    pub(crate) fn forward(&self, input: &[f32]) -> Vec<f32> {
        let kernels = &blocked::kernels(self.kernels, self.shapes.depthwise.taps());
        let shape = &self.shapes.project;
        let (batch, rows) = (shape.batch, shape.output[0]);
        let row = shape.output[1] * shape.channels_out;
        let cuts = self.shapes.parts();
        filled(batch * rows * row, |output| {
            let mut parts = Vec::with_capacity(batch * cuts);
            for (image, output) in output.chunks(rows * row).enumerate() {
                let mut rest = output;
                for (first, count) in in_pieces(rows, cuts) {
                    let (output, others) = rest.split_at(count * row);
                    parts.push((image, first..first + count, output));
                    rest = others;
                }
                rest.zeroed();
            }
            let multiplications = rows.div_ceil(cuts) * row * shape.channels_in;
            for_each_of(multiplications, parts.into_par_iter(), |(image, rows, output)| {
                self.part(input, kernels, image, rows, output);
            });
        })
    }

    /// Some rows of an image.
    fn part(&self, input: &[f32], kernels: &[Line], image: usize, rows: Range<usize>, output: Fresh<'_>) {
        let Self { shapes, of_depthwise, project, .. } = self;
        let shape = &shapes.depthwise;
        let ([kernel, _], [stride, _], columns) = (shape.kernel, shape.stride, shape.output[1]);
        let mut expanded = Scratch::new(0);
        // How many rows are expanded, counted from the image's first row with its padding.
        let mut done = 0;
        let mut rest = output;
        for (first, count) in pieces(rows.len(), shapes.rows_at_a_time()) {
            let first = rows.start + first;
            let seen = first * stride..(first + count - 1) * stride + kernel;
            expanded = self.expanded(input, image, seen.clone(), &expanded, done);
            done = seen.end;
            let pixels = count * columns;
            let mut convolved = Scratch::new(shapes.blocks() * pixels * LINE);
            let (input, pitch) = (expanded.as_chunks().0, shapes.pitch());
            blocked::PaddedRows { shape, input, pitch, kernels, finish: *of_depthwise }
                .convolve(pixels, convolved.as_chunks_mut().0);
            let convolved = Packed::of_lines(project.strips, pixels, convolved);
            let (output, others) = rest.split_at(pixels * project.strips.d_output);
            let place = (image * shape.output[0] + first) * columns;
            let of_all = [place, shape.batch * shape.pixels_out()];
            Rows::write(output.chunks(project.strips.d_output), |rows| {
                multiply_packed(&convolved, project.strips, of_all, rows, project.finish);
            });
            rest = others;
        }
        rest.zeroed();
    }

    /// The expanded rows that are `seen`, of which those up to `done` are the last ones of `before`, in blocks. Rows count from the padding
    /// on, which is zeros.
    fn expanded(
        &self,
        input: &[f32],
        image: usize,
        seen: Range<usize>,
        before: &[f32],
        done: usize,
    ) -> Scratch {
        let shape = &self.shapes.depthwise;
        let ([height, width], [above, beside]) = (shape.input, shape.padding);
        let (blocks, pitch) = (self.shapes.blocks(), self.shapes.pitch());
        let mut expanded = Scratch::new(blocks * seen.len() * pitch * LINE);
        let lines = expanded.as_chunks_mut::<LINE>().0;
        let before = before.as_chunks::<LINE>().0;
        let rows_kept = done.saturating_sub(seen.start);
        let inside = |padded: usize| padded.saturating_sub(above).min(height);
        let [start, end] = [seen.start + rows_kept, seen.end].map(inside);
        let kept = rows_kept * pitch;
        // Of a block, what is expanded now.
        let line = |row: usize| (row + above).saturating_sub(seen.start) * pitch;
        let [first, last] = [start, end].map(|row| line(row).clamp(kept, seen.len() * pitch));
        for (block, lines) in lines.chunks_exact_mut(seen.len() * pitch).enumerate() {
            let before = &before[..before.len() / blocks * (block + 1)];
            lines[..kept].copy_from_slice(&before[before.len() - kept..]);
            lines[kept..first].fill([0.0; LINE]);
            lines[last..].fill([0.0; LINE]);
            for row in lines[first..last].chunks_exact_mut(pitch) {
                row[..beside].fill([0.0; LINE]);
                row[beside + width..].fill([0.0; LINE]);
            }
        }
        let channels = input.len() / (shape.batch * height * width);
        let pixels = [(end - start) * width, channels];
        let input = &input[(image * height + start) * width * channels..][..pixels[0] * channels];
        match self.expand {
            Some(Product { strips, finish }) => {
                let input = Matrix::new(input, pixels, Order::Rows);
                for (pixel, count) in pieces(pixels[0], VECTORS) {
                    let row = first + pixel / width * pitch + beside;
                    let block = seen.len() * pitch;
                    let mut places = Places { lines, block, row, column: pixel % width, pitch, width };
                    let pixels = Packed::new(strips, input, pixel..pixel + count);
                    let of_all = [0, shape.batch * shape.pixels_in()];
                    multiply_packed(&pixels, strips, of_all, &mut places, finish);
                }
            }
            None => {
                for (block, lines) in lines.chunks_exact_mut(seen.len() * pitch).enumerate() {
                    let rows = lines[first..].chunks_exact_mut(pitch);
                    for (lines, row) in rows.zip(input.chunks_exact(width * channels)) {
                        let lines = lines[beside..].iter_mut();
                        for (line, pixel) in lines.zip(row.chunks_exact(channels)) {
                            *line = padded(&pixel[block * LINE..]);
                        }
                    }
                }
            }
        }
        expanded
    }
}

/// Pixels of an image in blocks, one after the other through its rows.
struct Places<'a> {
    lines: &'a mut [Line],
    /// Lines of a block.
    block: usize,
    /// Where the first pixel's row starts in a block.
    row: usize,
    /// Of the first pixel.
    column: usize,
    /// Lines from a row to the next.
    pitch: usize,
    /// Pixels of a row.
    width: usize,
}

impl Products for Places<'_> {
    #[inline(always)]
    fn put(&mut self, strip: usize, sums: &[StripRow]) {
        let Self { block, pitch, width, .. } = *self;
        let first = strip * STRIP / LINE;
        let blocks = self.lines.chunks_exact_mut(block).skip(first);
        for (half, lines) in blocks.take(STRIP / LINE).enumerate() {
            let (mut row, mut column, mut sums) = (self.row, self.column, sums);
            while !sums.is_empty() {
                let (here, below) = sums.split_at(sums.len().min(width - column));
                for (line, sums) in lines[row + column..].iter_mut().zip(here) {
                    *line = sums.as_chunks().0[half];
                }
                (row, column, sums) = (row + pitch, 0, below);
            }
        }
    }
}
