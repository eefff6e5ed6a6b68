//! Linear layers on flex: products of vectors and a matrix that is [prepared](crate::Prepared), is brought into the same order for this one
//! product, or, for few vectors, is read where it lies.

use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::{Shape, TensorData};
use rayon::prelude::*;

use super::Order;
use super::extension::{LinearGradient, LinearOps};
use super::few::multiply_few;
use super::multiply::multiply;
use super::strips::{PreparedWeight, Strips};
use crate::finish::Finish;
use crate::matrix::Matrix;
use crate::memory::{FlexTensor, contiguous, for_each, rows, values};
use crate::narrow::Instructions;
use crate::prepared::forms;

/// Vectors that make it worth while to bring a matrix into the order of strips, which takes as long as so many are multiplied.
const MANY: usize = 16;
/// Sums of few vectors at most, 1 MB for each part of the matrix.
const SUMS: usize = 1 << 18;
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
        let strips = Strips::in_place(Matrix::new(values(right), [vectors, columns], Order::Rows));
        let output = multiply(&left, &strips, Finish::default());
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
    let vectors = Matrix::new(values(&input), size(&input), Order::Rows);
    if vectors.rows < MANY && vectors.rows * matrix.columns <= SUMS {
        let output = multiply_few(vectors, matrix, bias);
        return FlexTensor::from_data(TensorData::new(output, shape_of_output(&input, matrix.columns)));
    }
    multiplied(input, &Strips::in_place(matrix), bias)
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

fn multiplied(input: FlexTensor, strips: &Strips<'_>, bias: Option<&[f32]>) -> FlexTensor {
    let finish = Finish { shift: bias, ..Finish::default() };
    let output = multiply(&Matrix::new(values(&input), size(&input), Order::Rows), strips, finish);
    FlexTensor::from_data(TensorData::new(output, shape_of_output(&input, strips.d_output)))
}

fn shape_of_output(input: &FlexTensor, d_output: usize) -> Shape {
    let mut shape = input.layout().shape().clone();
    let last = shape.num_dims() - 1;
    shape[last] = d_output;
    shape
}
