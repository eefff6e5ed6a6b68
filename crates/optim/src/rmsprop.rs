//! RMSprop.
//!
//! Tieleman and Hinton 2012, *Lecture 6.5: RMSprop* (Coursera, Neural Networks for Machine Learning); centred form after
//! Graves 2013, *Generating Sequences With Recurrent Neural Networks*, arXiv:1308.0850, section 4.2. Reference
//! implementation: `torch.optim.RMSprop`.
//!
//! burn's computes differently: `1 - α` in f32, momentum 0.9 and `ε` 1e-5 by default. Its state also loads onto
//! `Device::default()`, which fails where a GPU backend is compiled in and no GPU is present.
//!
//! *Difference* from the reference: a centred variance that rounding makes negative counts as 0; there it becomes NaN.

use burn::optim::{Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::decay::WeightDecay;
use crate::error::{OptimError, require_decay, require_non_negative};
use crate::slot::Slot;

/// Constants of RMSprop; the defaults are `torch.optim.RMSprop`'s.
///
/// A step on parameter `θ` with gradient `g` is `g' = g + λ θ`, `v ← α v + (1 - α) g'^2`, `d = g' / (sqrt(v) + ε)`,
/// `b ← μ b + d`, `θ ← θ - lr b`. The centred form averages the gradient too, `a ← α a + (1 - α) g'`, and divides by
/// `sqrt(v - a^2) + ε`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsPropConfig {
    /// Decay `α` of the averages, in [0, 1). Default 0.99.
    pub alpha: f64,
    /// Term `ε` that keeps the division finite, from 0 up. Default 1e-8.
    pub eps: f64,
    /// Momentum `μ`, from 0 up. Default 0: no momentum.
    pub momentum: f64,
    /// Whether to divide by the deviation from the mean gradient instead of the root mean square. Default false.
    pub centered: bool,
    /// Weight decay `λ`, added to the gradient, from 0 up. Default 0.
    pub weight_decay: f64,
}

impl Default for RmsPropConfig {
    fn default() -> Self {
        Self { alpha: 0.99, eps: 1e-8, momentum: 0.0, centered: false, weight_decay: 0.0 }
    }
}

impl RmsPropConfig {
    pub(crate) fn validate(&self) -> Result<(), OptimError> {
        require_decay("alpha", self.alpha)?;
        require_non_negative("eps", self.eps)?;
        require_non_negative("momentum", self.momentum)?;
        require_non_negative("weight_decay", self.weight_decay)
    }
}

/// The optimiser.
#[derive(Clone, Debug)]
pub(crate) struct RmsProp {
    pub(crate) config: RmsPropConfig,
    pub(crate) decay: WeightDecay,
}

/// What RMSprop remembers of a parameter.
#[derive(Clone, Debug)]
pub(crate) struct RmsPropState<const D: usize> {
    /// Average `v` of the squared gradient.
    square: Slot<D>,
    /// Average `a` of the gradient, in the centred form.
    mean: Option<Slot<D>>,
    /// Momentum buffer `b`, with momentum.
    velocity: Option<Slot<D>>,
}

impl Optimizer for RmsProp {
    type State<const D: usize> = RmsPropState<D>;

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<RmsPropState<D>>,
    ) -> (Tensor<D>, Option<RmsPropState<D>>) {
        let RmsPropConfig { alpha, eps, momentum, centered, .. } = self.config;
        let device = grad.device();
        let grad = self.decay.add_to(grad, &tensor);
        let average = |old: Option<Slot<D>>, new: Tensor<D>| {
            let new = new.mul_scalar(1.0 - alpha);
            match old {
                Some(old) => old.on(&device).mul_scalar(alpha) + new,
                None => new,
            }
        };
        let (square, mean, velocity) = match state {
            Some(state) => (Some(state.square), state.mean, state.velocity),
            None => (None, None, None),
        };

        let square = average(square, grad.clone().square());
        let mean = centered.then(|| average(mean, grad.clone()));
        let variance = match &mean {
            Some(mean) => (square.clone() - mean.clone().square()).clamp_min(0.0),
            None => square.clone(),
        };
        let direction = grad / variance.sqrt().add_scalar(eps);
        let velocity = (momentum > 0.0).then(|| match velocity {
            Some(velocity) => velocity.on(&device).mul_scalar(momentum) + direction.clone(),
            None => direction.clone(),
        });
        let direction = velocity.clone().unwrap_or(direction);

        let state = RmsPropState {
            square: Slot::Live(square),
            mean: mean.map(Slot::Live),
            velocity: velocity.map(Slot::Live),
        };
        (tensor - direction.mul_scalar(lr), Some(state))
    }

    fn to_device<const D: usize>(state: RmsPropState<D>, device: &Device) -> RmsPropState<D> {
        RmsPropState {
            square: state.square.moved_to(device),
            mean: state.mean.map(|mean| mean.moved_to(device)),
            velocity: state.velocity.map(|velocity| velocity.moved_to(device)),
        }
    }
}

impl<const D: usize> RecordState for RmsPropState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        self.square.flatten(prefix, "square", out);
        if let Some(mean) = &self.mean {
            mean.flatten(prefix, "mean", out);
        }
        if let Some(velocity) = &self.velocity {
            velocity.flatten(prefix, "velocity", out);
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, _default: &Device) -> Option<Self> {
        Some(Self {
            square: Slot::unflatten(prefix, "square", src)?,
            mean: Slot::unflatten(prefix, "mean", src),
            velocity: Slot::unflatten(prefix, "velocity", src),
        })
    }
}
