//! Softmax over the last dimension.

mod extension;
#[cfg(feature = "flex")]
mod flex;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::{Tensor, activation};

use crate::device::is_accelerated;
use extension::SoftmaxOps;

/// `e^x_k / Σ_j e^x_j` over the last dimension.
///
/// # Panics
/// If `input` has no dimension.
pub fn softmax<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    apply(input, Function::Softmax)
}

/// [`softmax`] where negative infinity marks what is hidden: a vector that is hidden as a whole gives zeros, not NaN.
///
/// # Panics
/// If `input` has no dimension.
pub fn masked_softmax<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    apply(input, Function::MaskedSoftmax)
}

/// `x_k - ln Σ_j e^x_j` over the last dimension.
///
/// # Panics
/// If `input` has no dimension.
pub fn log_softmax<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    apply(input, Function::LogSoftmax)
}

/// The functions of this module by name, as they pass through the backend extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// See [`softmax`].
    Softmax,
    /// See [`masked_softmax`].
    MaskedSoftmax,
    /// See [`log_softmax`].
    LogSoftmax,
}

fn apply<const D: usize>(input: Tensor<D>, function: Function) -> Tensor<D> {
    assert!(D > 0, "a softmax needs a dimension");
    if is_accelerated(&input) {
        Tensor::from_dispatch(Dispatch::softmax_rows(input.into_dispatch(), function))
    } else {
        composed(input, function)
    }
}

/// The same of burn's operations.
fn composed<const D: usize>(input: Tensor<D>, function: Function) -> Tensor<D> {
    match function {
        Function::Softmax => activation::softmax(input, D - 1),
        Function::LogSoftmax => activation::log_softmax(input, D - 1),
        Function::MaskedSoftmax => {
            // Kept finite, so that vectors of negative infinity give weights of zero rather than NaN.
            let largest = input.clone().max_dim(D - 1).clamp_min(f32::MIN).detach();
            let weights = (input - largest).exp();
            let total = weights.clone().sum_dim(D - 1).clamp_min(f32::MIN_POSITIVE);
            weights / total
        }
    }
}
