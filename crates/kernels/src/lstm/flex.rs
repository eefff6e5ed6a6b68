//! An LSTM on flex; [`recurrent`](crate::recurrent) says how.

use std::ops::Range;
use std::sync::Arc;

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::Shape;
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::extension::{LstmGradient, LstmOps};
use crate::channels_last::put;
use crate::fresh::{Fresh, filled};
use crate::matrix::padded;
use crate::memory::{FlexTensor, contiguous, for_each, values};
use crate::product::{Left, STRIP, Start, StripRow, TILE, most_rows, pieces, tile_product};
use crate::recurrent::{Keep, Recurrent, blocks, from_blocks, put_row, tensor};
use crate::scalar::{sigmoid, tanh};

/// `i`, `f`, `g` and `o`.
const GATES: usize = 4;

/// The gates of a group of units.
type Group = [StripRow; GATES];

impl LstmOps for Flex {
    fn lstm(
        projected: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        cell: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let shape = Recurrent::of(&projected, GATES);
        forward(shape, &[projected, weight, hidden, cell].map(contiguous), Keep::Nothing).0
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
        let inputs = [projected, weight, hidden, cell].map(contiguous);
        let (output, jobs) = forward(shape, &inputs, Keep::Gates);
        let [_, weight, hidden, cell] = inputs;
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
    gates: Vec<Group>,
    cells: Vec<StripRow>,
}

fn forward(shape: Recurrent, inputs: &[FlexTensor; 4], keep: Keep) -> (FlexTensor, Vec<Trace>) {
    let [projected, weight, hidden, cell] = inputs.each_ref().map(values);
    let strips = &shape.strips(weight);
    let mut traces: Vec<Trace> = (0..shape.jobs()).map(|_| Trace::default()).collect();
    // The cells after the last step come behind the outputs.
    let size = [shape.steps + 1, shape.batch, shape.d_hidden];
    let output = filled(size.iter().product(), |memory| {
        let jobs = shape.divided(memory, shape.d_hidden).into_par_iter().zip(&mut traces).enumerate();
        for_each(jobs, |(index, (states, trace))| {
            AutoArch::new().dispatch(Forward {
                shape,
                sequences: shape.sequences(index),
                strips,
                projected,
                hidden,
                cell,
                states,
                keep,
                trace,
            });
        });
    });
    (tensor(output, size), traces)
}

/// Takes sequences through all steps.
struct Forward<'a> {
    shape: Recurrent,
    sequences: Range<usize>,
    strips: &'a [StripRow],
    projected: &'a [f32],
    hidden: &'a [f32],
    cell: &'a [f32],
    /// For `h` after each step, then the last `c`, of these sequences.
    states: Vec<Fresh<'a>>,
    keep: Keep,
    trace: &'a mut Trace,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { shape, sequences, strips, projected, hidden, cell, mut states, keep, trace } = self;
        let Recurrent { steps, batch, d_hidden, .. } = shape;
        let (groups, first, rows) = (shape.groups(), sequences.start, sequences.len());
        let range = first * d_hidden..sequences.end * d_hidden;
        // The state before, as the product takes it, and the state after.
        let mut before = shape.lines(&hidden[range.clone()]);
        let mut after = before.clone();
        let mut cells: Vec<StripRow> = blocks(&cell[range], d_hidden);
        if keep == Keep::Gates {
            trace.gates.reserve(steps * groups * rows);
            trace.cells.reserve(steps * groups * rows);
        }
        let last_cells = states.pop().expect("a part behind those of the steps");
        let mut tiles = [[[0.0; STRIP]; TILE]; GATES];
        for (step, states) in states.into_iter().enumerate() {
            let states = states.zeroed();
            for group in 0..groups {
                let units = shape.units(group);
                for (start, count) in pieces(rows, most_rows::<S>()) {
                    for (gate, tile) in tiles.iter_mut().enumerate() {
                        let tile = &mut tile[..count];
                        for (row, tile) in (step * batch + first + start..).zip(&mut *tile) {
                            let input = &projected[row * shape.wide() + gate * d_hidden..];
                            *tile = padded(&input[units.clone()]);
                        }
                        let sequences = first + start..first + start + count;
                        shape.fetch_next(projected, [step, group, gate], sequences);
                        let left = Left { lines: &before[start..], block: rows };
                        tile_product::<S>(left, shape.strip(strips, group, gate), Start::Tile, tile);
                    }
                    for place in 0..count {
                        let row = start + place;
                        let mut gates = tiles.each_ref().map(|tile| tile[place]);
                        let cells = &mut cells[group * rows + row];
                        let new = update(&mut gates, cells);
                        put(&new, &mut states[row * d_hidden..][units.clone()]);
                        put_row(&new, group, row, rows, &mut after);
                        if keep == Keep::Gates {
                            trace.gates.push(gates);
                            trace.cells.push(*cells);
                        }
                    }
                }
            }
            std::mem::swap(&mut before, &mut after);
        }
        from_blocks(&cells, d_hidden, last_cells.zeroed());
    }
}

/// Activates the gates of a group, and takes its cells a step further; the new `h`.
#[inline(always)]
fn update([i, f, g, o]: &mut Group, cells: &mut StripRow) -> StripRow {
    let mut hidden = [0.0; STRIP];
    for unit in 0..STRIP {
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
    let strips = &shape.transposed_strips(values(&kept.weight));
    let [mut hidden, mut cell] = [(), ()].map(|()| vec![0.0; batch * d_hidden]);
    let gates = filled(steps * batch * shape.wide(), |memory| {
        let parts = shape.divided(memory, shape.wide()).into_par_iter();
        let states = shape.parts(&mut hidden).zip(shape.parts(&mut cell));
        for_each(parts.zip(states).enumerate(), |(job, (gates, (hidden, cell)))| {
            let gradient = values(gradient);
            AutoArch::new().dispatch(Backward { kept, job, strips, gradient, gates, hidden, cell });
        });
    });
    let gates = tensor(gates, [steps * batch, shape.wide()]);
    let weight = shape.weight_gradient(&kept.hidden, &kept.output, gates.clone());
    let projected = Flex::float_reshape(gates, Shape::new([steps, batch, shape.wide()]));
    [projected, weight, tensor(hidden, [batch, d_hidden]), tensor(cell, [batch, d_hidden])]
}

/// Takes gradients back through all steps.
struct Backward<'a> {
    kept: &'a Kept,
    /// Whose sequences they are.
    job: usize,
    strips: &'a [StripRow],
    gradient: &'a [f32],
    /// For the gradients of the gates before their activation at each step, of these sequences.
    gates: Vec<Fresh<'a>>,
    /// Become the gradients of the states before the first step. `hidden` is zeros.
    hidden: &'a mut [f32],
    cell: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { kept, job, strips, gradient, gates, hidden, cell } = self;
        let Recurrent { steps, batch, d_hidden, .. } = kept.shape;
        let (shape, sequences, trace) = (kept.shape, kept.shape.sequences(job), &kept.jobs[job]);
        let (groups, first, rows) = (shape.groups(), sequences.start, sequences.len());
        let states = first * d_hidden..sequences.end * d_hidden;
        // The gradient of `c` after the step at hand, as `hidden` is that of `h`.
        let mut cells: Vec<StripRow> =
            blocks(&gradient[steps * batch * d_hidden..][states.clone()], d_hidden);
        let first_cells: Vec<StripRow> = blocks(&values(&kept.cell)[states], d_hidden);
        let mut lines = shape.lines_of_gates(rows);
        for (step, output) in gates.into_iter().enumerate().rev() {
            let output = output.zeroed();
            let at = step * groups * rows;
            let before = match step {
                0 => &first_cells[..],
                _ => &trace.cells[at - groups * rows..at],
            };
            for group in 0..groups {
                let units = shape.units(group);
                for row in 0..rows {
                    let place = group * rows + row;
                    let outside = &gradient[(step * batch + first + row) * d_hidden..][units.clone()];
                    let mut sum: StripRow = padded(outside);
                    let inside: StripRow = padded(&hidden[row * d_hidden..][units.clone()]);
                    for (sum, inside) in sum.iter_mut().zip(inside) {
                        *sum += inside;
                    }
                    let (gates, after) = (&trace.gates[at + place], &trace.cells[at + place]);
                    let slopes = slopes(gates, after, &before[place], &sum, &mut cells[place]);
                    for (gate, slopes) in slopes.iter().enumerate() {
                        put(slopes, &mut output[row * shape.wide() + gate * d_hidden..][units.clone()]);
                        put_row(slopes, group * GATES + gate, row, rows, &mut lines);
                    }
                }
            }
            hidden.fill(0.0);
            shape.add_gradient::<S>(&lines, strips, hidden);
        }
        from_blocks(&cells, d_hidden, cell);
    }
}

/// The gradients of a group's gates before their activation, from that of its `h`. `cell` is the gradient of `c` after the
/// step, and becomes that of `c` before it.
#[inline(always)]
fn slopes(
    [i, f, g, o]: &Group,
    after: &StripRow,
    before: &StripRow,
    hidden: &StripRow,
    cell: &mut StripRow,
) -> Group {
    let mut slopes = [[0.0; STRIP]; GATES];
    for unit in 0..STRIP {
        let (i, f, g, o) = (i[unit], f[unit], g[unit], o[unit]);
        let activated = tanh(after[unit]);
        let slope = (hidden[unit] * o).mul_add(1.0 - activated * activated, cell[unit]);
        slopes[0][unit] = slope * g * i * (1.0 - i);
        slopes[1][unit] = slope * before[unit] * f * (1.0 - f);
        slopes[2][unit] = slope * i * (1.0 - g * g);
        slopes[3][unit] = hidden[unit] * activated * o * (1.0 - o);
        cell[unit] = slope * f;
    }
    slopes
}
