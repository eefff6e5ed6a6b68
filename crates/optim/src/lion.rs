//! Lion.
//!
//! Chen et al. 2023, *Symbolic Discovery of Optimization Algorithms*, arXiv:2302.06675, algorithm 2. Reference
//! implementation: `timm.optim.Lion`, as PyTorch has none.
//!
//! burn's `Lion` takes the same step, but its state loads onto `Device::default()`, which fails where a GPU backend is
//! compiled in and no GPU is present.

use burn::optim::{Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};
use libellus_kernels::{LionStep, lion_step};
use serde::{Deserialize, Serialize};

use crate::decay::WeightDecay;
use crate::error::{OptimError, require_decay, require_non_negative};
use crate::slot::Slot;

/// Constants of Lion; the defaults are the paper's.
///
/// A step on parameter `θ` with gradient `g` is `θ ← (1 - lr λ) θ - lr sign(β1 m + (1 - β1) g)`, then
/// `m ← β2 m + (1 - β2) g`. Every element moves by the learning rate, so the paper (section 5) takes one 3 to 10 times
/// smaller than AdamW's, and a weight decay as much larger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LionConfig {
    /// How much of the momentum enters the update (`β1`) and stays in the momentum (`β2`), each in [0, 1). Default 0.9
    /// and 0.99.
    pub betas: [f64; 2],
    /// Weight decay `λ`, which shrinks the weights directly, from 0 up. Default 0.
    pub weight_decay: f64,
}

impl Default for LionConfig {
    fn default() -> Self {
        Self { betas: [0.9, 0.99], weight_decay: 0.0 }
    }
}

impl LionConfig {
    pub(crate) fn validate(&self) -> Result<(), OptimError> {
        require_decay("betas[0]", self.betas[0])?;
        require_decay("betas[1]", self.betas[1])?;
        require_non_negative("weight_decay", self.weight_decay)
    }
}

/// The optimiser.
#[derive(Clone, Debug)]
pub(crate) struct Lion {
    pub(crate) config: LionConfig,
    pub(crate) decay: WeightDecay,
}

/// What Lion remembers of a parameter.
#[derive(Clone, Debug)]
pub(crate) struct LionState<const D: usize> {
    momentum: Slot<D>,
}

impl Optimizer for Lion {
    type State<const D: usize> = LionState<D>;

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<LionState<D>>,
    ) -> (Tensor<D>, Option<LionState<D>>) {
        let momentum = match state {
            Some(state) => state.momentum.on(&grad.device()),
            None => grad.zeros_like(),
        };
        let step = LionStep { betas: self.config.betas, shrink: 1.0 - lr * self.decay.of_rank::<D>(), lr };
        let (tensor, momentum) = lion_step(tensor, grad, momentum, step);
        (tensor, Some(LionState { momentum: Slot::Live(momentum) }))
    }

    fn to_device<const D: usize>(state: LionState<D>, device: &Device) -> LionState<D> {
        LionState { momentum: state.momentum.moved_to(device) }
    }
}

impl<const D: usize> RecordState for LionState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        self.momentum.flatten(prefix, "momentum", out);
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, _default: &Device) -> Option<Self> {
        Some(Self { momentum: Slot::unflatten(prefix, "momentum", src)? })
    }
}
