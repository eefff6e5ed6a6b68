//! The convolutions of an inverted residual block: a few rows of an image at a time go through all three, so that what is between them stays
//! in the second-level cache.

use std::ops::Range;

use rayon::prelude::*;

use super::super::Shape;
use super::depthwise;
use crate::finish::Finish;
use crate::fresh::{Fresh, filled};
use crate::linear::{Order, Strips, multiply_into};
use crate::matrix::Matrix;
use crate::memory::for_each_of;
use crate::product::pieces;
use crate::vector::LINE;

/// Numbers of expanded rows that a thread has at a time: 256 kB. Fewer in tests, whose images are small.
const EXPANDED: usize = if cfg!(test) { 1 << 13 } else { 1 << 16 };
/// Numbers of expanded maps that caches hold as they are: 1 MB.
const SMALL: usize = if cfg!(test) { 1 << 12 } else { 1 << 18 };
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
            && depthwise.batch * depthwise.pixels_in() * depthwise.channels_in >= SMALL
            && self.rows_at_a_time() > 0
    }

    /// Numbers of an expanded row.
    fn row(&self) -> usize {
        self.depthwise.input[1] * self.depthwise.channels_in
    }

    /// Of the output.
    fn rows_at_a_time(&self) -> usize {
        let [kernel, stride] = [self.depthwise.kernel[0], self.depthwise.stride[0]];
        (EXPANDED / self.row() + stride).saturating_sub(kernel) / stride
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
    /// `[taps, channels]`.
    pub(crate) kernels: &'a [f32],
    pub(crate) of_depthwise: Finish<'a>,
    pub(crate) project: Product<'a>,
}

impl Block<'_> {
    /// The output, `[batch, height, width, channels_out]`, of an input in the same order.
    pub(crate) fn forward(&self, input: &[f32]) -> Vec<f32> {
        let shape = &self.shapes.project;
        let (batch, rows) = (shape.batch, shape.output[0]);
        let row = shape.output[1] * shape.channels_out;
        // The rows where parts meet are expanded twice, so that images are cut only to keep all threads busy.
        let threads = rayon::current_num_threads();
        let even =
            |parts: &usize| batch * parts >= PARTS * threads || (batch * parts).is_multiple_of(threads);
        let cuts = (1..=rows).find(even).unwrap_or(rows);
        filled(batch * rows * row, |output| {
            let mut parts = Vec::with_capacity(batch * cuts);
            for (image, output) in output.chunks(rows * row).enumerate() {
                let mut rest = output;
                for (first, count) in pieces(rows, rows.div_ceil(cuts)) {
                    let (output, others) = rest.split_at(count * row);
                    parts.push((image, first..first + count, output));
                    rest = others;
                }
                rest.zeroed();
            }
            let multiplications = rows.div_ceil(cuts) * row * shape.channels_in;
            for_each_of(multiplications, parts.into_par_iter(), |(image, rows, output)| {
                self.part(input, image, rows, output);
            });
        })
    }

    /// Some rows of an image.
    fn part(&self, input: &[f32], image: usize, rows: Range<usize>, output: Fresh<'_>) {
        let Self { shapes, kernels, of_depthwise, project, .. } = self;
        let shape = &shapes.depthwise;
        let ([kernel, _], [stride, _], columns) = (shape.kernel, shape.stride, shape.output[1]);
        let mut expanded = Vec::new();
        // How many rows are expanded, counted from the image's first row with its padding.
        let mut done = 0;
        let mut rest = output;
        for (first, count) in pieces(rows.len(), shapes.rows_at_a_time()) {
            let first = rows.start + first;
            let seen = first * stride..(first + count - 1) * stride + kernel;
            expanded = self.expanded(input, image, seen.clone(), &expanded, done);
            done = seen.end;
            let few = Shape {
                batch: 1,
                input: [seen.len(), shape.input[1]],
                output: [count, columns],
                padding: [0, shape.padding[1]],
                ..*shape
            };
            let convolved = depthwise::few_rows(&few, &expanded, kernels, *of_depthwise);
            let pixels = Matrix::new(&convolved, [count * columns, shape.channels_out], Order::Rows);
            let (output, others) = rest.split_at(count * columns * project.strips.d_output);
            let place = (image * shape.output[0] + first) * columns;
            multiply_into(&pixels, project.strips, place, output, project.finish);
            rest = others;
        }
        rest.zeroed();
    }

    /// The expanded rows that are `seen`, of which those up to `done` are the last ones of `before`. Rows count from the padding on, which
    /// is zeros.
    fn expanded(
        &self,
        input: &[f32],
        image: usize,
        seen: Range<usize>,
        before: &[f32],
        done: usize,
    ) -> Vec<f32> {
        let shape = &self.shapes.depthwise;
        let ([height, width], row) = (shape.input, self.shapes.row());
        let kept = done.saturating_sub(seen.start);
        let inside = |padded: usize| padded.saturating_sub(shape.padding[0]).min(height);
        let (fresh, [start, end]) = (seen.start + kept, [inside(seen.start + kept), inside(seen.end)]);
        filled(seen.len() * row, |rows| {
            let (old, rows) = rows.split_at(kept * row);
            old.copied(&before[before.len() - kept * row..]);
            let (above, rows) =
                rows.split_at((start + shape.padding[0]).saturating_sub(fresh).min(seen.end - fresh) * row);
            above.zeroed();
            let (rows, below) = rows.split_at((end - start) * row);
            below.zeroed();
            let channels = input.len() / (shape.batch * height * width);
            let pixels =
                &input[(image * height + start) * width * channels..][..(end - start) * width * channels];
            match self.expand {
                Some(Product { strips, finish }) => {
                    let pixels = Matrix::new(pixels, [(end - start) * width, channels], Order::Rows);
                    multiply_into(&pixels, strips, 0, rows, finish);
                }
                None => _ = rows.copied(pixels),
            }
        })
    }
}
