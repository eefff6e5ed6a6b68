//! Matrices in memory, and their way into the order in which [`product`](crate::product) reads them.

use macerator::Simd;

use crate::linear::Order;
use crate::lines::to_lines;
use crate::product::{STRIP, StripRow};
use crate::vector::{LINE, Line};

/// A matrix, all of whose numbers lie together.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    numbers: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    order: Order,
}

impl<'a> Matrix<'a> {
    /// # Panics
    /// If there are more or fewer numbers than the size says.
    pub(crate) fn new(numbers: &'a [f32], [rows, columns]: [usize; 2], order: Order) -> Self {
        assert_eq!(numbers.len(), rows * columns);
        Self { numbers, rows, columns, order }
    }

    /// # Panics
    /// If columns lie side by side.
    pub(crate) fn row(&self, index: usize) -> &'a [f32] {
        assert_eq!(self.order, Order::Rows);
        &self.numbers[index * self.columns..][..self.columns]
    }

    /// Some rows as the left factor: blocks of 16 columns, row after row in each, zeros beyond the last column.
    #[inline(always)]
    pub(crate) fn pack_left<S: Simd>(&self, first: usize, lines: &mut [Line]) {
        let rows = lines.len() / self.columns.div_ceil(LINE);
        match self.order {
            Order::Rows => {
                for (index, row) in
                    self.numbers[first * self.columns..].chunks_exact(self.columns).enumerate()
                {
                    if index == rows {
                        break;
                    }
                    for (block, numbers) in row.chunks(LINE).enumerate() {
                        lines[block * rows + index] = padded(numbers);
                    }
                }
            }
            Order::Columns => {
                for (block, lines) in lines.chunks_exact_mut(rows).enumerate() {
                    let columns = (self.columns - block * LINE).min(LINE);
                    to_lines::<S>(
                        &self.numbers[block * LINE * self.rows + first..],
                        self.rows,
                        columns,
                        lines,
                    );
                }
            }
        }
    }

    /// A strip of 32 columns as the right factor: a row after the other, zeros beyond the last column.
    #[inline(always)]
    pub(crate) fn pack_strip<S: Simd>(&self, strip: usize, rows: &mut [StripRow]) {
        match self.order {
            Order::Rows => {
                for (index, row) in rows.iter_mut().enumerate() {
                    let numbers = &self.numbers[index * self.columns..][strip * STRIP..self.columns];
                    *row = padded(&numbers[..numbers.len().min(STRIP)]);
                }
            }
            Order::Columns => {
                for half in (0..STRIP).step_by(LINE) {
                    let first = strip * STRIP + half;
                    let columns = self.columns.saturating_sub(first).min(LINE);
                    for (block, rows) in rows.chunks_mut(LINE).enumerate() {
                        let mut lines = [[0.0; LINE]; LINE];
                        let lines = &mut lines[..rows.len()];
                        if columns > 0 {
                            let source = &self.numbers[first * self.rows + block * LINE..];
                            to_lines::<S>(source, self.rows, columns, lines);
                        }
                        for (row, line) in rows.iter_mut().zip(lines) {
                            row[half..half + LINE].copy_from_slice(line);
                        }
                    }
                }
            }
        }
    }
}

/// With zeros beyond the last.
#[inline(always)]
pub(crate) fn padded<const N: usize>(numbers: &[f32]) -> [f32; N] {
    match numbers.first_chunk() {
        Some(whole) => *whole,
        None => {
            let mut padded = [0.0; N];
            padded[..numbers.len()].copy_from_slice(numbers);
            padded
        }
    }
}
