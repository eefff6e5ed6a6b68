//! Planes with their padding, sorted by `column % stride`: every element of the kernel meets neighbouring numbers there, whatever
//! the stride, and no border needs code of its own.

use super::shape::Shape;
use crate::vector::LINE;

/// How a plane lies in memory: `[row, column % stride, column / stride]`, rows and columns counted from the padding's start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout<'a> {
    pub(crate) shape: &'a Shape,
    /// Numbers of a row that have the same `column % stride`.
    pub(crate) pitch: usize,
}

impl<'a> Layout<'a> {
    pub(crate) fn new(shape: &'a Shape) -> Self {
        let columns = (shape.input[1] + 2 * shape.padding[1]).div_ceil(shape.stride[1]);
        let layout = Self { shape, pitch: 0 };
        Self { pitch: columns.max(shape.output[1] + layout.reach()), ..layout }
    }

    /// With room for whole lines behind the last output of a row and the last input.
    pub(crate) fn of_whole_lines(shape: &'a Shape) -> Self {
        let layout = Self::new(shape);
        let inputs = (shape.input[1] + shape.padding[1]).div_ceil(shape.stride[1]);
        let whole = inputs.max(shape.output[1]).next_multiple_of(LINE) + layout.reach();
        Self { pitch: layout.pitch.max(whole), ..layout }
    }

    /// Places from the first element of the kernel to the last.
    pub(crate) fn reach(&self) -> usize {
        (self.shape.kernel[1] - 1) * self.shape.dilation[1] / self.shape.stride[1]
    }

    /// Numbers of a row.
    #[inline(always)]
    pub(crate) fn row(&self) -> usize {
        self.pitch * self.shape.stride[1]
    }

    /// Numbers of a plane.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        (self.shape.input[0] + 2 * self.shape.padding[0]) * self.row()
    }

    /// Where an element of the kernel lies, seen from the place of the output pixel.
    #[inline(always)]
    pub(crate) fn tap(&self, index: usize) -> usize {
        let (row, column) = (index / self.shape.kernel[1], index % self.shape.kernel[1]);
        let (row, column) = (row * self.shape.dilation[0], column * self.shape.dilation[1]);
        let stride = self.shape.stride[1];
        row * self.row() + column % stride * self.pitch + column / stride
    }

    /// The place of an output pixel, where the kernel's first element lies.
    #[inline(always)]
    pub(crate) fn pixel(&self, row: usize, column: usize) -> usize {
        row * self.shape.stride[0] * self.row() + column
    }

    /// Copies a plane into its layout, with `around` on all sides.
    pub(crate) fn fill(&self, plane: &[f32], around: f32, padded: &mut [f32]) {
        padded.fill(around);
        let (stride, padding, width) = (self.shape.stride[1], self.shape.padding[1], self.shape.input[1]);
        let rows = padded.chunks_exact_mut(self.row()).skip(self.shape.padding[0]);
        for (target, row) in rows.zip(plane.chunks_exact(width.max(1))) {
            if stride == 1 {
                target[padding..padding + width].copy_from_slice(row);
                continue;
            }
            for (phase, target) in target.chunks_exact_mut(self.pitch).enumerate() {
                let (first, place) = self.first(phase);
                let row = row.get(first..).unwrap_or_default();
                let target = &mut target[place..];
                if stride == 2 {
                    // Whole pairs, so that vector instructions can do it.
                    let (pairs, rest) = row.as_chunks::<2>();
                    for (target, pair) in target.iter_mut().zip(pairs) {
                        *target = pair[0];
                    }
                    if let Some(&number) = rest.first() {
                        target[pairs.len()] = number;
                    }
                } else {
                    for (target, &number) in target.iter_mut().zip(row.iter().step_by(stride)) {
                        *target = number;
                    }
                }
            }
        }
    }

    /// Copies a plane out of its layout, without the padding.
    pub(crate) fn unfill(&self, padded: &[f32], plane: &mut [f32]) {
        let width = self.shape.input[1];
        let rows = padded.chunks_exact(self.row()).skip(self.shape.padding[0]);
        for (row, source) in plane.chunks_exact_mut(width.max(1)).zip(rows) {
            for (phase, source) in source.chunks_exact(self.pitch).enumerate() {
                self.unfill_phase(phase, source, row);
            }
        }
    }

    /// Copies the numbers of a row that have the same `column % stride` to their places.
    #[inline(always)]
    pub(crate) fn unfill_phase(&self, phase: usize, source: &[f32], row: &mut [f32]) {
        let (first, place) = self.first(phase);
        let (Some(row), Some(source)) = (row.get_mut(first..), source.get(place..)) else { return };
        match self.shape.stride[1] {
            1 => row.copy_from_slice(&source[..row.len()]),
            2 => {
                let (pairs, rest) = row.as_chunks_mut::<2>();
                if let (Some(number), Some(&source)) = (rest.first_mut(), source.get(pairs.len())) {
                    *number = source;
                }
                for (pair, &number) in pairs.iter_mut().zip(source) {
                    pair[0] = number;
                }
            }
            stride => {
                for (number, &source) in row.iter_mut().step_by(stride).zip(source) {
                    *number = source;
                }
            }
        }
    }

    /// The first column of the plane in a phase, and its place.
    #[inline(always)]
    fn first(&self, phase: usize) -> (usize, usize) {
        let (stride, padding) = (self.shape.stride[1], self.shape.padding[1]);
        let first = (phase + stride - padding % stride) % stride;
        (first, (first + padding) / stride)
    }
}
