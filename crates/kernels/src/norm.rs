//! Normalisation of each vector along the last dimension.

mod extension;
#[cfg(feature = "flex")]
mod flex;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::{Tensor, module};

use crate::device::is_accelerated;
use extension::NormOps;

/// Layer normalisation: `(x - mean) / sqrt(variance + epsilon) gamma + beta` over the last dimension.
///
/// Ba, Kiros and Hinton 2016, arXiv:1607.06450.
///
/// # Shapes
/// - `input`: `[..., W]`
/// - `gamma`, `beta`: `[W]`
/// - output: as `input`
///
/// # Panics
/// If `input` has no dimension, or another last one than `gamma` and `beta`.
pub fn layer_norm<const D: usize>(
    input: Tensor<D>,
    gamma: Tensor<1>,
    beta: Option<Tensor<1>>,
    epsilon: f64,
) -> Tensor<D> {
    check_width(&input, &gamma);
    if let Some(beta) = &beta {
        check_width(&input, beta);
    }
    if !is_accelerated(&input) {
        return module::layer_norm(input, gamma, beta, epsilon);
    }
    let beta = beta.unwrap_or_else(|| Tensor::zeros(gamma.dims(), &gamma.device()));
    apply(input, gamma, beta, epsilon, Centre::Mean)
}

/// Normalisation by the root mean square: `x / sqrt(mean(x^2) + epsilon) gamma` over the last dimension.
///
/// Zhang and Sennrich 2019, arXiv:1910.07467.
///
/// # Shapes
/// - `input`: `[..., W]`
/// - `gamma`: `[W]`
/// - output: as `input`
///
/// # Panics
/// If `input` has no dimension, or another last one than `gamma`.
pub fn rms_norm<const D: usize>(input: Tensor<D>, gamma: Tensor<1>, epsilon: f64) -> Tensor<D> {
    check_width(&input, &gamma);
    if !is_accelerated(&input) {
        return composed_rms_norm(input, gamma, epsilon);
    }
    let beta = Tensor::zeros(gamma.dims(), &gamma.device());
    apply(input, gamma, beta, epsilon, Centre::Zero)
}

/// From where a vector's deviation is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Centre {
    /// Its mean: layer normalisation.
    Mean,
    /// Zero: normalisation by the root mean square.
    Zero,
}

fn apply<const D: usize>(
    input: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    centre: Centre,
) -> Tensor<D> {
    let [input, gamma, beta] = [input.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch()];
    Tensor::from_dispatch(Dispatch::norm(input, gamma, beta, epsilon, centre))
}

fn composed_rms_norm<const D: usize>(input: Tensor<D>, gamma: Tensor<1>, epsilon: f64) -> Tensor<D> {
    let rms = (input.clone().square().mean_dim(D - 1) + epsilon).sqrt();
    input / rms * gamma.unsqueeze()
}

fn check_width<const D: usize>(input: &Tensor<D>, of_each: &Tensor<1>) {
    assert_eq!(
        input.dims().last(),
        of_each.dims().last(),
        "a norm needs a scale and a shift for each of the last dimension"
    );
}
