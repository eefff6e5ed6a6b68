//! The product of vectors and a matrix.

mod extension;
#[cfg(feature = "flex")]
mod few;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod multiply;
#[cfg(feature = "flex")]
mod packed;
#[cfg(feature = "flex")]
mod strips;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::{Tensor, module};

use crate::device::is_accelerated;
use extension::LinearOps;
#[cfg(feature = "flex")]
pub(crate) use {
    multiply::{Products, Rows, VECTORS, Vectors, multiply, multiply_packed},
    packed::Packed,
    strips::{PreparedWeight, Strips},
};

/// `x W + b` over the last dimension, the same as burn's.
///
/// Where the weight belongs to a model that is [prepared](crate::Prepared), it is read as it was prepared, in 32-bit floats or in 8 bits.
///
/// # Shapes
/// - `input`: `[..., d_input]`
/// - `weight`: `[d_input, d_output]`
/// - `bias`: `[d_output]`
/// - output: `[..., d_output]`
///
/// # Panics
/// If shapes don't fit.
pub fn linear<const D: usize>(input: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    match fast(&input, &weight, bias.as_ref(), Order::Rows) {
        Some(output) => output,
        None => module::linear(input, weight, bias),
    }
}

/// The product of each vector with every row of `weight`: [`linear`] with the transpose.
///
/// # Shapes
/// - `input`: `[rows, d_input]`
/// - `weight`: `[d_output, d_input]`
/// - output: `[rows, d_output]`
///
/// # Panics
/// If shapes don't fit.
pub fn linear_transposed(input: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    match fast(&input, &weight, None, Order::Columns) {
        Some(output) => output,
        None => input.matmul(weight.transpose()),
    }
}

/// What lies side by side in a matrix's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The numbers of a row.
    Rows,
    /// The numbers of a column.
    Columns,
}

/// The product on flex, if all is there and fits.
fn fast<const D: usize>(
    input: &Tensor<D>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
    order: Order,
) -> Option<Tensor<D>> {
    let [rows, columns] = weight.dims();
    let [d_input, d_output] = match order {
        Order::Rows => [rows, columns],
        Order::Columns => [columns, rows],
    };
    let fits = is_accelerated(input)
        && is_accelerated(weight)
        && input.dims()[D - 1] == d_input
        && bias.iter().all(|bias| is_accelerated(bias) && bias.dims() == [d_output])
        && input.shape().num_elements() * d_output > 0;
    fits.then(|| {
        let (input, weight) = (input.clone().into_dispatch(), weight.clone().into_dispatch());
        Tensor::from_dispatch(match bias {
            Some(bias) => Dispatch::biased_product(input, weight, bias.clone().into_dispatch(), order),
            None => Dispatch::product(input, weight, order),
        })
    })
}
