//! Stochastic gradient descent.
//!
//! Reference implementation: `torch.optim.SGD`; Nesterov momentum after Sutskever et al. 2013, *On the Importance of
//! Initialization and Momentum in Deep Learning*.
//!
//! burn's `Sgd` computes the same, but its state loads onto `Device::default()`, which fails where a GPU backend is
//! compiled in and no GPU is present.

use burn::optim::{Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};
use libellus_kernels::{SgdDirection, SgdStep, sgd_step};
use serde::{Deserialize, Serialize};

use crate::decay::WeightDecay;
use crate::error::{OptimError, require_non_negative};
use crate::slot::Slot;

/// Constants of stochastic gradient descent; the defaults are `torch.optim.SGD`'s.
///
/// With weight decay `λ`, momentum `μ` and dampening `τ`, step `t` on parameter `θ` with gradient `g` is
/// `g' = g + λ θ`, `b_1 = g'`, `b_t = μ b_{t-1} + (1 - τ) g'`, `θ ← θ - lr d`, where `d` is `g' + μ b_t` with Nesterov
/// momentum, `b_t` with momentum, and `g'` without.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SgdConfig {
    /// Momentum `μ`, from 0 up. Default 0: no momentum.
    pub momentum: f64,
    /// Dampening `τ` of the gradient that enters the momentum, from 0 up. Default 0.
    pub dampening: f64,
    /// Whether to look ahead along the momentum. Default false.
    pub nesterov: bool,
    /// Weight decay `λ`, added to the gradient, from 0 up. Default 0.
    pub weight_decay: f64,
}

impl SgdConfig {
    pub(crate) fn validate(&self) -> Result<(), OptimError> {
        let Self { momentum, dampening, nesterov, weight_decay } = *self;
        require_non_negative("momentum", momentum)?;
        require_non_negative("dampening", dampening)?;
        require_non_negative("weight_decay", weight_decay)?;
        if nesterov && (momentum == 0.0 || dampening != 0.0) {
            return Err(OptimError::Nesterov { momentum, dampening });
        }
        Ok(())
    }
}

/// The optimiser.
#[derive(Clone, Debug)]
pub(crate) struct Sgd {
    pub(crate) config: SgdConfig,
    pub(crate) decay: WeightDecay,
}

/// What momentum remembers of a parameter.
#[derive(Clone, Debug)]
pub(crate) struct SgdState<const D: usize> {
    velocity: Slot<D>,
}

impl Optimizer for Sgd {
    type State<const D: usize> = SgdState<D>;

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<SgdState<D>>,
    ) -> (Tensor<D>, Option<SgdState<D>>) {
        let SgdConfig { momentum, dampening, nesterov, .. } = self.config;
        let direction = if nesterov { SgdDirection::LookAhead } else { SgdDirection::Velocity };
        let mut step = SgdStep { lr, decay: self.decay.of_rank::<D>(), momentum, dampening, direction };
        let velocity = match state {
            _ if momentum == 0.0 => None,
            Some(state) => Some(state.velocity.on(&grad.device())),
            None => {
                // The first gradient becomes the velocity undampened.
                step.dampening = 0.0;
                Some(Tensor::zeros_like(&grad))
            }
        };
        let (tensor, velocity) = sgd_step(tensor, grad, velocity, step);
        (tensor, velocity.map(|velocity| SgdState { velocity: Slot::Live(velocity) }))
    }

    fn to_device<const D: usize>(state: SgdState<D>, device: &Device) -> SgdState<D> {
        SgdState { velocity: state.velocity.moved_to(device) }
    }
}

impl<const D: usize> RecordState for SgdState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        self.velocity.flatten(prefix, "velocity", out);
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, _default: &Device) -> Option<Self> {
        Some(Self { velocity: Slot::unflatten(prefix, "velocity", src)? })
    }
}
