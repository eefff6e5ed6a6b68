//! An LSTM on flex: each thread takes some sequences of the batch through all steps.
//!
//! Units are taken in groups of eight, whose 32 gates are the columns of a strip of the weight. A strip's product goes
//! straight into the activations and the new state, while it is in registers and the first-level cache; the whole weight
//! stays in the second-level cache from step to step.

use std::sync::Arc;

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::{Shape, TensorData};
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::extension::{LstmGradient, LstmOps};
use crate::memory::{FlexTensor, contiguous, for_each, values};
use crate::product::{Left, STRIP, Start, StripRow, most_rows, pieces, product};
use crate::scalar::{sigmoid, tanh};
use crate::vector::{LINE, Line};

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
        let shape = LstmShape::of(&projected);
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
        let shape = LstmShape::of(&projected);
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
    shape: LstmShape,
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

#[derive(Debug, Clone, Copy)]
struct LstmShape {
    steps: usize,
    batch: usize,
    d_hidden: usize,
}

impl LstmShape {
    fn of(projected: &FlexTensor) -> Self {
        let [steps, batch, wide] = projected.layout().shape().dims();
        Self { steps, batch, d_hidden: wide / 4 }
    }

    fn groups(self) -> usize {
        self.d_hidden.div_ceil(GROUP)
    }

    /// Sequences of each thread.
    fn rows(self) -> usize {
        self.batch.div_ceil(rayon::current_num_threads())
    }

    fn jobs(self) -> usize {
        self.batch.div_ceil(self.rows())
    }

    /// Of a gate of a unit among those of a sequence, and of its group and place in the group; `None` for units that only
    /// fill the last group.
    fn column(self, group: usize, gate: usize, unit: usize) -> Option<usize> {
        let unit = group * GROUP + unit;
        (unit < self.d_hidden).then_some(gate * self.d_hidden + unit)
    }

    /// The units of a group.
    fn units(self, group: usize) -> std::ops::Range<usize> {
        group * GROUP..((group + 1) * GROUP).min(self.d_hidden)
    }
}

fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.into()))
}

/// The gates of a group as they lie in a strip: first all `i`, then `f`, `g`, `o`.
fn each_gate() -> impl Iterator<Item = (usize, usize)> {
    (0..STRIP).map(|place| (place / GROUP, place % GROUP))
}

fn forward(shape: LstmShape, inputs: [FlexTensor; 4], kept: Option<&mut Vec<Trace>>) -> FlexTensor {
    let [projected, weight, hidden, cell] = inputs.each_ref().map(values);
    let LstmShape { steps, batch, d_hidden } = shape;
    // Strips of the weight, one after the other.
    let strips: Vec<StripRow> = (0..shape.groups())
        .flat_map(|group| (0..d_hidden).map(move |row| (group, row)))
        .map(|(group, row)| {
            let mut strip = [0.0; STRIP];
            for (number, (gate, unit)) in strip.iter_mut().zip(each_gate()) {
                if let Some(column) = shape.column(group, gate, unit) {
                    *number = weight[row * 4 * d_hidden + column];
                }
            }
            strip
        })
        .collect();

    let keep = kept.is_some();
    let mut jobs: Vec<ForwardJob> = (0..shape.jobs()).map(|_| ForwardJob::default()).collect();
    for_each(jobs.par_iter_mut().enumerate(), |(index, job)| {
        let first = index * shape.rows();
        let rows = shape.rows().min(batch - first);
        AutoArch::new().dispatch(Forward {
            shape,
            first,
            rows,
            strips: &strips,
            projected,
            hidden,
            cell,
            keep,
            job,
        });
    });

    let mut output = vec![0.0; (steps + 1) * batch * d_hidden];
    for (index, job) in jobs.iter().enumerate() {
        let first = index * shape.rows() * d_hidden;
        let length = job.states.len() / (steps + 1);
        for (step, states) in job.states.chunks_exact(length).enumerate() {
            let start = step * batch * d_hidden + first;
            output[start..start + length].copy_from_slice(states);
        }
    }
    if let Some(kept) = kept {
        kept.extend(jobs.into_iter().map(|job| job.trace));
    }
    tensor(output, [steps + 1, batch, d_hidden])
}

#[derive(Default)]
struct ForwardJob {
    /// `h` after each step, then the last `c`, of this job's sequences.
    states: Vec<f32>,
    trace: Trace,
}

/// Takes sequences through all steps.
struct Forward<'a> {
    shape: LstmShape,
    /// The first sequence, and how many.
    first: usize,
    rows: usize,
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
        let Self { shape, first, rows, strips, projected, hidden, cell, keep, job } = self;
        let LstmShape { steps, batch, d_hidden } = shape;
        let (groups, lines) = (shape.groups(), d_hidden.div_ceil(LINE));
        // The state before, as the product takes it, and the state after.
        let mut before: Vec<Line> = vec![[0.0; LINE]; lines * rows];
        let mut after = before.clone();
        let mut cells: Vec<Units> = vec![[0.0; GROUP]; groups * rows];
        for row in 0..rows {
            for unit in 0..d_hidden {
                let place = (first + row) * d_hidden + unit;
                before[unit / LINE * rows + row][unit % LINE] = hidden[place];
                cells[unit / GROUP * rows + row][unit % GROUP] = cell[place];
            }
        }
        job.states = vec![0.0; (steps + 1) * rows * d_hidden];
        if keep {
            job.trace.gates.reserve(steps * groups * rows);
            job.trace.cells.reserve(steps * groups * rows);
        }
        let mut tile = [[0.0; STRIP]; crate::product::TILE];
        for (step, states) in job.states.chunks_exact_mut(rows * d_hidden).take(steps).enumerate() {
            for group in 0..groups {
                let strip = &strips[group * d_hidden..(group + 1) * d_hidden];
                let units = shape.units(group);
                for (start, count) in pieces(rows, most_rows::<S>()) {
                    let left = Left { lines: &before[start..], block: rows };
                    let tile = &mut tile[..count];
                    product::<S>(left, strip, Start::Zero, tile);
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
        let last = &mut job.states[steps * rows * d_hidden..];
        for row in 0..rows {
            for unit in 0..d_hidden {
                last[row * d_hidden + unit] = cells[unit / GROUP * rows + row][unit % GROUP];
            }
        }
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
    let LstmShape { steps, batch, d_hidden } = shape;
    let (weight, gradient) = (values(&kept.weight), values(gradient));
    // Strips of the transposed weight; its rows in the order of the gates of the groups.
    let depth = shape.groups() * STRIP;
    let strips: Vec<StripRow> = (0..d_hidden.div_ceil(STRIP))
        .flat_map(|strip| (0..shape.groups()).map(move |group| (strip, group)))
        .flat_map(|(strip, group)| {
            each_gate().map(move |(gate, unit)| (strip, shape.column(group, gate, unit)))
        })
        .map(|(strip, column)| {
            let mut numbers = [0.0; STRIP];
            if let Some(column) = column {
                for (number, row) in numbers.iter_mut().zip(strip * STRIP..d_hidden) {
                    *number = weight[row * 4 * d_hidden + column];
                }
            }
            numbers
        })
        .collect();

    let mut jobs: Vec<BackwardJob> = (0..kept.jobs.len()).map(|_| BackwardJob::default()).collect();
    for_each(jobs.par_iter_mut().zip(&kept.jobs).enumerate(), |(index, (job, trace))| {
        let rows = trace.cells.len() / (steps * shape.groups());
        // All jobs but the last one have the same number.
        let first = if index + 1 == kept.jobs.len() { batch - rows } else { index * rows };
        let cell = values(&kept.cell);
        AutoArch::new().dispatch(Backward {
            shape,
            first,
            rows,
            strips: &strips,
            depth,
            trace,
            cell,
            gradient,
            job,
        });
    });

    let mut projected = vec![0.0; steps * batch * 4 * d_hidden];
    let (mut hidden, mut cell) = (Vec::with_capacity(batch * d_hidden), Vec::with_capacity(batch * d_hidden));
    for job in &jobs {
        let (first, length) = (hidden.len() * 4, job.gates.len() / steps);
        for (step, gates) in job.gates.chunks_exact(length).enumerate() {
            let start = step * batch * 4 * d_hidden + first;
            projected[start..start + length].copy_from_slice(gates);
        }
        hidden.extend(&job.hidden);
        cell.extend(&job.cell);
    }
    let projected = tensor(projected, [steps * batch, 4 * d_hidden]);
    // `h` before each step.
    let before = [values(&kept.hidden), &values(&kept.output)[..(steps - 1) * batch * d_hidden]].concat();
    let before = Flex::float_transpose(tensor(before, [steps * batch, d_hidden]));
    let weight = Flex::float_matmul(before, projected.clone());
    [
        Flex::float_reshape(projected, Shape::new([steps, batch, 4 * d_hidden])),
        weight,
        tensor(hidden, [batch, d_hidden]),
        tensor(cell, [batch, d_hidden]),
    ]
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
    shape: LstmShape,
    first: usize,
    rows: usize,
    strips: &'a [StripRow],
    /// Rows of a strip.
    depth: usize,
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
        let Self { shape, first, rows, strips, depth, trace, cell, gradient, job } = self;
        let LstmShape { steps, batch, d_hidden } = shape;
        let groups = shape.groups();
        job.gates = vec![0.0; steps * rows * 4 * d_hidden];
        // Of `h` and `c` after the step at hand.
        let mut hidden = vec![0.0; rows * d_hidden];
        let mut cells: Vec<Units> = vec![[0.0; GROUP]; groups * rows];
        let mut first_cells = cells.clone();
        for row in 0..rows {
            for unit in 0..d_hidden {
                let place = (first + row) * d_hidden + unit;
                cells[unit / GROUP * rows + row][unit % GROUP] = gradient[steps * batch * d_hidden + place];
                first_cells[unit / GROUP * rows + row][unit % GROUP] = cell[place];
            }
        }
        let mut lines: Vec<Line> = vec![[0.0; LINE]; groups * 2 * rows];
        let mut tile = [[0.0; STRIP]; crate::product::TILE];
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
            for (strip, numbers) in strips.chunks_exact(depth).enumerate() {
                let columns = strip * STRIP..((strip + 1) * STRIP).min(d_hidden);
                for (start, count) in pieces(rows, most_rows::<S>()) {
                    let tile = &mut tile[..count];
                    product::<S>(Left { lines: &lines[start..], block: rows }, numbers, Start::Zero, tile);
                    for (row, numbers) in (start..).zip(tile) {
                        hidden[row * d_hidden..][columns.clone()].copy_from_slice(&numbers[..columns.len()]);
                    }
                }
            }
        }
        job.cell = vec![0.0; rows * d_hidden];
        for row in 0..rows {
            for unit in 0..d_hidden {
                job.cell[row * d_hidden + unit] = cells[unit / GROUP * rows + row][unit % GROUP];
            }
        }
        job.hidden = hidden;
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
