//! Cross entropy between class logits and targets.
//!
//! Label smoothing after Szegedy et al. 2016, *Rethinking the Inception Architecture*, arXiv:1512.00567, section 7. Soft
//! targets as mixup (arXiv:1710.09412) and cutmix (arXiv:1905.04899) make them. Reference implementation:
//! `torch.nn.CrossEntropyLoss`.
//!
//! Both forms take the logarithm of the sum of exponentials. A softmax followed by a logarithm would be infinite, and its
//! gradient NaN, where a probability rounds to zero.
//!
//! burn's `CrossEntropyLoss` lacks soft targets, and builds a table of targets for label smoothing where a mean over the
//! classes does.
//!
//! Shapes: `N` samples, `K` classes.

use burn::tensor::{Int, Tensor};
use libellus_kernels::{cross_entropy, log_softmax};
use serde::{Deserialize, Serialize};

use crate::error::LossError;

/// Configuration of [`CrossEntropy`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrossEntropyConfig {
    /// Share `ε` of the target that is spread evenly over all classes, in [0, 1]. Default 0.
    pub label_smoothing: f64,
}

impl CrossEntropyConfig {
    /// The loss.
    ///
    /// # Errors
    /// When `label_smoothing` is outside its range.
    pub fn init(&self) -> Result<CrossEntropy, LossError> {
        let value = self.label_smoothing;
        if !(0.0..=1.0).contains(&value) {
            return Err(LossError::LabelSmoothing { value });
        }
        Ok(CrossEntropy { label_smoothing: value })
    }
}

/// The mean over samples of `-Σ_k y_k log p_k`, where `p` is the softmax of the logits and `y` the target: with label
/// smoothing `ε`, `(1 - ε)` of what was given and `ε / K` for each of the `K` classes. In nats.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy {
    label_smoothing: f64,
}

impl CrossEntropy {
    /// Cross entropy with one right class per sample.
    ///
    /// # Shapes
    /// - `logits`: `[N, K]`
    /// - `labels`: `[N]`, each in `0..K`; on other backends than flex, others give an undefined result
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the numbers of samples differ, and on flex when a label is out of range.
    pub fn forward(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        cross_entropy(logits, labels, self.label_smoothing).mean()
    }

    /// Cross entropy with a distribution over the classes per sample.
    ///
    /// It is smallest, at the entropy of the targets, where the softmax of the logits equals them.
    ///
    /// # Shapes
    /// - `logits`: `[N, K]`
    /// - `targets`: `[N, K]`, from 0 up, each row with the sum 1
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn forward_soft(&self, logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
        assert_eq!(logits.dims(), targets.dims(), "cross entropy needs a target for each logit");
        let log_probabilities = log_softmax(logits);
        let loss = (targets * log_probabilities.clone()).sum_dim(1).mean().neg();
        match self.label_smoothing {
            0.0 => loss,
            share => loss * (1.0 - share) - log_probabilities.mean() * share,
        }
    }
}
