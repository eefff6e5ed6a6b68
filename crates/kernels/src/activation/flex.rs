//! Activations on flex.

use burn::backend::{Flex, tensor::FloatTensor};

use super::extension::{ActivationGradient, ActivationOps};
use super::{Function, LEAKY_SLOPE};
use crate::elementwise::{map, zip};
use crate::scalar::{exp, normal, sigmoid, sigmoid_and_slope, tanh};

impl ActivationOps for Flex {
    fn activation(input: FloatTensor<Self>, function: Function) -> FloatTensor<Self> {
        match function {
            Function::Relu => map(input, relu),
            Function::LeakyRelu => map(input, leaky_relu),
            Function::Relu6 => map(input, relu6),
            Function::HardSigmoid => map(input, hard_sigmoid),
            Function::HardSwish => map(input, hard_swish),
            Function::Gelu => map(input, gelu),
            Function::GeluTanh => map(input, gelu_tanh),
            Function::QuickGelu => map(input, quick_gelu),
            Function::Silu => map(input, silu),
            Function::Sigmoid => map(input, sigmoid),
            Function::Tanh => map(input, tanh),
            Function::Exp => map(input, exp),
        }
    }
}

impl ActivationGradient for Flex {
    fn activation_gradient(
        kept: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        function: Function,
    ) -> FloatTensor<Self> {
        match function {
            Function::Relu => zip(kept, gradient, relu_gradient),
            Function::LeakyRelu => zip(kept, gradient, leaky_relu_gradient),
            Function::Relu6 => zip(kept, gradient, relu6_gradient),
            Function::HardSigmoid => zip(kept, gradient, hard_sigmoid_gradient),
            Function::HardSwish => zip(kept, gradient, hard_swish_gradient),
            Function::Gelu => zip(kept, gradient, gelu_gradient),
            Function::GeluTanh => zip(kept, gradient, gelu_tanh_gradient),
            Function::QuickGelu => zip(kept, gradient, quick_gelu_gradient),
            Function::Silu => zip(kept, gradient, silu_gradient),
            Function::Sigmoid => zip(kept, gradient, sigmoid_gradient),
            Function::Tanh => zip(kept, gradient, tanh_gradient),
            Function::Exp => zip(kept, gradient, exp_gradient),
        }
    }
}

// Comparisons are such that NaN stays NaN.

#[inline(always)]
pub(crate) fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

#[inline(always)]
fn relu_gradient(y: f32, gradient: f32) -> f32 {
    if y <= 0.0 { 0.0 } else { gradient }
}

#[inline(always)]
pub(crate) fn leaky_relu(x: f32) -> f32 {
    if x < 0.0 { LEAKY_SLOPE as f32 * x } else { x }
}

#[inline(always)]
fn leaky_relu_gradient(y: f32, gradient: f32) -> f32 {
    if y <= 0.0 { LEAKY_SLOPE as f32 * gradient } else { gradient }
}

#[inline(always)]
pub(crate) fn relu6(x: f32) -> f32 {
    x.clamp(0.0, 6.0)
}

#[inline(always)]
fn relu6_gradient(y: f32, gradient: f32) -> f32 {
    if y <= 0.0 || y >= 6.0 { 0.0 } else { gradient }
}

#[inline(always)]
fn hard_sigmoid(x: f32) -> f32 {
    x.mul_add(1.0 / 6.0, 0.5).clamp(0.0, 1.0)
}

#[inline(always)]
fn hard_sigmoid_gradient(y: f32, gradient: f32) -> f32 {
    if y <= 0.0 || y >= 1.0 { 0.0 } else { gradient / 6.0 }
}

#[inline(always)]
pub(crate) fn hard_swish(x: f32) -> f32 {
    x * hard_sigmoid(x)
}

#[inline(always)]
fn hard_swish_gradient(x: f32, gradient: f32) -> f32 {
    let inside = x.mul_add(1.0 / 3.0, 0.5);
    gradient
        * if x <= -3.0 {
            0.0
        } else if x >= 3.0 {
            1.0
        } else {
            inside
        }
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    x * normal(x).cdf
}

#[inline(always)]
fn gelu_gradient(x: f32, gradient: f32) -> f32 {
    let normal = normal(x);
    gradient * x.mul_add(normal.pdf, normal.cdf)
}

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

/// `(1 + tanh(u)) / 2` is `sigmoid(2 u)`, which keeps its digits on the negative side.
#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    let u = SQRT_2_OVER_PI * x * (CUBIC * x).mul_add(x, 1.0);
    x / (1.0 + exp(-2.0 * u))
}

#[inline(always)]
fn gelu_tanh_gradient(x: f32, gradient: f32) -> f32 {
    // The slope is 0 or 1 long before the bounds; beyond them the square below could overflow.
    let x = x.clamp(-100.0, 100.0);
    let u = SQRT_2_OVER_PI * x * (CUBIC * x).mul_add(x, 1.0);
    let slope_of_u = SQRT_2_OVER_PI * (3.0 * CUBIC * x).mul_add(x, 1.0);
    let (s, slope) = sigmoid_and_slope(2.0 * u);
    gradient * (2.0 * x * slope_of_u).mul_add(slope, s)
}

const QUICK: f32 = 1.702;

#[inline(always)]
fn quick_gelu(x: f32) -> f32 {
    x / (1.0 + exp(-QUICK * x))
}

#[inline(always)]
fn quick_gelu_gradient(x: f32, gradient: f32) -> f32 {
    let (s, slope) = sigmoid_and_slope(QUICK * x);
    gradient * (QUICK * x).mul_add(slope, s)
}

#[inline(always)]
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

#[inline(always)]
fn silu_gradient(x: f32, gradient: f32) -> f32 {
    let (s, slope) = sigmoid_and_slope(x);
    gradient * x.mul_add(slope, s)
}

#[inline(always)]
fn sigmoid_gradient(y: f32, gradient: f32) -> f32 {
    gradient * y * (1.0 - y)
}

#[inline(always)]
fn tanh_gradient(y: f32, gradient: f32) -> f32 {
    gradient * (1.0 - y * y)
}

#[inline(always)]
fn exp_gradient(y: f32, gradient: f32) -> f32 {
    gradient * y
}
