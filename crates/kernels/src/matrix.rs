//! Matrices in memory, and their way into the order in which [`product`](crate::product) reads them.

use std::ops::Range;

use macerator::Simd;

use crate::linear::Order;
use crate::lines::to_lines;
use crate::product::{STRIP, StripRow};
use crate::vector::{LINE, Line, fetch_strip};

/// A matrix, or a part of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a> {
    /// From the first element on.
    numbers: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Numbers from a row, or a column, to the next.
    step: usize,
    order: Order,
}

impl<'a> Matrix<'a> {
    /// A matrix that has all of the numbers.
    ///
    /// # Panics
    /// If there are more or fewer than the size says.
    pub(crate) fn new(numbers: &'a [f32], [rows, columns]: [usize; 2], order: Order) -> Self {
        assert_eq!(numbers.len(), rows * columns);
        let step = match order {
            Order::Rows => columns,
            Order::Columns => rows,
        };
        Self { numbers, rows, columns, step, order }
    }

    /// Rows that lie `step` numbers apart.
    pub(crate) fn of_rows(numbers: &'a [f32], [rows, columns]: [usize; 2], step: usize) -> Self {
        Self { numbers, rows, columns, step, order: Order::Rows }
    }

    pub(crate) fn transposed(self) -> Self {
        let order = match self.order {
            Order::Rows => Order::Columns,
            Order::Columns => Order::Rows,
        };
        Self { rows: self.columns, columns: self.rows, order, ..self }
    }

    /// # Panics
    /// If columns lie side by side.
    #[inline(always)]
    pub(crate) fn row(&self, index: usize) -> &'a [f32] {
        assert_eq!(self.order, Order::Rows);
        &self.numbers[index * self.step..][..self.columns]
    }

    /// Some of the rows.
    #[inline(always)]
    pub(crate) fn narrowed(self, rows: Range<usize>) -> Self {
        let start = match self.order {
            Order::Rows => rows.start * self.step,
            Order::Columns => rows.start,
        };
        Self { numbers: &self.numbers[start..], rows: rows.len(), ..self }
    }

    /// What lies side by side.
    pub(crate) fn order(&self) -> Order {
        self.order
    }

    /// Some rows as the left factor: blocks of 16 columns, row after row in each, zeros beyond the last column.
    #[inline(always)]
    pub(crate) fn pack_left<S: Simd>(&self, first: usize, lines: &mut [Line]) {
        let rows = lines.len() / self.columns.div_ceil(LINE);
        match self.order {
            Order::Rows => {
                for index in 0..rows {
                    let (whole, rest) = self.row(first + index).as_chunks::<LINE>();
                    let mut places = lines[index..].iter_mut().step_by(rows);
                    for (line, place) in whole.iter().zip(&mut places) {
                        *place = *line;
                    }
                    if let Some(place) = places.next() {
                        *place = padded(rest);
                    }
                }
            }
            Order::Columns => {
                for (block, lines) in lines.chunks_exact_mut(rows).enumerate() {
                    let columns = (self.columns - block * LINE).min(LINE);
                    let source = &self.numbers[block * LINE * self.step + first..];
                    to_lines::<S>(source, self.step, columns, lines);
                }
            }
        }
    }

    /// Asks for the cache lines that some rows of a strip lie in, if there is such a strip, and columns don't lie side by side.
    #[inline(always)]
    pub(crate) fn fetch(&self, strip: usize, rows: Range<usize>) {
        if self.order == Order::Rows && strip * STRIP < self.columns {
            for row in rows {
                fetch_strip(&self.row(row)[strip * STRIP..]);
            }
        }
    }

    /// A strip of 32 columns as the right factor: a row after the other, zeros beyond the last column.
    #[inline(always)]
    pub(crate) fn pack_strip<S: Simd>(&self, strip: usize, rows: &mut [StripRow]) {
        match self.order {
            Order::Rows => {
                for (index, row) in rows.iter_mut().enumerate() {
                    let numbers = &self.row(index)[strip * STRIP..];
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
                            let source = &self.numbers[first * self.step + block * LINE..];
                            to_lines::<S>(source, self.step, columns, lines);
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
