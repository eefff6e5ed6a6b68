//! Products with prepared matrices on flex.
//!
//! Few vectors: each thread reads some strips, which is the way of all memory that the product takes. Many: each thread takes some
//! vectors through all strips, which it finds in the caches.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData};
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::packed::Packed;
use super::strips::{Numbers, decode};
use super::{Orientation, Strips};
use crate::device::{from_flex, to_flex};
use crate::fresh::{Fresh, filled};
use crate::memory::{FlexTensor, contiguous, values};
use crate::narrow::Instructions;
use crate::prepared::forms;
use crate::product::{STRIP, StripRow, TILE, pieces};
use crate::quantize::GROUP;
use crate::scratch::with_scratch;
use crate::vector::LINE;

/// Vectors that a thread takes at a time: two tiles.
const VECTORS: usize = 2 * TILE;
/// Strips that a thread reads at a time where vectors are few.
const STRIPS: usize = 8;
/// Rows of a strip whose products are summed in one go, so that they stay in the first-level cache for the second tile.
pub(super) const SLICE: usize = 192;

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
    let make = || {
        let size = [d_input, d_output];
        Strips::new(values(&weight), size, orientation, forms.precision, Instructions::detected())
    };
    let strips = forms.strips.get_or_make(make);
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
            let packed = Packed::new(strips, input);
            parts.into_par_iter().enumerate().for_each(|(part, rows)| {
                let range = part * STRIPS..((part + 1) * STRIPS).min(all.end);
                run(strips, range, &packed, rows, bias);
            });
        } else {
            let count = vectors.div_ceil(vectors.div_ceil(VECTORS));
            let parts = output.par_chunks(count * strips.d_output);
            parts.zip(input.par_chunks(count * strips.d_input)).for_each(|(output, input)| {
                let packed = Packed::new(strips, input);
                run(strips, all.clone(), &packed, output.chunks(strips.d_output).collect(), bias);
            });
        }
    })
}

fn run(strips: &Strips, range: Range<usize>, packed: &Packed, rows: Vec<Fresh<'_>>, bias: Option<&[f32]>) {
    with_scratch(SLICE * STRIP, |scratch| {
        let scratch = scratch.as_chunks_mut::<STRIP>().0;
        let mut rows: Vec<&mut [f32]> = rows.into_iter().map(Fresh::zeroed).collect();
        AutoArch::new().dispatch(Multiply { strips, range, packed, rows: &mut rows, bias, scratch });
    });
}

struct Multiply<'a, 'b> {
    strips: &'a Strips,
    /// Of strips.
    range: Range<usize>,
    /// The vectors.
    packed: &'a Packed,
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
        let Self { strips, range, packed, rows, bias, scratch } = self;
        let vectors = rows.len();
        let mut sums = [[0.0; STRIP]; VECTORS];
        for strip in range.clone() {
            let sums = &mut sums[..vectors];
            sums.fill([0.0; STRIP]);
            match &strips.numbers {
                Numbers::Floats(numbers) => {
                    for (slice, numbers) in numbers.strip(strip).chunks(SLICE).enumerate() {
                        packed.add_floats::<S>(slice, numbers, sums);
                    }
                }
                Numbers::Codes(codes, scales) => {
                    let scales = scales.strip(strip).chunks(SLICE / GROUP);
                    for (slice, (codes, scales)) in codes.strip(strip).chunks(SLICE).zip(scales).enumerate() {
                        packed.add_floats::<S>(slice, decode::<S>(codes, scales, scratch), sums);
                    }
                }
                Numbers::Pairs(dot, words) => {
                    for (slice, words) in words.strip(strip).chunks(SLICE).enumerate() {
                        for (first, count) in pieces(vectors, TILE) {
                            dot.add(packed.pairs(slice, first), words, &mut sums[first..first + count]);
                        }
                    }
                }
                Numbers::Quads(dot, words, scales) => {
                    let scales = scales.strip(strip).chunks(SLICE / LINE);
                    for (slice, (words, scales)) in words.strip(strip).chunks(SLICE).zip(scales).enumerate() {
                        for (first, count) in pieces(vectors, TILE) {
                            dot.add(
                                packed.quads(slice, first),
                                words,
                                scales,
                                &mut sums[first..first + count],
                            );
                        }
                    }
                }
            }
            let mut biases = [0.0; STRIP];
            if let Some(bias) = bias {
                let bias = &bias[strip * STRIP..];
                let len = bias.len().min(STRIP);
                biases[..len].copy_from_slice(&bias[..len]);
            }
            let column = (strip - range.start) * STRIP;
            for (row, sums) in rows.iter_mut().zip(&*sums) {
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

#[cfg(test)]
mod tests {
    use super::{Instructions, Orientation, Strips, multiply};
    use crate::Precision;
    use crate::quantize::{round_columns, round_to_bf16};

    /// A processor without the instructions multiplies what the weights have become with the vectors as they are.
    #[test]
    fn without_narrow_instructions() {
        let numbers = |len: usize, step: usize| -> Vec<f32> {
            (0..len).map(|index| ((index * step) % 1201) as f32 / 600.0 - 1.0).collect()
        };
        let instructions = Instructions { pairs: None, quads: None };
        for (precision, vectors, d_input, d_output) in [
            (Precision::Bf16, 3, 17, 35),
            (Precision::Bf16, 31, 200, 33),
            (Precision::Q8, 1, 130, 65),
            (Precision::Q8, 31, 259, 33),
        ] {
            let (input, mut weight) = (numbers(vectors * d_input, 7919), numbers(d_input * d_output, 4421));
            match precision {
                Precision::Q8 => round_columns(&mut weight, d_output),
                _ => round_to_bf16(&mut weight, d_output),
            }
            let size = [d_input, d_output];
            let strips = Strips::new(&weight, size, Orientation::InputsByOutputs, precision, instructions);
            let output = multiply(&input, &strips, None);
            for (vector, output) in input.chunks(d_input).zip(output.chunks(d_output)) {
                for (column, output) in output.iter().enumerate() {
                    let products = vector.iter().zip(weight[column..].iter().step_by(d_output));
                    let expected: f64 = products.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                    assert!((f64::from(*output) - expected).abs() < 1e-4, "{output} for {expected}");
                }
            }
        }
    }
}
