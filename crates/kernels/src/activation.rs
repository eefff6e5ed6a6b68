//! Nonlinearities of each element.

mod extension;
#[cfg(feature = "flex")]
mod flex;
#[cfg(test)]
mod tests;

use std::f64::consts::SQRT_2;

use burn::backend::Dispatch;
use burn::tensor::{Tensor, activation};

use crate::device::is_accelerated;
use extension::ActivationOps;
#[cfg(feature = "flex")]
pub(crate) use flex::{
    hard_swish as hard_swish_of, leaky_relu as leaky_relu_of, relu as relu_of, relu6 as relu6_of,
    silu as silu_of,
};

/// The slope of [`leaky_relu`] where `x` is negative.
pub(crate) const LEAKY_SLOPE: f64 = 0.01;

/// `x` times the standard normal distribution function of `x`.
///
/// Hendrycks and Gimpel 2016, arXiv:1606.08415. On flex the relative error is below 1e-6 down to where the tail leaves
/// the normal range of f32; in PyTorch, the digits of the negative side cancel.
pub fn gelu<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    apply(input, Function::Gelu)
}

/// `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`, an approximation of [`gelu`].
pub fn gelu_tanh<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    apply(input, Function::GeluTanh)
}

/// `x sigmoid(1.702 x)`, an approximation of [`gelu`].
pub fn quick_gelu<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    apply(input, Function::QuickGelu)
}

/// `x sigmoid(x)`, also called swish.
pub fn silu<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    apply(input, Function::Silu)
}

/// `1 / (1 + e^-x)`.
pub fn sigmoid<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    apply(input, Function::Sigmoid)
}

/// The hyperbolic tangent.
pub fn tanh<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    apply(input, Function::Tanh)
}

/// `e^x`.
pub fn exp<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    apply(input, Function::Exp)
}

/// `max(x, 0)`. NaN stays.
pub fn relu<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    apply(input, Function::Relu)
}

/// `x` where positive, `0.01 x` elsewhere.
pub fn leaky_relu<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    apply(input, Function::LeakyRelu)
}

/// `min(max(x, 0), 6)`.
pub fn relu6<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    apply(input, Function::Relu6)
}

/// `min(max(x / 6 + 0.5, 0), 1)`.
pub fn hard_sigmoid<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    apply(input, Function::HardSigmoid)
}

/// `x` times [`hard_sigmoid`] of `x`.
pub fn hard_swish<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    apply(input, Function::HardSwish)
}

/// The functions of this module by name, as they pass through the backend extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// See [`relu`].
    Relu,
    /// See [`leaky_relu`].
    LeakyRelu,
    /// See [`relu6`].
    Relu6,
    /// See [`hard_sigmoid`].
    HardSigmoid,
    /// See [`hard_swish`].
    HardSwish,
    /// See [`gelu`].
    Gelu,
    /// See [`gelu_tanh`].
    GeluTanh,
    /// See [`quick_gelu`].
    QuickGelu,
    /// See [`silu`].
    Silu,
    /// See [`sigmoid`].
    Sigmoid,
    /// See [`tanh`].
    Tanh,
    /// See [`exp`].
    Exp,
}

fn apply<const D: usize>(input: Tensor<D>, function: Function) -> Tensor<D> {
    if is_accelerated(&input) {
        Tensor::from_dispatch(Dispatch::activation(input.into_dispatch(), function))
    } else {
        composed(input, function)
    }
}

/// The same of burn's operations.
fn composed<const D: usize>(input: Tensor<D>, function: Function) -> Tensor<D> {
    match function {
        Function::Relu => activation::relu(input),
        Function::LeakyRelu => activation::leaky_relu(input, LEAKY_SLOPE),
        Function::Relu6 => input.clamp(0.0, 6.0),
        Function::HardSigmoid => activation::hard_sigmoid(input, 1.0 / 6.0, 0.5),
        Function::HardSwish => input.clone() * activation::hard_sigmoid(input, 1.0 / 6.0, 0.5),
        Function::Gelu => composed_gelu(input),
        Function::GeluTanh => activation::gelu_approximate(input),
        Function::QuickGelu => input.clone() * activation::sigmoid(input * 1.702),
        Function::Silu => activation::silu(input),
        Function::Sigmoid => activation::sigmoid(input),
        Function::Tanh => activation::tanh(input),
        Function::Exp => input.exp(),
    }
}

/// burn's own function where nothing is differentiated. Its gradient is that of the approximation with a hyperbolic tangent
/// on every backend but flex, which is off by up to 5e-4; the parts of the definition have exact ones.
fn composed_gelu<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    if !input.device().is_autodiff() {
        return activation::gelu(input);
    }
    let doubled = (input.clone() / SQRT_2).erf() + 1.0;
    input * doubled * 0.5
}
