//! Products with prepared matrices on flex.
//!
//! Few vectors: each thread reads some strips, which is the way of all memory that the product takes. Many: each thread takes some
//! vectors through all strips, which it finds in the caches.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData};
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::{Orientation, Strips};
use crate::device::{from_flex, to_flex};
use crate::fresh::{Fresh, filled};
use crate::memory::{FlexTensor, contiguous, values};
use crate::prepared::forms;
use crate::product::{Left, STRIP, Start, StripRow, TILE, most_rows, pieces, product};
use crate::scratch::with_scratch;
use crate::vector::{LINE, Line};

/// Vectors that a thread takes at a time: two tiles.
const VECTORS: usize = 2 * TILE;
/// Strips that a thread reads at a time where vectors are few.
const STRIPS: usize = 8;
/// Inputs whose products are summed in one go, so that a strip's part stays in the first-level cache for the second tile.
const SLICE: usize = 192;

/// The product with a prepared matrix, or nothing if it isn't prepared.
pub(super) fn prepared<const D: usize>(
    input: &Tensor<D>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
    orientation: Orientation,
) -> Option<Tensor<D>> {
    let weight = to_flex(weight.clone());
    let forms = forms(&weight)?;
    let [rows, columns] = [weight.layout().shape()[0], weight.layout().shape()[1]];
    let [d_input, d_output] = match orientation {
        Orientation::InputsByOutputs => [rows, columns],
        Orientation::OutputsByInputs => [columns, rows],
    };
    if d_input == 0 || d_output == 0 {
        return None;
    }
    let strips = forms
        .strips
        .get_or_make(|| Strips::new(values(&weight), [d_input, d_output], orientation, forms.precision));
    if (strips.d_input, strips.d_output, strips.orientation) != (d_input, d_output, orientation) {
        return None;
    }
    let mut shape = input.dims();
    shape[D - 1] = d_output;
    let input = contiguous(to_flex(input.clone()));
    let bias = bias.map(|bias| contiguous(to_flex(bias.clone())));
    let output = multiply(values(&input), strips, bias.as_ref().map(values));
    Some(from_flex(FlexTensor::from_data(TensorData::new(output, shape))))
}

fn multiply(input: &[f32], strips: &Strips, bias: Option<&[f32]>) -> Vec<f32> {
    let vectors = input.len() / strips.d_input;
    let all = 0..strips.d_output.div_ceil(STRIP);
    filled(vectors * strips.d_output, |output| {
        if output.is_empty() {
            output.zeroed();
        } else if vectors <= VECTORS {
            let mut parts: Vec<Vec<Fresh<'_>>> = all.clone().step_by(STRIPS).map(|_| Vec::new()).collect();
            for mut row in output.chunks(strips.d_output) {
                for part in &mut parts {
                    let (piece, rest) = {
                        let len = row.len().min(STRIPS * STRIP);
                        row.split_at(len)
                    };
                    part.push(piece);
                    row = rest;
                }
                row.zeroed();
            }
            with_scratch(packed_len(vectors, strips.d_input), |packed| {
                let lines = pack(input, strips.d_input, packed);
                parts.into_par_iter().enumerate().for_each(|(part, rows)| {
                    let range = part * STRIPS..((part + 1) * STRIPS).min(all.end);
                    run(strips, range, lines, rows, bias);
                });
            });
        } else {
            let count = vectors.div_ceil(vectors.div_ceil(VECTORS));
            let parts = output.par_chunks(count * strips.d_output);
            parts.zip(input.par_chunks(count * strips.d_input)).for_each(|(output, input)| {
                with_scratch(packed_len(count, strips.d_input), |packed| {
                    let lines = pack(input, strips.d_input, packed);
                    run(strips, all.clone(), lines, output.chunks(strips.d_output).collect(), bias);
                });
            });
        }
    })
}

/// Numbers of packed vectors.
fn packed_len(vectors: usize, d_input: usize) -> usize {
    d_input.div_ceil(LINE) * vectors * LINE
}

/// Vectors as blocks of 16 numbers, vector after vector in each, zeros at the end.
fn pack<'a>(input: &[f32], d_input: usize, packed: &'a mut [f32]) -> &'a [Line] {
    let vectors = input.len() / d_input;
    let lines = &mut packed.as_chunks_mut::<LINE>().0[..d_input.div_ceil(LINE) * vectors];
    for (index, vector) in input.chunks_exact(d_input).enumerate() {
        let (whole, rest) = vector.as_chunks::<LINE>();
        for (block, numbers) in whole.iter().enumerate() {
            lines[block * vectors + index] = *numbers;
        }
        if !rest.is_empty() {
            let line = &mut lines[whole.len() * vectors + index];
            *line = [0.0; LINE];
            line[..rest.len()].copy_from_slice(rest);
        }
    }
    lines
}

fn run(strips: &Strips, range: Range<usize>, lines: &[Line], rows: Vec<Fresh<'_>>, bias: Option<&[f32]>) {
    with_scratch(SLICE * STRIP, |scratch| {
        let scratch = scratch.as_chunks_mut::<STRIP>().0;
        let mut rows: Vec<&mut [f32]> = rows.into_iter().map(Fresh::zeroed).collect();
        AutoArch::new().dispatch(Multiply { strips, range, lines, rows: &mut rows, bias, scratch });
    });
}

struct Multiply<'a, 'b> {
    strips: &'a Strips,
    /// Of strips.
    range: Range<usize>,
    /// The vectors, packed.
    lines: &'a [Line],
    /// Of the output, the columns of the range.
    rows: &'a mut [&'b mut [f32]],
    bias: Option<&'a [f32]>,
    /// For a slice of a strip.
    scratch: &'a mut [StripRow],
}

impl WithSimd for Multiply<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { strips, range, lines, rows, bias, scratch } = self;
        let vectors = rows.len();
        let mut sums = [[0.0; STRIP]; VECTORS];
        for strip in range.clone() {
            for start in (0..strips.d_input).step_by(SLICE) {
                let inputs = start..(start + SLICE).min(strips.d_input);
                let weights = strips.rows::<S>(strip, inputs, scratch);
                let from = if start == 0 { Start::Zero } else { Start::Tile };
                for (first, count) in pieces(vectors, most_rows::<S>()) {
                    let left = Left { lines: &lines[start / LINE * vectors + first..], block: vectors };
                    product::<S>(left, weights, from, &mut sums[first..first + count]);
                }
            }
            let mut biases = [0.0; STRIP];
            if let Some(bias) = bias {
                let bias = &bias[strip * STRIP..];
                let len = bias.len().min(STRIP);
                biases[..len].copy_from_slice(&bias[..len]);
            }
            let column = (strip - range.start) * STRIP;
            for (row, sums) in rows.iter_mut().zip(&sums) {
                let sums: StripRow = std::array::from_fn(|lane| sums[lane] + biases[lane]);
                let target = &mut row[column..];
                match target.first_chunk_mut() {
                    Some(target) => *target = sums,
                    None => target.copy_from_slice(&sums[..target.len()]),
                }
            }
        }
    }
}
