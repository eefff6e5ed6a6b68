//! What recurrent kernels on flex share: sequences for the threads, weights in strips, and the way from there to whole
//! tensors.
//!
//! Each thread takes some sequences of the batch through all steps. Units are taken in groups of 32, each of whose gates are the columns of a
//! strip of the weight. The products go straight into the activations and the new state, while they are in the first-level cache; the whole
//! weight stays in the second-level cache from step to step.

use std::ops::Range;

use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{Shape, TensorData};
use macerator::Simd;
use rayon::prelude::*;

use crate::fresh::Fresh;
use crate::matrix::padded;
use crate::memory::{FlexTensor, for_each_of, values};
use crate::product::{Left, STRIP, Start, StripRow, TILE, most_rows, pieces, tile_product};
use crate::vector::{LINE, Line, fetch_strip};

/// Lines of a strip's row.
const LINES: usize = STRIP / LINE;

/// Whether the gates are needed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Nothing,
    /// For the backward pass.
    Gates,
}

/// The sizes of a recurrent layer and its sequences, which threads divide among them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recurrent {
    pub(crate) steps: usize,
    pub(crate) batch: usize,
    pub(crate) d_hidden: usize,
    /// Of a unit.
    gates: usize,
    /// Sequences of a job.
    rows: usize,
}

impl Recurrent {
    /// Of gates `[T, B, G D]`.
    pub(crate) fn of(projected: &FlexTensor, gates: usize) -> Self {
        let [steps, batch, wide] = projected.layout().shape().dims();
        let rows = batch.div_ceil(rayon::current_num_threads());
        Self { steps, batch, d_hidden: wide / gates, gates, rows }
    }

    /// Numbers of all gates of a sequence at a step.
    pub(crate) fn wide(self) -> usize {
        self.gates * self.d_hidden
    }

    pub(crate) fn groups(self) -> usize {
        self.d_hidden.div_ceil(STRIP)
    }

    /// The units of a group.
    pub(crate) fn units(self, group: usize) -> Range<usize> {
        group * STRIP..((group + 1) * STRIP).min(self.d_hidden)
    }

    pub(crate) fn jobs(self) -> usize {
        self.batch.div_ceil(self.rows)
    }

    /// The sequences of a job.
    pub(crate) fn sequences(self, job: usize) -> Range<usize> {
        job * self.rows..((job + 1) * self.rows).min(self.batch)
    }

    /// Numbers of all gates of all groups, with units that only fill the last one.
    fn padded(self) -> usize {
        self.groups() * self.gates * STRIP
    }

    /// Which of a unit's gates a strip has, and of which units.
    fn content(self, strip: usize) -> (usize, Range<usize>) {
        (strip % self.gates, self.units(strip / self.gates))
    }

    /// The strips of a weight `[D, G D]`, one after the other; zeros for units that only fill the last group. Of a bias
    /// `[G D]`, a row for each strip.
    pub(crate) fn strips(self, weight: &[f32]) -> Vec<StripRow> {
        let rows = weight.len() / self.wide();
        let mut strips = vec![[0.0; STRIP]; self.padded() / STRIP * rows];
        for_each_of(MOVED * rows * STRIP, strips.par_chunks_mut(rows).enumerate(), |(strip, numbers)| {
            let (gate, units) = self.content(strip);
            for (numbers, row) in numbers.iter_mut().zip(weight.chunks_exact(self.wide())) {
                *numbers = padded(&row[gate * self.d_hidden..][units.clone()]);
            }
        });
        strips
    }

    /// The strip of a group's gate, of [all](Self::strips).
    #[inline(always)]
    pub(crate) fn strip(self, strips: &[StripRow], group: usize, gate: usize) -> &[StripRow] {
        let strip = group * self.gates + gate;
        &strips[strip * self.d_hidden..(strip + 1) * self.d_hidden]
    }

    /// Asks for what a gate of the next group starts from, or of the next step's first group, for some sequences: it comes from memory
    /// while this group is computed.
    #[inline(always)]
    pub(crate) fn fetch_next(
        self,
        projected: &[f32],
        [step, group, gate]: [usize; 3],
        sequences: Range<usize>,
    ) {
        let next = group + 1;
        let (step, group) = if next < self.groups() { (step, next) } else { (step + 1, 0) };
        for row in sequences {
            let place =
                (step * self.batch + row) * self.wide() + gate * self.d_hidden + self.units(group).start;
            fetch_strip(projected.get(place..).unwrap_or_default());
        }
    }

    /// The strips of the transpose, their rows in the order of the gates of the groups.
    pub(crate) fn transposed_strips(self, weight: &[f32]) -> Vec<StripRow> {
        let rows = self.padded();
        let mut strips = vec![[0.0; STRIP]; self.d_hidden.div_ceil(STRIP) * rows];
        for_each_of(MOVED * rows * STRIP, strips.par_chunks_mut(rows).enumerate(), |(strip, rows)| {
            for (place, numbers) in rows.iter_mut().enumerate() {
                let (gate, mut units) = self.content(place / STRIP);
                let Some(unit) = units.nth(place % STRIP) else { continue };
                for (number, row) in numbers.iter_mut().zip(strip * STRIP..self.d_hidden) {
                    *number = weight[row * self.wide() + gate * self.d_hidden + unit];
                }
            }
        });
        strips
    }

    /// States `[rows, D]` as the left factor of products.
    pub(crate) fn lines(self, states: &[f32]) -> Vec<Line> {
        let mut lines = blocks(states, self.d_hidden);
        lines.resize(self.groups() * LINES * (states.len() / self.d_hidden), [0.0; LINE]);
        lines
    }

    /// Room for the gates of so many sequences as the left factor of products.
    pub(crate) fn lines_of_gates(self, rows: usize) -> Vec<Line> {
        vec![[0.0; LINE]; self.padded() / LINE * rows]
    }

    /// The part of each job in states `[B, D]`.
    pub(crate) fn parts(self, states: &mut [f32]) -> impl IndexedParallelIterator<Item = &mut [f32]> {
        states.par_chunks_mut(self.rows * self.d_hidden)
    }

    /// Adds to the gradient `[rows, D]` of the state before a step what comes through the weight, from its
    /// [transposed strips](Self::transposed_strips) and from the gradients of the gates, in blocks of 16.
    #[inline(always)]
    pub(crate) fn add_gradient<S: Simd>(self, gates: &[Line], strips: &[StripRow], hidden: &mut [f32]) {
        let rows = hidden.len() / self.d_hidden;
        let mut tile = [[0.0; STRIP]; TILE];
        for (strip, numbers) in strips.chunks_exact(self.padded()).enumerate() {
            let columns = strip * STRIP..((strip + 1) * STRIP).min(self.d_hidden);
            for (start, count) in pieces(rows, most_rows::<S>()) {
                let tile = &mut tile[..count];
                tile_product::<S>(Left { lines: &gates[start..], block: rows }, numbers, Start::Zero, tile);
                for (row, numbers) in (start..).zip(tile) {
                    for (sum, number) in
                        hidden[row * self.d_hidden..][columns.clone()].iter_mut().zip(numbers)
                    {
                        *sum += *number;
                    }
                }
            }
        }
    }

    /// What each job has of the memory of a tensor `[..., B, width]`: at each step, its sequences.
    pub(crate) fn divided(self, mut memory: Fresh<'_>, width: usize) -> Vec<Vec<Fresh<'_>>> {
        let mut jobs: Vec<Vec<Fresh<'_>>> = (0..self.jobs()).map(|_| Vec::new()).collect();
        while !memory.is_empty() {
            for (index, job) in jobs.iter_mut().enumerate() {
                let part;
                (part, memory) = memory.split_at(self.sequences(index).len() * width);
                job.push(part);
            }
        }
        jobs
    }

    /// The gradient of the weight, from the first state `[B, D]`, the states after each step `[T, B, D]` (and what may come
    /// after them), and the gradients of what the states contributed to the gates, `[T B, G D]`.
    pub(crate) fn weight_gradient(
        self,
        hidden: &FlexTensor,
        states: &FlexTensor,
        gates: FlexTensor,
    ) -> FlexTensor {
        let Self { steps, batch, d_hidden, .. } = self;
        let before = [values(hidden), &values(states)[..(steps - 1) * batch * d_hidden]].concat();
        Flex::float_matmul(Flex::float_transpose(tensor(before, [steps * batch, d_hidden])), gates)
    }
}

/// Multiplications that take as long as moving a number.
const MOVED: usize = 16;

/// Puts a row of a strip, the units of a group or one of their gates, to its place in the left factor, which has so many rows.
#[inline(always)]
pub(crate) fn put_row(numbers: &StripRow, strip: usize, row: usize, rows: usize, lines: &mut [Line]) {
    for (line, numbers) in numbers.as_chunks::<LINE>().0.iter().enumerate() {
        lines[(strip * LINES + line) * rows + row] = *numbers;
    }
}

/// A tensor of `numbers`.
pub(crate) fn tensor(numbers: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(numbers, shape.into()))
}

/// Rows of `width` numbers as blocks of `N`: in each the numbers of one row after those of the row before, and zeros at the
/// end of a row.
pub(crate) fn blocks<const N: usize>(numbers: &[f32], width: usize) -> Vec<[f32; N]> {
    let rows = numbers.len() / width;
    let mut blocks = vec![[0.0; N]; width.div_ceil(N) * rows];
    for (row, numbers) in numbers.chunks_exact(width).enumerate() {
        for (block, numbers) in numbers.chunks(N).enumerate() {
            blocks[block * rows + row][..numbers.len()].copy_from_slice(numbers);
        }
    }
    blocks
}

/// The way back.
pub(crate) fn from_blocks<const N: usize>(blocks: &[[f32; N]], width: usize, numbers: &mut [f32]) {
    let rows = numbers.len() / width;
    for (row, numbers) in numbers.chunks_exact_mut(width).enumerate() {
        for (block, numbers) in numbers.chunks_mut(N).enumerate() {
            numbers.copy_from_slice(&blocks[block * rows + row][..numbers.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{blocks, from_blocks};

    #[test]
    fn blocks_and_back() {
        for width in [1, 7, 8, 9, 31] {
            let numbers: Vec<f32> = (1..=3 * width).map(|number| number as f32).collect();
            let blocks = blocks::<8>(&numbers, width);
            assert_eq!(blocks.len(), 3 * width.div_ceil(8));
            assert_eq!(blocks[1][0], numbers[width]);
            let mut back = vec![0.0; numbers.len()];
            from_blocks(&blocks, width, &mut back);
            assert_eq!(back, numbers);
        }
    }
}
