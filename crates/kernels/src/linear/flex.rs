//! Linear layers on flex: products of vectors and a matrix that is [prepared](crate::Prepared), or else brought into the same order for this one
//! product.
//!
//! Few vectors: each thread reads some strips, which is the way of all memory that the product takes. Many: each thread takes some
//! vectors through all strips, which it finds in the caches.

use std::ops::Range;

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::{Shape, TensorData};
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::Order;
use super::extension::{LinearGradient, LinearOps};
use super::packed::Packed;
use super::strips::{Numbers, PreparedWeight, Strips, decode};
use crate::fresh::{Fresh, Writer, filled};
use crate::matrix::Matrix;
use crate::memory::{FlexTensor, contiguous, for_each, for_each_of, own, rows, values};
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

/// Vectors that make it worth while to bring a matrix that isn't prepared into the order in which it is read.
const MANY: usize = 16;
/// Columns that a thread adds up at a time.
const COLUMNS: usize = 256;
/// Numbers that go into a partial sum of a column.
const SUMMED: usize = 64;

impl LinearOps for Flex {
    fn product(input: FloatTensor<Self>, weight: FloatTensor<Self>, order: Order) -> FloatTensor<Self> {
        forward(input, weight, None, order)
    }

    fn biased_product(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        order: Order,
    ) -> FloatTensor<Self> {
        forward(input, weight, Some(contiguous(bias)), order)
    }
}

impl LinearGradient for Flex {
    fn product_input_gradient(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        order: Order,
    ) -> FloatTensor<Self> {
        let (weight, gradient) = (contiguous(weight), contiguous(gradient));
        let transposed = match order {
            Order::Rows => Order::Columns,
            Order::Columns => Order::Rows,
        };
        of_vectors(gradient, &weight, None, transposed)
    }

    fn product_weight_gradient(
        input: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        order: Order,
    ) -> FloatTensor<Self> {
        let (input, gradient) = (contiguous(input), contiguous(gradient));
        // Both have a row for each vector, and the sum goes over the vectors.
        let (left, right) = match order {
            Order::Rows => (&input, &gradient),
            Order::Columns => (&gradient, &input),
        };
        let ([vectors, rows], [_, columns]) = (size(left), size(right));
        let left = Matrix::new(values(left), [rows, vectors], Order::Columns);
        let strips = Strips::once(Matrix::new(values(right), [vectors, columns], Order::Rows));
        let output = multiply(left, &strips, None);
        FlexTensor::from_data(TensorData::new(output, [rows, columns]))
    }

    fn product_bias_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        let gradient = contiguous(gradient);
        let [_, columns] = size(&gradient);
        let vectors = values(&gradient);
        let mut sums = vec![0.0; columns];
        for_each(sums.par_chunks_mut(COLUMNS).enumerate(), |(part, sums)| {
            let mut parts = [0.0; COLUMNS];
            let parts = &mut parts[..sums.len()];
            // Sums of sums, whose error grows more slowly.
            for vectors in vectors.chunks(SUMMED * columns) {
                parts.fill(0.0);
                for vector in vectors.chunks_exact(columns) {
                    for (part, number) in parts.iter_mut().zip(&vector[part * COLUMNS..]) {
                        *part += number;
                    }
                }
                for (sum, part) in sums.iter_mut().zip(&*parts) {
                    *sum += part;
                }
            }
        });
        FlexTensor::from_data(TensorData::new(sums, [columns]))
    }
}

fn forward(input: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>, order: Order) -> FlexTensor {
    let input = contiguous(input);
    let bias = bias.as_ref().map(values);
    if let Some(forms) = forms(&weight) {
        let matrix = matrix(&weight, order);
        let make = || PreparedWeight {
            order,
            strips: Strips::new(matrix, forms.precision, Instructions::detected()),
        };
        let prepared = forms.strips.get_or_make(make);
        // The same weight could also be seen as one of another size.
        let size = (prepared.order, prepared.strips.d_input, prepared.strips.d_output);
        if size == (order, matrix.rows, matrix.columns) {
            return multiplied(input, &prepared.strips, bias);
        }
    }
    of_vectors(input, &contiguous(weight), bias, order)
}

/// The product with a matrix that isn't prepared.
fn of_vectors(input: FlexTensor, weight: &FlexTensor, bias: Option<&[f32]>, order: Order) -> FlexTensor {
    let matrix = matrix(weight, order);
    let [vectors, _] = size(&input);
    if vectors >= MANY {
        return multiplied(input, &Strips::once(matrix), bias);
    }
    let shape = shape_of_output(&input, matrix.columns);
    let weight = match order {
        Order::Rows => weight.clone(),
        Order::Columns => Flex::float_transpose(weight.clone()),
    };
    let input = Flex::float_reshape(input, [vectors, matrix.rows].into());
    let mut output = contiguous(Flex::float_matmul(input, weight));
    if let Some(bias) = bias {
        for vector in own(&mut output).chunks_exact_mut(bias.len().max(1)) {
            for (number, bias) in vector.iter_mut().zip(bias) {
                *number += bias;
            }
        }
    }
    Flex::float_reshape(output, shape)
}

/// A weight as a matrix that has a row for each input.
fn matrix(weight: &FlexTensor, order: Order) -> Matrix<'_> {
    let [rows, columns] = size(weight);
    let size = match order {
        Order::Rows => [rows, columns],
        Order::Columns => [columns, rows],
    };
    Matrix::new(values(weight), size, order)
}

/// Vectors, and numbers of each.
fn size(tensor: &FlexTensor) -> [usize; 2] {
    let rows = rows(tensor);
    [rows.count, rows.width]
}

fn multiplied(input: FlexTensor, strips: &Strips, bias: Option<&[f32]>) -> FlexTensor {
    let output = multiply(Matrix::new(values(&input), size(&input), Order::Rows), strips, bias);
    FlexTensor::from_data(TensorData::new(output, shape_of_output(&input, strips.d_output)))
}

fn shape_of_output(input: &FlexTensor, d_output: usize) -> Shape {
    let mut shape = input.layout().shape().clone();
    let last = shape.num_dims() - 1;
    shape[last] = d_output;
    shape
}

fn multiply(input: Matrix<'_>, strips: &Strips, bias: Option<&[f32]>) -> Vec<f32> {
    let vectors = input.rows;
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
            let packed = Packed::new(strips, input, 0..vectors);
            let multiplications = vectors * strips.d_input * STRIPS * STRIP;
            for_each_of(multiplications, parts.into_par_iter().enumerate(), |(part, rows)| {
                let range = part * STRIPS..((part + 1) * STRIPS).min(all.end);
                run(strips, range, &packed, rows, bias);
            });
        } else {
            let count = vectors.div_ceil(vectors.div_ceil(VECTORS));
            let multiplications = count * strips.d_input * strips.d_output;
            let parts = output.par_chunks(count * strips.d_output).enumerate();
            for_each_of(multiplications, parts, |(part, output)| {
                let packed = Packed::new(strips, input, part * count..((part + 1) * count).min(vectors));
                run(strips, all.clone(), &packed, output.chunks(strips.d_output).collect(), bias);
            });
        }
    })
}

fn run(strips: &Strips, range: Range<usize>, packed: &Packed, rows: Vec<Fresh<'_>>, bias: Option<&[f32]>) {
    with_scratch(SLICE * STRIP, |scratch| {
        let scratch = scratch.as_chunks_mut::<STRIP>().0;
        let mut rows: Vec<Writer<'_>> = rows.into_iter().map(Fresh::writer).collect();
        AutoArch::new().dispatch(Multiply { strips, range, packed, rows: &mut rows, bias, scratch });
        rows.into_iter().for_each(Writer::finish);
    });
}

struct Multiply<'a, 'b> {
    strips: &'a Strips,
    /// Of strips.
    range: Range<usize>,
    /// The vectors.
    packed: &'a Packed,
    /// Of the output, the columns of the range.
    rows: &'a mut [Writer<'b>],
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
        for strip in range {
            let sums = &mut sums[..vectors];
            sums.fill([0.0; STRIP]);
            match &strips.numbers {
                Numbers::Floats(numbers) => {
                    for (slice, numbers) in numbers.strip(strip).chunks(SLICE).enumerate() {
                        packed.add_floats(slice, numbers, sums);
                    }
                }
                Numbers::Codes(codes, scales) => {
                    let scales = scales.strip(strip).chunks(SLICE / GROUP);
                    for (slice, (codes, scales)) in codes.strip(strip).chunks(SLICE).zip(scales).enumerate() {
                        packed.add_floats(slice, decode::<S>(codes, scales, scratch), sums);
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
            for (row, sums) in rows.iter_mut().zip(&*sums) {
                let sums: StripRow = std::array::from_fn(|lane| sums[lane] + biases[lane]);
                row.push(&sums);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Instructions, Matrix, Order, Strips, multiply};
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
            let matrix = Matrix::new(&weight, [d_input, d_output], Order::Rows);
            let strips = Strips::new(matrix, precision, instructions);
            let output = multiply(Matrix::new(&input, [vectors, d_input], Order::Rows), &strips, None);
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
