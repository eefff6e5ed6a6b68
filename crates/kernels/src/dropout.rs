//! Dropout.
//!
//! Srivastava et al. 2014, *Dropout: A Simple Way to Prevent Neural Networks from Overfitting*, JMLR 15. Reference
//! implementation: `torch.nn.functional.dropout`.

mod extension;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod generator;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Distribution, Int, Tensor};

use crate::device::is_accelerated;
use extension::DropoutOps;

/// Multiplies each element by 0 with the given probability, and by `1 / (1 - probability)` otherwise. As in PyTorch, infinity
/// times 0 is NaN.
///
/// What is dropped depends on the device's seed and on what was drawn from it before. On flex the device gives one number, from
/// which the others are made by `xoshiro128++` (Blackman and Vigna 2021, arXiv:1805.01407), on all threads; the same for any
/// number of them.
///
/// # Panics
/// If the probability isn't in `[0, 1)`.
pub fn dropout<const D: usize>(input: Tensor<D>, probability: f64) -> Tensor<D> {
    assert!((0.0..1.0).contains(&probability), "a dropout probability is in [0, 1), not {probability}");
    if probability == 0.0 {
        return input;
    }
    if !is_accelerated(&input) {
        return composed(input, probability);
    }
    let seed = draw(&input.device());
    Tensor::from_dispatch(Dispatch::drop_elements(input.into_dispatch(), probability, seed))
}

/// The next number of the device's generator.
fn draw(device: &Device) -> u64 {
    let number = Tensor::<1, Int>::random([1], Distribution::Default, (device, DType::I64));
    number.into_scalar::<i64>().cast_unsigned()
}

fn composed<const D: usize>(input: Tensor<D>, probability: f64) -> Tensor<D> {
    let kept = 1.0 - probability;
    let mask = input.random_like(Distribution::Bernoulli(kept));
    input * mask * (1.0 / kept)
}
