//! The product of vectors and a matrix, with the matrix kept in the order in which it is read.

#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod packed;
#[cfg(feature = "flex")]
mod strips;
#[cfg(test)]
mod tests;

use burn::tensor::{Tensor, module};

#[cfg(feature = "flex")]
use crate::device::is_plain;
#[cfg(feature = "flex")]
pub(crate) use strips::Strips;

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
    #[cfg(feature = "flex")]
    if is_plain(&input)
        && is_plain(&weight)
        && input.dims()[D - 1] == weight.dims()[0]
        && bias.iter().all(|bias| is_plain(bias) && bias.dims() == [weight.dims()[1]])
        && let Some(output) = flex::prepared(&input, &weight, bias.as_ref(), Orientation::InputsByOutputs)
    {
        return output;
    }
    module::linear(input, weight, bias)
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
    #[cfg(feature = "flex")]
    if is_plain(&input)
        && is_plain(&weight)
        && input.dims()[1] == weight.dims()[1]
        && let Some(output) = flex::prepared(&input, &weight, None, Orientation::OutputsByInputs)
    {
        return output;
    }
    input.matmul(weight.transpose())
}

/// How a matrix lies in memory.
#[cfg(feature = "flex")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Orientation {
    /// `[d_input, d_output]`.
    InputsByOutputs,
    /// `[d_output, d_input]`.
    OutputsByInputs,
}
