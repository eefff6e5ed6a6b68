//! Parameter groups: what decays and what doesn't.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Which parameters get the optimiser's weight decay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecayPolicy {
    /// Every parameter, as PyTorch's optimisers do unless they are given parameter groups.
    All,
    /// Only parameters of rank 2 and above. Those of rank 1 and 0 are the scales and shifts of norms, the biases and
    /// the temperatures: pulling them to zero doesn't regularise the function, it only changes it.
    ///
    /// He et al. 2019, *Bag of Tricks for Image Classification*, arXiv:1812.01187, section 3.1. The rule by rank is
    /// timm's.
    #[default]
    NoNormsAndBiases,
}

/// Weight decay under a policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WeightDecay {
    pub(crate) rate: f64,
    pub(crate) policy: DecayPolicy,
}

impl WeightDecay {
    /// The rate for a parameter of rank `D`.
    pub(crate) fn of_rank<const D: usize>(&self) -> f64 {
        match self.policy {
            DecayPolicy::NoNormsAndBiases if D < 2 => 0.0,
            DecayPolicy::All | DecayPolicy::NoNormsAndBiases => self.rate,
        }
    }

    /// The gradient of the loss plus that of `rate / 2 * |tensor|^2`: the coupled form.
    pub(crate) fn add_to<const D: usize>(&self, gradient: Tensor<D>, tensor: &Tensor<D>) -> Tensor<D> {
        match self.of_rank::<D>() {
            0.0 => gradient,
            rate => gradient + tensor.clone().mul_scalar(rate),
        }
    }
}
