//! Adam, AdamW and AMSGrad.
//!
//! Kingma and Ba 2015, *Adam: A Method for Stochastic Optimization*, arXiv:1412.6980, algorithm 1. Loshchilov and Hutter
//! 2019, *Decoupled Weight Decay Regularization*, arXiv:1711.05101, algorithm 2. Reddi et al. 2018, *On the Convergence
//! of Adam and Beyond*. Reference implementations: `torch.optim.Adam` and `torch.optim.AdamW`.
//!
//! burn's computes differently: its defaults are others, and it takes `1 - β` and `1 - β^t` in f32, whose rounding moved the
//! weights six times as far from PyTorch's in twelve steps as here (4e-7 of the largest instead of 6e-8). Its state also
//! loads onto `Device::default()`, which fails where a GPU backend is compiled in and no GPU is present.

use burn::optim::{Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};
use libellus_kernels::{AdamAverages, AdamStep, adam_step};
use serde::{Deserialize, Serialize};

use crate::decay::WeightDecay;
use crate::error::{OptimError, require_decay, require_non_negative};
use crate::slot::Slot;

/// Constants of Adam; the defaults are `torch.optim.Adam`'s.
///
/// Step `t` on parameter `θ` with gradient `g` is `g' = g + λ θ`, `m ← β1 m + (1 - β1) g'`, `v ← β2 v + (1 - β2) g'^2`,
/// `θ ← θ - lr m̂ / (sqrt(v̂) + ε)` with `m̂ = m / (1 - β1^t)` and `v̂ = v / (1 - β2^t)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamConfig {
    /// Decays `β1`, `β2` of the averages of the gradient and of its square, each in [0, 1). Default 0.9 and 0.999.
    pub betas: [f64; 2],
    /// Term `ε` that keeps the division finite, from 0 up. Default 1e-8.
    pub eps: f64,
    /// Weight decay `λ`, added to the gradient, from 0 up. Default 0.
    pub weight_decay: f64,
    /// Whether `v̂` is the largest `v` so far instead of the current one. Default false.
    pub amsgrad: bool,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, amsgrad: false }
    }
}

impl AdamConfig {
    pub(crate) fn validate(&self) -> Result<(), OptimError> {
        validate(self.betas, self.eps, self.weight_decay)
    }
}

/// Constants of AdamW; the defaults are `torch.optim.AdamW`'s.
///
/// As [`AdamConfig`], but the decay doesn't go through the gradient's averages: `θ ← (1 - lr λ) θ` before the step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// Decays `β1`, `β2` of the averages of the gradient and of its square, each in [0, 1). Default 0.9 and 0.999.
    pub betas: [f64; 2],
    /// Term `ε` that keeps the division finite, from 0 up. Default 1e-8.
    pub eps: f64,
    /// Weight decay `λ`, which shrinks the weights directly, from 0 up. Default 0.01.
    pub weight_decay: f64,
    /// Whether `v̂` is the largest `v` so far instead of the current one. Default false.
    pub amsgrad: bool,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.01, amsgrad: false }
    }
}

impl AdamWConfig {
    pub(crate) fn validate(&self) -> Result<(), OptimError> {
        validate(self.betas, self.eps, self.weight_decay)
    }
}

fn validate([beta1, beta2]: [f64; 2], eps: f64, weight_decay: f64) -> Result<(), OptimError> {
    require_decay("betas[0]", beta1)?;
    require_decay("betas[1]", beta2)?;
    require_non_negative("eps", eps)?;
    require_non_negative("weight_decay", weight_decay)
}

/// The optimiser, in both forms.
#[derive(Clone, Debug)]
pub(crate) struct Adam {
    pub(crate) betas: [f64; 2],
    pub(crate) eps: f64,
    pub(crate) amsgrad: bool,
    pub(crate) decay: WeightDecay,
    pub(crate) coupling: Coupling,
}

/// Where weight decay enters.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Coupling {
    /// Through the gradient: Adam.
    Coupled,
    /// Directly: AdamW.
    Decoupled,
}

/// What Adam remembers of a parameter.
#[derive(Clone, Debug)]
pub(crate) struct AdamState<const D: usize> {
    step: usize,
    /// Average `m` of the gradient.
    first: Slot<D>,
    /// Average `v` of its square.
    second: Slot<D>,
    /// Largest `v` so far, for AMSGrad.
    largest: Option<Slot<D>>,
}

impl Optimizer for Adam {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        let device = grad.device();
        let zeros = || Tensor::zeros_like(&grad);
        let (step, averages) = match state {
            Some(AdamState { step, first, second, largest }) => {
                let largest = self.amsgrad.then(|| largest.map_or_else(zeros, |largest| largest.on(&device)));
                (step + 1, AdamAverages { first: first.on(&device), second: second.on(&device), largest })
            }
            None => {
                let largest = self.amsgrad.then(zeros);
                (1, AdamAverages { first: zeros(), second: zeros(), largest })
            }
        };

        // The corrections are folded into two scalars, in f64: for small t, `1 - β2^t` has few digits left in f32.
        let time = i32::try_from(step).unwrap_or(i32::MAX);
        let [correction1, correction2] = self.betas.map(|beta| 1.0 - beta.powi(time));
        let rate = self.decay.of_rank::<D>();
        let (shrink, decay) = match self.coupling {
            Coupling::Coupled => (1.0, rate),
            Coupling::Decoupled => (1.0 - lr * rate, 0.0),
        };
        let constants = AdamStep {
            betas: self.betas,
            shrink,
            decay,
            size: lr * correction2.sqrt() / correction1,
            eps: self.eps * correction2.sqrt(),
        };
        let (tensor, AdamAverages { first, second, largest }) = adam_step(tensor, grad, averages, constants);

        let state = AdamState {
            step,
            first: Slot::Live(first),
            second: Slot::Live(second),
            largest: largest.map(Slot::Live),
        };
        (tensor, Some(state))
    }

    fn to_device<const D: usize>(state: AdamState<D>, device: &Device) -> AdamState<D> {
        AdamState {
            step: state.step,
            first: state.first.moved_to(device),
            second: state.second.moved_to(device),
            largest: state.largest.map(|largest| largest.moved_to(device)),
        }
    }
}

impl<const D: usize> RecordState for AdamState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_scalar(prefix, "step", self.step.into());
        self.first.flatten(prefix, "first", out);
        self.second.flatten(prefix, "second", out);
        if let Some(largest) = &self.largest {
            largest.flatten(prefix, "largest", out);
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, _default: &Device) -> Option<Self> {
        Some(Self {
            step: src.take_scalar(prefix, "step")?.try_into().ok()?,
            first: Slot::unflatten(prefix, "first", src)?,
            second: Slot::unflatten(prefix, "second", src)?,
            largest: Slot::unflatten(prefix, "largest", src),
        })
    }
}
