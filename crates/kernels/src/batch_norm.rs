//! Batch normalisation of each channel.

mod extension;
#[cfg(feature = "flex")]
mod flex;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::{Tensor, module};

use crate::device::is_accelerated;
use extension::BatchNormOps;

/// Normalises each channel by its own mean and variance: `(x - mean) / sqrt(variance + epsilon) gamma + beta`.
///
/// Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1.
///
/// # Shapes
/// - `input`: `[B, C, ...]`
/// - `gamma`, `beta`: `[C]`
/// - output: as `input`
///
/// # Panics
/// If `input` has less than two dimensions, or another number of channels than `gamma` and `beta`.
pub fn batch_norm_train<const D: usize>(
    input: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> NormalizedBatch<D> {
    check_channels(&input, [&gamma, &beta]);
    if !is_fast(&input) {
        let module::BatchNormTrainOutput { output, mean, variance } =
            module::batch_norm_train(input, gamma, beta, epsilon);
        return NormalizedBatch { output, mean, variance };
    }
    let [gamma, beta] = [gamma.into_dispatch(), beta.into_dispatch()];
    let (output, mean, variance) = Dispatch::normalize_batch(input.into_dispatch(), gamma, beta, epsilon);
    let [mean, variance] = [mean, variance].map(Tensor::from_dispatch);
    NormalizedBatch { output: Tensor::from_dispatch(output), mean, variance }
}

/// What [`batch_norm_train`] gives.
#[derive(Debug, Clone)]
pub struct NormalizedBatch<const D: usize> {
    /// The normalised batch.
    pub output: Tensor<D>,
    /// The mean of each channel, `[C]`, without gradient.
    pub mean: Tensor<1>,
    /// The mean squared deviation from it (not the unbiased one), `[C]`, without gradient.
    pub variance: Tensor<1>,
}

/// Normalises each channel by a given mean and variance: `(x - mean) / sqrt(variance + epsilon) gamma + beta`.
///
/// Computed as one multiplication and one addition, as in PyTorch.
///
/// # Shapes
/// - `input`: `[B, C, ...]`
/// - `gamma`, `beta`, `mean`, `variance`: `[C]`
/// - output: as `input`
///
/// # Panics
/// If `input` has less than two dimensions, or another number of channels than the rest.
pub fn batch_norm<const D: usize>(
    input: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    mean: Tensor<1>,
    variance: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    check_channels(&input, [&gamma, &beta, &mean, &variance]);
    if !is_fast(&input) {
        return module::batch_norm(input, gamma, beta, mean, variance, epsilon);
    }
    let scale = gamma / (variance + epsilon).sqrt();
    let shift = beta - mean * scale.clone();
    let [input, scale, shift] = [input.into_dispatch(), scale.into_dispatch(), shift.into_dispatch()];
    Tensor::from_dispatch(Dispatch::scale_channels(input, scale, shift))
}

/// Where each channel of an image is long enough for vectors. A batch of features without extent is better left to burn.
fn is_fast<const D: usize>(input: &Tensor<D>) -> bool {
    input.dims()[2..].iter().product::<usize>() >= 8 && is_accelerated(input)
}

fn check_channels<const D: usize, const N: usize>(input: &Tensor<D>, of_each: [&Tensor<1>; N]) {
    assert!(D >= 2, "a batch norm needs a dimension of channels");
    for tensor in of_each {
        assert_eq!(tensor.dims(), [input.dims()[1]], "a batch norm needs a number for each channel");
    }
}
