//! Cross entropy between class logits and the right classes.
//!
//! Reference implementation: `torch.nn.functional.cross_entropy` without a reduction.

mod extension;
#[cfg(feature = "flex")]
mod flex;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::{Int, Tensor};

use crate::device::is_accelerated;
use crate::softmax::log_softmax;
use extension::CrossEntropyOps;

/// `-Σ_k y_k log p_k` of each sample, in nats, where `p` is the softmax of its logits and `y` its target: `1 - ε` for the
/// right class, and `ε / K` for each of the `K` classes.
///
/// The label smoothing `ε` is that of Szegedy et al. 2016, arXiv:1512.00567, section 7; 0 for none.
///
/// # Shapes
/// - `logits`: `[N, K]`
/// - `labels`: `[N]`, each in `0..K`; on other backends than flex, others give an undefined result
/// - output: `[N]`
///
/// # Panics
/// If the numbers of samples differ, and on flex if a label is out of range.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>, label_smoothing: f64) -> Tensor<1> {
    let [samples, _] = logits.dims();
    assert_eq!(labels.dims(), [samples], "cross entropy needs one label per sample");
    if !is_accelerated(&logits) {
        return composed(logits, labels, label_smoothing);
    }
    let (logits, labels) = (logits.into_dispatch(), labels.into_dispatch());
    Tensor::from_dispatch(Dispatch::cross_entropy_of_rows(logits, labels, label_smoothing))
}

/// The same by way of all log probabilities.
fn composed(logits: Tensor<2>, labels: Tensor<1, Int>, label_smoothing: f64) -> Tensor<1> {
    let [samples, _] = logits.dims();
    let log_probabilities = log_softmax(logits);
    let right = log_probabilities.clone().gather(1, labels.reshape([samples, 1])).reshape([samples]).neg();
    match label_smoothing {
        0.0 => right,
        share => right * (1.0 - share) - log_probabilities.mean_dim(1).reshape([samples]) * share,
    }
}
