//! Normalisation of groups of channels.

mod extension;
#[cfg(feature = "flex")]
mod flex;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::device::is_accelerated;
use extension::GroupNormOps;

/// Normalises each group of neighbouring channels in each element of the batch: `(x - mean) / sqrt(variance + epsilon)`, then a
/// scale and a shift of each channel, where there are any.
///
/// Wu and He 2018, arXiv:1803.08494. One group is a layer norm over channels and places together, as many groups as channels an
/// instance norm.
///
/// # Shapes
/// - `input`: `[B, C, ...]`
/// - `gamma`, `beta`: `[C]`
/// - output: as `input`
///
/// # Panics
/// If `input` has less than two dimensions, if `groups` doesn't divide its channels, or if `gamma` and `beta` have another number of
/// them.
pub fn group_norm<const D: usize>(
    input: Tensor<D>,
    gamma: Option<Tensor<1>>,
    beta: Option<Tensor<1>>,
    groups: usize,
    epsilon: f64,
) -> Tensor<D> {
    assert!(D >= 2, "a group norm needs a dimension of channels");
    let channels = input.dims()[1];
    assert!(
        groups > 0 && channels.is_multiple_of(groups),
        "{groups} groups don't divide {channels} channels"
    );
    for tensor in gamma.iter().chain(&beta) {
        assert_eq!(tensor.dims(), [channels], "a group norm needs a number for each channel");
    }
    if !is_accelerated(&input) {
        return composed(input, gamma, beta, groups, epsilon);
    }
    let device = input.device();
    let gamma = gamma.unwrap_or_else(|| Tensor::ones([channels], &device)).into_dispatch();
    let beta = beta.unwrap_or_else(|| Tensor::zeros([channels], &device)).into_dispatch();
    Tensor::from_dispatch(Dispatch::group_norm(input.into_dispatch(), gamma, beta, groups, epsilon))
}

/// Of burn's operations.
fn composed<const D: usize>(
    input: Tensor<D>,
    gamma: Option<Tensor<1>>,
    beta: Option<Tensor<1>>,
    groups: usize,
    epsilon: f64,
) -> Tensor<D> {
    let shape = input.dims();
    let size = shape[1..].iter().product::<usize>() / groups;
    let rows = input.reshape([shape[0] * groups, size]);
    let rows = rows.clone() - rows.mean_dim(1);
    let deviation = (rows.clone().square().mean_dim(1) + epsilon).sqrt();
    let output = (rows / deviation).reshape(shape);
    let mut of_channels = [1; D];
    of_channels[1] = shape[1];
    let output = match gamma {
        Some(gamma) => output * gamma.reshape(of_channels),
        None => output,
    };
    match beta {
        Some(beta) => output + beta.reshape(of_channels),
        None => output,
    }
}
