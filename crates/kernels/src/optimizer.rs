//! Steps of optimisers: a parameter, its gradient and what is remembered of it, in one pass.
//!
//! Each operation is rounded on its own, in the order of the formulas, so that the fast path gives the bits of the
//! composed one.

mod extension;
#[cfg(feature = "flex")]
mod flex;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::device::is_accelerated;
use extension::OptimizerOps;

/// Numbers of a step of Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1, in the order of the end of section 2) on
/// parameter `θ` with gradient `g`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Decays `β1`, `β2` of the averages.
    pub betas: [f64; 2],
    /// What `θ` is multiplied by to begin with: `1 - lr λ` for decoupled weight decay, 1 for none.
    pub shrink: f64,
    /// How much of `θ` is added to `g`: `λ` for coupled weight decay, 0 for none.
    pub decay: f64,
    /// The learning rate with both corrections, `lr sqrt(1 - β2^t) / (1 - β1^t)`.
    pub size: f64,
    /// What keeps the division finite, corrected: `ε sqrt(1 - β2^t)`.
    pub eps: f64,
}

/// What Adam remembers of a parameter: zeros, to begin with.
#[derive(Debug, Clone)]
pub struct AdamAverages<const D: usize> {
    /// Of the gradient: `m`.
    pub first: Tensor<D>,
    /// Of its square: `v`.
    pub second: Tensor<D>,
    /// The largest `v` so far, for AMSGrad.
    pub largest: Option<Tensor<D>>,
}

/// `m ← β1 m + (1 - β1) g`, `v ← β2 v + (1 - β2) g^2`, `θ ← θ - size m / (sqrt(v) + eps)`, with the largest `v` so far
/// if there is one.
///
/// # Panics
/// If shapes differ.
pub fn adam_step<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    averages: AdamAverages<D>,
    step: AdamStep,
) -> (Tensor<D>, AdamAverages<D>) {
    let AdamAverages { first, second, largest } = averages;
    let shape = parameter.dims();
    let others = [&gradient, &first, &second].into_iter().chain(&largest);
    assert!(others.clone().all(|other| other.dims() == shape), "a step of Adam needs equal shapes");
    if ![&parameter].into_iter().chain(others).all(is_fast) {
        return composed_adam(parameter, gradient, AdamAverages { first, second, largest }, step);
    }
    let [parameter, gradient] = [parameter, gradient].map(Tensor::into_dispatch);
    let [first, second] = [first, second].map(Tensor::into_dispatch);
    let (parameter, first, second, largest) = match largest.map(Tensor::into_dispatch) {
        None => {
            let (parameter, first, second) = Dispatch::fused_adam(parameter, gradient, first, second, step);
            (parameter, first, second, None)
        }
        Some(largest) => {
            let (parameter, first, second, largest) =
                Dispatch::fused_amsgrad(parameter, gradient, first, second, largest, step);
            (parameter, first, second, Some(largest))
        }
    };
    let [parameter, first, second] = [parameter, first, second].map(Tensor::from_dispatch);
    (parameter, AdamAverages { first, second, largest: largest.map(Tensor::from_dispatch) })
}

fn composed_adam<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    averages: AdamAverages<D>,
    step: AdamStep,
) -> (Tensor<D>, AdamAverages<D>) {
    let [beta1, beta2] = step.betas;
    let parameter = if step.shrink == 1.0 { parameter } else { parameter.mul_scalar(step.shrink) };
    let gradient = add_decay(gradient, &parameter, step.decay);
    let first = averages.first.mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1);
    let second = averages.second.mul_scalar(beta2) + gradient.square().mul_scalar(1.0 - beta2);
    let largest = averages.largest.map(|largest| largest.max_pair(second.clone()));
    let scale = largest.as_ref().unwrap_or(&second).clone().sqrt().add_scalar(step.eps);
    let update = first.clone().div(scale).mul_scalar(step.size);
    (parameter - update, AdamAverages { first, second, largest })
}

/// Numbers of a step of gradient descent on parameter `θ` with gradient `g`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdStep {
    /// Learning rate.
    pub lr: f64,
    /// How much of `θ` is added to `g`.
    pub decay: f64,
    /// What remains of the velocity.
    pub momentum: f64,
    /// What of `g` doesn't enter the velocity.
    pub dampening: f64,
    /// Where the parameter goes.
    pub direction: SgdDirection,
}

/// Where gradient descent goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SgdDirection {
    /// Along the velocity.
    Velocity,
    /// Nesterov's: along the gradient plus the momentum times the velocity.
    LookAhead,
}

/// `θ ← θ - lr g` without a velocity; with one, `b ← momentum b + (1 - dampening) g`, then `θ ← θ - lr d` in the
/// direction `d`.
///
/// # Panics
/// If shapes differ.
pub fn sgd_step<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    velocity: Option<Tensor<D>>,
    step: SgdStep,
) -> (Tensor<D>, Option<Tensor<D>>) {
    let shape = parameter.dims();
    let others = [&gradient].into_iter().chain(&velocity);
    assert!(others.clone().all(|other| other.dims() == shape), "a step of SGD needs equal shapes");
    if ![&parameter].into_iter().chain(others).all(is_fast) {
        return composed_sgd(parameter, gradient, velocity, step);
    }
    let [parameter, gradient] = [parameter, gradient].map(Tensor::into_dispatch);
    match velocity.map(Tensor::into_dispatch) {
        None => (Tensor::from_dispatch(Dispatch::fused_descent(parameter, gradient, step)), None),
        Some(velocity) => {
            let (parameter, velocity) = Dispatch::fused_momentum(parameter, gradient, velocity, step);
            (Tensor::from_dispatch(parameter), Some(Tensor::from_dispatch(velocity)))
        }
    }
}

fn composed_sgd<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    velocity: Option<Tensor<D>>,
    step: SgdStep,
) -> (Tensor<D>, Option<Tensor<D>>) {
    let gradient = add_decay(gradient, &parameter, step.decay);
    let Some(velocity) = velocity else {
        return (parameter - gradient.mul_scalar(step.lr), None);
    };
    let velocity = velocity.mul_scalar(step.momentum) + gradient.clone().mul_scalar(1.0 - step.dampening);
    let direction = match step.direction {
        SgdDirection::Velocity => velocity.clone(),
        SgdDirection::LookAhead => gradient + velocity.clone().mul_scalar(step.momentum),
    };
    (parameter - direction.mul_scalar(step.lr), Some(velocity))
}

/// Numbers of a step of Lion (Chen et al. 2023, arXiv:2302.06675, algorithm 2) on parameter `θ` with gradient `g`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LionStep {
    /// How much of the momentum enters the update (`β1`) and stays in the momentum (`β2`).
    pub betas: [f64; 2],
    /// What `θ` is multiplied by to begin with: `1 - lr λ` for weight decay, 1 for none.
    pub shrink: f64,
    /// Learning rate.
    pub lr: f64,
}

/// `θ ← shrink θ - lr sign(β1 m + (1 - β1) g)`, then `m ← β2 m + (1 - β2) g`. The momentum is zeros, to begin with. The sign of
/// zero and of NaN is 0.
///
/// # Panics
/// If shapes differ.
pub fn lion_step<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    momentum: Tensor<D>,
    step: LionStep,
) -> (Tensor<D>, Tensor<D>) {
    let shape = parameter.dims();
    assert!([&gradient, &momentum].iter().all(|x| x.dims() == shape), "a step of Lion needs equal shapes");
    if ![&parameter, &gradient, &momentum].into_iter().all(is_fast) {
        return composed_lion(parameter, gradient, momentum, step);
    }
    let [parameter, gradient, momentum] = [parameter, gradient, momentum].map(Tensor::into_dispatch);
    let (parameter, momentum) = Dispatch::fused_lion(parameter, gradient, momentum, step);
    (Tensor::from_dispatch(parameter), Tensor::from_dispatch(momentum))
}

fn composed_lion<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    momentum: Tensor<D>,
    step: LionStep,
) -> (Tensor<D>, Tensor<D>) {
    let [beta1, beta2] = step.betas;
    let blend = momentum.clone().mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1);
    let momentum = momentum.mul_scalar(beta2) + gradient.mul_scalar(1.0 - beta2);
    let parameter = if step.shrink == 1.0 { parameter } else { parameter.mul_scalar(step.shrink) };
    (parameter - blend.sign().mul_scalar(step.lr), momentum)
}

/// The sum of the squares of all elements, one element.
pub fn sum_of_squares<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    if is_fast(&tensor) {
        Tensor::from_dispatch(Dispatch::fused_sum_of_squares(tensor.into_dispatch()))
    } else {
        tensor.square().sum()
    }
}

/// Each element times `factor`, a tensor of one element that stays on its device. On flex in place, and nothing at all for a
/// factor of 1.
///
/// # Panics
/// If `factor` has more than one element.
pub fn scale<const D: usize>(tensor: Tensor<D>, factor: Tensor<1>) -> Tensor<D> {
    assert_eq!(factor.dims(), [1], "a tensor is scaled by one number");
    if is_fast(&tensor) && is_fast(&factor) {
        Tensor::from_dispatch(Dispatch::fused_scale(tensor.into_dispatch(), factor.into_dispatch()))
    } else {
        let factor = factor.cast(tensor.dtype());
        tensor * factor.reshape([1; D])
    }
}

fn add_decay<const D: usize>(gradient: Tensor<D>, parameter: &Tensor<D>, decay: f64) -> Tensor<D> {
    if decay == 0.0 { gradient } else { gradient + parameter.clone().mul_scalar(decay) }
}

/// Optimisers work without autodiff. With it, the composition says what is differentiated.
fn is_fast<const D: usize>(tensor: &Tensor<D>) -> bool {
    is_accelerated(tensor) && !tensor.device().is_autodiff()
}
