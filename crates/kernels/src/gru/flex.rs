//! Gated recurrent units on flex; [`recurrent`](crate::recurrent) says how.

use std::ops::Range;
use std::sync::Arc;

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::Shape;
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::extension::{GruGradient, GruOps};
use crate::channels_last::put;
use crate::fresh::{Fresh, filled};
use crate::matrix::padded;
use crate::memory::{FlexTensor, contiguous, for_each, values};
use crate::product::{Left, STRIP, Start, StripRow, TILE, most_rows, pieces, tile_product};
use crate::recurrent::{Keep, Recurrent, blocks, put_row, tensor};
use crate::scalar::{sigmoid, tanh};

/// `r`, `z` and `n`.
const GATES: usize = 3;

impl GruOps for Flex {
    fn gru(
        projected: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let shape = Recurrent::of(&projected, GATES);
        forward(shape, &[projected, weight, bias, hidden].map(contiguous), Keep::Nothing).0
    }
}

impl GruGradient for Flex {
    type Kept = Arc<Kept>;

    fn gru_keeping(
        projected: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, Arc<Kept>) {
        let shape = Recurrent::of(&projected, GATES);
        let inputs = [projected, weight, bias, hidden].map(contiguous);
        let (output, jobs) = forward(shape, &inputs, Keep::Gates);
        let [_, weight, _, hidden] = inputs;
        let kept = Kept { shape, weight, hidden, output: output.clone(), jobs };
        (output, Arc::new(kept))
    }

    fn gru_gradients(kept: &Arc<Kept>, gradient: FloatTensor<Self>) -> [FloatTensor<Self>; 4] {
        backward(kept, &contiguous(gradient))
    }
}

/// What the backward pass needs.
#[derive(Debug)]
pub(crate) struct Kept {
    shape: Recurrent,
    weight: FlexTensor,
    hidden: FlexTensor,
    output: FlexTensor,
    /// At each step and for each group of units, a row for each sequence of a job.
    jobs: Vec<Vec<Activated>>,
}

/// The gates of a group after their activation, and what the state contributed to the last one before it was reset.
#[derive(Debug, Clone, Copy)]
struct Activated {
    reset: StripRow,
    update: StripRow,
    new: StripRow,
    state: StripRow,
}

fn forward(shape: Recurrent, inputs: &[FlexTensor; 4], keep: Keep) -> (FlexTensor, Vec<Vec<Activated>>) {
    let [projected, weight, bias, hidden] = inputs.each_ref().map(values);
    let (strips, bias) = (&shape.strips(weight), &shape.strips(bias));
    let mut kept: Vec<Vec<Activated>> = (0..shape.jobs()).map(|_| Vec::new()).collect();
    let size = [shape.steps, shape.batch, shape.d_hidden];
    let output = filled(size.iter().product(), |memory| {
        let jobs = shape.divided(memory, shape.d_hidden).into_par_iter().zip(&mut kept).enumerate();
        for_each(jobs, |(index, (states, kept))| {
            let sequences = shape.sequences(index);
            AutoArch::new().dispatch(Forward {
                shape,
                sequences,
                strips,
                bias,
                projected,
                hidden,
                states,
                keep,
                kept,
            });
        });
    });
    (tensor(output, size), kept)
}

/// Takes sequences through all steps.
struct Forward<'a> {
    shape: Recurrent,
    sequences: Range<usize>,
    strips: &'a [StripRow],
    /// A row for each strip.
    bias: &'a [StripRow],
    projected: &'a [f32],
    hidden: &'a [f32],
    /// For `h` after each step, of these sequences.
    states: Vec<Fresh<'a>>,
    keep: Keep,
    kept: &'a mut Vec<Activated>,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { shape, sequences, strips, bias, projected, hidden, states: outputs, keep, kept } = self;
        let Recurrent { steps, batch, d_hidden, .. } = shape;
        let (groups, first, rows) = (shape.groups(), sequences.start, sequences.len());
        let hidden = &hidden[first * d_hidden..sequences.end * d_hidden];
        let mut states: Vec<StripRow> = blocks(hidden, d_hidden);
        // The state before, as the product takes it, and the state after.
        let mut before = shape.lines(hidden);
        let mut after = before.clone();
        if keep == Keep::Gates {
            kept.reserve(steps * groups * rows);
        }
        let mut tiles = [[[0.0; STRIP]; TILE]; GATES];
        for (step, output) in outputs.into_iter().enumerate() {
            let output = output.zeroed();
            for group in 0..groups {
                let units = shape.units(group);
                for (start, count) in pieces(rows, most_rows::<S>()) {
                    for (gate, tile) in tiles.iter_mut().enumerate() {
                        let tile = &mut tile[..count];
                        tile.fill(bias[group * GATES + gate]);
                        let sequences = first + start..first + start + count;
                        shape.fetch_next(projected, [step, group, gate], sequences);
                        let left = Left { lines: &before[start..], block: rows };
                        tile_product::<S>(left, shape.strip(strips, group, gate), Start::Tile, tile);
                    }
                    for place in 0..count {
                        let row = start + place;
                        let input = &projected[(step * batch + first + row) * shape.wide()..];
                        let mut gates = [[0.0; STRIP]; GATES];
                        for (gate, numbers) in gates.iter_mut().enumerate() {
                            *numbers = padded(&input[gate * d_hidden..][units.clone()]);
                        }
                        let state = &mut states[group * rows + row];
                        let activated = advance(gates, tiles.each_ref().map(|tile| &tile[place]), state);
                        put(state, &mut output[row * d_hidden..][units.clone()]);
                        put_row(state, group, row, rows, &mut after);
                        if keep == Keep::Gates {
                            kept.push(activated);
                        }
                    }
                }
            }
            std::mem::swap(&mut before, &mut after);
        }
    }
}

/// Takes the state of a group a step further, from what the input and what the state contribute to the gates.
#[inline(always)]
fn advance(input: [StripRow; 3], from_state: [&StripRow; 3], state: &mut StripRow) -> Activated {
    let [mut reset, mut update, mut new] = input;
    for unit in 0..STRIP {
        reset[unit] = sigmoid(reset[unit] + from_state[0][unit]);
        update[unit] = sigmoid(update[unit] + from_state[1][unit]);
        new[unit] = tanh(reset[unit].mul_add(from_state[2][unit], new[unit]));
        // (1 - z) n + z h
        state[unit] = update[unit].mul_add(state[unit] - new[unit], new[unit]);
    }
    Activated { reset, update, new, state: *from_state[2] }
}

fn backward(kept: &Kept, gradient: &FlexTensor) -> [FlexTensor; 4] {
    let shape = kept.shape;
    let Recurrent { steps, batch, d_hidden, .. } = shape;
    let strips = &shape.transposed_strips(values(&kept.weight));
    let size = [steps * batch, shape.wide()];
    let mut states = vec![0.0; batch * d_hidden];
    let mut from_state = Vec::new();
    let projected = filled(size.iter().product(), |projected| {
        from_state = filled(size.iter().product(), |from_state| {
            let [projected, from_state] =
                [projected, from_state].map(|memory| shape.divided(memory, shape.wide()));
            let parts = projected.into_par_iter().zip(from_state);
            let jobs = shape.parts(&mut states).zip(parts).enumerate();
            for_each(jobs, |(job, (state, (projected, from_state)))| {
                let gradient = values(gradient);
                AutoArch::new().dispatch(Backward {
                    kept,
                    job,
                    strips,
                    gradient,
                    projected,
                    from_state,
                    state,
                });
            });
        });
    });
    let from_state = tensor(from_state, size);
    let weight = shape.weight_gradient(&kept.hidden, &kept.output, from_state.clone());
    let bias = Flex::float_reshape(Flex::float_sum_dim(from_state, 0), Shape::new([shape.wide()]));
    let hidden = tensor(states, [batch, d_hidden]);
    [tensor(projected, [steps, batch, shape.wide()]), weight, bias, hidden]
}

/// Takes gradients back through all steps.
struct Backward<'a> {
    kept: &'a Kept,
    /// Whose sequences they are.
    job: usize,
    strips: &'a [StripRow],
    gradient: &'a [f32],
    /// For the gradients of what the input contributed to the gates at each step, of these sequences.
    projected: Vec<Fresh<'a>>,
    /// For those of what the state contributed: of the last gate before it was reset.
    from_state: Vec<Fresh<'a>>,
    /// Zeros, which become the gradient of the state before the first step.
    state: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { kept, job, strips, gradient, projected, from_state, state } = self;
        let Recurrent { batch, d_hidden, .. } = kept.shape;
        let (shape, sequences, activated) = (kept.shape, kept.shape.sequences(job), &kept.jobs[job]);
        let [hidden, output] = [&kept.hidden, &kept.output].map(values);
        let (groups, first, rows) = (shape.groups(), sequences.start, sequences.len());
        let wide = shape.wide();
        let mut lines = shape.lines_of_gates(rows);
        for (step, places) in projected.into_iter().zip(from_state).enumerate().rev() {
            let mut places = [places.0, places.1].map(Fresh::zeroed);
            let before = match step {
                0 => hidden,
                _ => &output[(step - 1) * batch * d_hidden..],
            };
            for group in 0..groups {
                let units = shape.units(group);
                for row in 0..rows {
                    let place = (first + row) * d_hidden;
                    let before: StripRow = padded(&before[place..][units.clone()]);
                    let mut slope: StripRow =
                        padded(&gradient[step * batch * d_hidden + place..][units.clone()]);
                    let inside = &mut state[row * d_hidden..][units.clone()];
                    for (slope, inside) in slope.iter_mut().zip(padded::<STRIP>(inside)) {
                        *slope += inside;
                    }
                    let activated = &activated[(step * groups + group) * rows + row];
                    let Slopes { input, from_state } = slopes(activated, &before, &mut slope);
                    put(&slope, inside);
                    for (gate, numbers) in input.iter().zip(&from_state).enumerate() {
                        let start = row * wide + gate * d_hidden;
                        for (numbers, place) in [numbers.0, numbers.1].into_iter().zip(places.iter_mut()) {
                            put(numbers, &mut place[start..][units.clone()]);
                        }
                        put_row(numbers.1, group * GATES + gate, row, rows, &mut lines);
                    }
                }
            }
            shape.add_gradient::<S>(&lines, strips, state);
        }
    }
}

/// The gradients of a group's gates before their activation: of what the input contributed, and of what the state did.
struct Slopes {
    input: [StripRow; 3],
    from_state: [StripRow; 3],
}

/// `state` is `h` before the step. `hidden` is the gradient of `h` after it, and becomes the part of that before it that
/// doesn't go through the gates.
#[inline(always)]
fn slopes(activated: &Activated, state: &StripRow, hidden: &mut StripRow) -> Slopes {
    let mut reset = [0.0; STRIP];
    let mut update = [0.0; STRIP];
    let mut new = [0.0; STRIP];
    let mut from_state = [0.0; STRIP];
    for unit in 0..STRIP {
        let (r, z, n) = (activated.reset[unit], activated.update[unit], activated.new[unit]);
        update[unit] = hidden[unit] * (state[unit] - n) * z * (1.0 - z);
        new[unit] = hidden[unit] * (1.0 - z) * (1.0 - n * n);
        reset[unit] = new[unit] * activated.state[unit] * r * (1.0 - r);
        from_state[unit] = new[unit] * r;
        hidden[unit] *= z;
    }
    Slopes { input: [reset, update, new], from_state: [reset, update, from_state] }
}
