//! An LSTM on flex: each thread takes some sequences of the batch through all steps.
//!
//! Units are taken in groups of eight, whose 32 gates are the columns of a strip of the weight. A strip's product goes
//! straight into the activations and the new state, while it is in registers and the first-level cache; the whole weight
//! stays in the second-level cache from step to step.

use std::ops::Range;
use std::sync::Arc;

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::Shape;
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::extension::{LstmGradient, LstmOps};
use crate::memory::{FlexTensor, contiguous, for_each, values};
use crate::product::{Left, STRIP, Start, StripRow, TILE, most_rows, pieces, tile_product};
use crate::recurrent::{Gates, Recurrent, blocks, from_blocks, tensor};
use crate::scalar::{sigmoid, tanh};
use crate::vector::{LINE, Line};

/// `i`, `f`, `g` and `o`.
const GATES: Gates = Gates { count: 4, group: GROUP };

/// Units of a group.
const GROUP: usize = STRIP / 4;

/// A number for each unit of a group.
type Units = [f32; GROUP];

impl LstmOps for Flex {
    fn lstm(
        projected: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        cell: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let shape = Recurrent::of(&projected, GATES);
        forward(shape, [&projected, &weight, &hidden, &cell].map(|input| contiguous(input.clone())), None)
    }
}

impl LstmGradient for Flex {
    type Kept = Arc<Kept>;

    fn lstm_keeping(
        projected: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        cell: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, Arc<Kept>) {
        let shape = Recurrent::of(&projected, GATES);
        let [projected, weight, hidden, cell] = [projected, weight, hidden, cell].map(contiguous);
        let mut jobs = Vec::new();
        let inputs = [projected, weight.clone(), hidden.clone(), cell.clone()];
        let output = forward(shape, inputs, Some(&mut jobs));
        let kept = Kept { shape, weight, hidden, cell, output: output.clone(), jobs };
        (output, Arc::new(kept))
    }

    fn lstm_gradients(kept: &Arc<Kept>, gradient: FloatTensor<Self>) -> [FloatTensor<Self>; 4] {
        backward(kept, &contiguous(gradient))
    }
}

/// What the backward pass needs.
#[derive(Debug)]
pub(crate) struct Kept {
    shape: Recurrent,
    weight: FlexTensor,
    hidden: FlexTensor,
    cell: FlexTensor,
    output: FlexTensor,
    jobs: Vec<Trace>,
}

/// What happened to the sequences of one thread: at each step and for each group of units, a row for each sequence.
#[derive(Debug, Default)]
struct Trace {
    /// After their activation.
    gates: Vec<StripRow>,
    cells: Vec<Units>,
}

fn forward(shape: Recurrent, inputs: [FlexTensor; 4], kept: Option<&mut Vec<Trace>>) -> FlexTensor {
    let [projected, weight, hidden, cell] = inputs.each_ref().map(values);
    let strips = shape.strips(weight);
    let keep = kept.is_some();
    let mut jobs: Vec<ForwardJob> = (0..shape.jobs()).map(|_| ForwardJob::default()).collect();
    for_each(jobs.par_iter_mut().enumerate(), |(index, job)| {
        let (strips, sequences) = (&strips, shape.sequences(index));
        AutoArch::new().dispatch(Forward { shape, sequences, strips, projected, hidden, cell, keep, job });
    });
    let steps = shape.steps + 1;
    let output = shape.joined(jobs.iter().map(|job| &job.states[..]), steps);
    if let Some(kept) = kept {
        kept.extend(jobs.into_iter().map(|job| job.trace));
    }
    tensor(output, [steps, shape.batch, shape.d_hidden])
}

#[derive(Default)]
struct ForwardJob {
    /// `h` after each step, then the last `c`, of this job's sequences.
    states: Vec<f32>,
    trace: Trace,
}

/// Takes sequences through all steps.
struct Forward<'a> {
    shape: Recurrent,
    sequences: Range<usize>,
    strips: &'a [StripRow],
    projected: &'a [f32],
    hidden: &'a [f32],
    cell: &'a [f32],
    keep: bool,
    job: &'a mut ForwardJob,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { shape, sequences, strips, projected, hidden, cell, keep, job } = self;
        let Recurrent { steps, batch, d_hidden, .. } = shape;
        let (groups, first, rows) = (shape.groups(), sequences.start, sequences.len());
        let states = first * d_hidden..sequences.end * d_hidden;
        // The state before, as the product takes it, and the state after.
        let mut before: Vec<Line> = blocks(&hidden[states.clone()], d_hidden);
        let mut after = before.clone();
        let mut cells: Vec<Units> = blocks(&cell[states], d_hidden);
        job.states = vec![0.0; (steps + 1) * rows * d_hidden];
        if keep {
            job.trace.gates.reserve(steps * groups * rows);
            job.trace.cells.reserve(steps * groups * rows);
        }
        let mut tile = [[0.0; STRIP]; TILE];
        for (step, states) in job.states.chunks_exact_mut(rows * d_hidden).take(steps).enumerate() {
            for group in 0..groups {
                let strip = &strips[group * d_hidden..(group + 1) * d_hidden];
                let units = shape.units(group);
                for (start, count) in pieces(rows, most_rows::<S>()) {
                    let left = Left { lines: &before[start..], block: rows };
                    let tile = &mut tile[..count];
                    tile_product::<S>(left, strip, Start::Zero, tile);
                    for (row, gates) in (start..).zip(tile) {
                        let input = &projected[(step * batch + first + row) * 4 * d_hidden..][..4 * d_hidden];
                        for (gate, gates) in gates.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
                            let input = &input[gate * d_hidden..][units.clone()];
                            for (gate, input) in gates.iter_mut().zip(input) {
                                *gate += input;
                            }
                        }
                        let cells = &mut cells[group * rows + row];
                        let new = update(gates, cells);
                        states[row * d_hidden..][units.clone()].copy_from_slice(&new[..units.len()]);
                        let line = &mut after[units.start / LINE * rows + row];
                        line[units.start % LINE..][..GROUP].copy_from_slice(&new);
                        if keep {
                            job.trace.gates.push(*gates);
                            job.trace.cells.push(*cells);
                        }
                    }
                }
            }
            std::mem::swap(&mut before, &mut after);
        }
        from_blocks(&cells, d_hidden, &mut job.states[steps * rows * d_hidden..]);
    }
}

/// Activates the gates of a group, and takes its cells a step further; the new `h`.
#[inline(always)]
fn update(gates: &mut StripRow, cells: &mut Units) -> Units {
    let ([i, f, g, o], _) = gates.as_chunks_mut::<GROUP>() else { unreachable!("a strip has four gates") };
    let mut hidden = [0.0; GROUP];
    for unit in 0..GROUP {
        i[unit] = sigmoid(i[unit]);
        f[unit] = sigmoid(f[unit]);
        g[unit] = tanh(g[unit]);
        o[unit] = sigmoid(o[unit]);
        cells[unit] = f[unit].mul_add(cells[unit], i[unit] * g[unit]);
        hidden[unit] = o[unit] * tanh(cells[unit]);
    }
    hidden
}

fn backward(kept: &Kept, gradient: &FlexTensor) -> [FlexTensor; 4] {
    let shape = kept.shape;
    let Recurrent { steps, batch, d_hidden, .. } = shape;
    let strips = shape.transposed_strips(values(&kept.weight));
    let mut jobs: Vec<BackwardJob> = kept.jobs.iter().map(|_| BackwardJob::default()).collect();
    for_each(jobs.par_iter_mut().zip(&kept.jobs).enumerate(), |(index, (job, trace))| {
        let (strips, sequences) = (&strips, shape.sequences(index));
        let [cell, gradient] = [&kept.cell, gradient].map(values);
        AutoArch::new().dispatch(Backward { shape, sequences, strips, trace, cell, gradient, job });
    });
    let gates =
        tensor(shape.joined(jobs.iter().map(|job| &job.gates[..]), steps), [steps * batch, shape.wide()]);
    let weight = shape.weight_gradient(&kept.hidden, &kept.output, gates.clone());
    let projected = Flex::float_reshape(gates, Shape::new([steps, batch, shape.wide()]));
    let hidden = shape.joined(jobs.iter().map(|job| &job.hidden[..]), 1);
    let cell = shape.joined(jobs.iter().map(|job| &job.cell[..]), 1);
    [projected, weight, tensor(hidden, [batch, d_hidden]), tensor(cell, [batch, d_hidden])]
}

/// The gradients of a job's sequences.
#[derive(Default)]
struct BackwardJob {
    /// Of the gates before their activation, `[T, rows, 4 D]`.
    gates: Vec<f32>,
    /// Of the state before the first step.
    hidden: Vec<f32>,
    cell: Vec<f32>,
}

/// Takes gradients back through all steps.
struct Backward<'a> {
    shape: Recurrent,
    sequences: Range<usize>,
    strips: &'a [StripRow],
    trace: &'a Trace,
    /// The cells before the first step.
    cell: &'a [f32],
    gradient: &'a [f32],
    job: &'a mut BackwardJob,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { shape, sequences, strips, trace, cell, gradient, job } = self;
        let Recurrent { steps, batch, d_hidden, .. } = shape;
        let (groups, first, rows) = (shape.groups(), sequences.start, sequences.len());
        let states = first * d_hidden..sequences.end * d_hidden;
        job.gates = vec![0.0; steps * rows * shape.wide()];
        job.cell = vec![0.0; rows * d_hidden];
        job.hidden = vec![0.0; rows * d_hidden];
        // The gradient of `h` after the step at hand, and that of `c`.
        let hidden = &mut job.hidden;
        let mut cells: Vec<Units> = blocks(&gradient[steps * batch * d_hidden..][states.clone()], d_hidden);
        let first_cells: Vec<Units> = blocks(&cell[states], d_hidden);
        let mut lines: Vec<Line> = vec![[0.0; LINE]; groups * 2 * rows];
        for step in (0..steps).rev() {
            let at = step * groups * rows;
            let before = match step {
                0 => &first_cells[..],
                _ => &trace.cells[at - groups * rows..at],
            };
            let gates = &mut job.gates[step * rows * 4 * d_hidden..][..rows * 4 * d_hidden];
            for group in 0..groups {
                let units = shape.units(group);
                for row in 0..rows {
                    let place = group * rows + row;
                    let outside = &gradient[(step * batch + first + row) * d_hidden..][units.clone()];
                    let inside = &hidden[row * d_hidden..][units.clone()];
                    let mut sum = [0.0; GROUP];
                    for (sum, (outside, inside)) in sum.iter_mut().zip(outside.iter().zip(inside)) {
                        *sum = outside + inside;
                    }
                    let slopes = slopes(
                        &trace.gates[at + place],
                        &trace.cells[at + place],
                        &before[place],
                        &sum,
                        &mut cells[place],
                    );
                    let ([left, right], _) = slopes.as_chunks::<LINE>() else {
                        unreachable!("a strip has two lines")
                    };
                    lines[2 * group * rows + row] = *left;
                    lines[(2 * group + 1) * rows + row] = *right;
                    for (gate, slopes) in slopes.as_chunks::<GROUP>().0.iter().enumerate() {
                        gates[(row * 4 + gate) * d_hidden..][units.clone()]
                            .copy_from_slice(&slopes[..units.len()]);
                    }
                }
            }
            hidden.fill(0.0);
            shape.add_gradient::<S>(&lines, strips, hidden);
        }
        from_blocks(&cells, d_hidden, &mut job.cell);
    }
}

/// The gradients of a group's gates before their activation, from that of its `h`. `cell` is the gradient of `c` after the
/// step, and becomes that of `c` before it.
#[inline(always)]
fn slopes(gates: &StripRow, after: &Units, before: &Units, hidden: &Units, cell: &mut Units) -> StripRow {
    let ([i, f, g, o], _) = gates.as_chunks::<GROUP>() else { unreachable!("a strip has four gates") };
    let mut slopes = [0.0; STRIP];
    for unit in 0..GROUP {
        let (i, f, g, o) = (i[unit], f[unit], g[unit], o[unit]);
        let activated = tanh(after[unit]);
        let slope = (hidden[unit] * o).mul_add(1.0 - activated * activated, cell[unit]);
        slopes[unit] = slope * g * i * (1.0 - i);
        slopes[GROUP + unit] = slope * before[unit] * f * (1.0 - f);
        slopes[2 * GROUP + unit] = slope * i * (1.0 - g * g);
        slopes[3 * GROUP + unit] = hidden[unit] * activated * o * (1.0 - o);
        cell[unit] = slope * f;
    }
    slopes
}
