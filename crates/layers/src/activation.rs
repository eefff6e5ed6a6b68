//! Nonlinearities by name.

use burn::tensor::Tensor;
use libellus_kernels::{self as kernels, Nonlinearity};
use serde::{Deserialize, Serialize};

use crate::trace;

/// A parameter-free nonlinearity, applied to each element.
///
/// burn has each of these as a module, and an enum over them whose serialised form is that of Rust variants; this one
/// is a plain value, written in configuration files by its usual name (`"relu"`, `"leaky_relu"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// `max(x, 0)`.
    #[default]
    Relu,
    /// `x` where positive, `0.01 x` elsewhere.
    LeakyRelu,
    /// `x Phi(x)` with the exact normal distribution function (Hendrycks and Gimpel 2016, arXiv:1606.08415).
    Gelu,
    /// The same with `0.5 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))` in place of the distribution function.
    GeluTanh,
    /// `x sigmoid(1.702 x)`.
    QuickGelu,
    /// `x sigmoid(x)`, also called swish.
    Silu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `min(max(x / 6 + 0.5, 0), 1)`.
    HardSigmoid,
    /// `x` times the hard sigmoid of `x`.
    HardSwish,
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x` itself.
    Identity,
}

impl Activation {
    /// Applies the nonlinearity to each element; the shape stays.
    pub fn forward<const D: usize>(self, input: Tensor<D>) -> Tensor<D> {
        if trace::only_shapes() {
            return input;
        }
        match self {
            Self::Relu => kernels::relu(input),
            Self::LeakyRelu => kernels::leaky_relu(input),
            Self::Gelu => kernels::gelu(input),
            Self::GeluTanh => kernels::gelu_tanh(input),
            Self::QuickGelu => kernels::quick_gelu(input),
            Self::Silu => kernels::silu(input),
            Self::Relu6 => kernels::relu6(input),
            Self::HardSigmoid => kernels::hard_sigmoid(input),
            Self::HardSwish => kernels::hard_swish(input),
            Self::Tanh => kernels::tanh(input),
            Self::Sigmoid => kernels::sigmoid(input),
            Self::Identity => input,
        }
    }

    /// The nonlinearity by which a convolution can end, or `None` for one that has to follow on its own.
    pub(crate) fn last_step(self) -> Option<Nonlinearity> {
        match self {
            Self::Identity => Some(Nonlinearity::Identity),
            Self::Relu => Some(Nonlinearity::Relu),
            Self::LeakyRelu => Some(Nonlinearity::LeakyRelu),
            Self::Relu6 => Some(Nonlinearity::Relu6),
            Self::HardSwish => Some(Nonlinearity::HardSwish),
            Self::Silu => Some(Nonlinearity::Silu),
            Self::Gelu
            | Self::GeluTanh
            | Self::QuickGelu
            | Self::HardSigmoid
            | Self::Tanh
            | Self::Sigmoid => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use libellus_backend::testing;

    /// Values of torch 2.15's functions at -1, 0 and 2, to seven digits; the tolerance is f32's rounding.
    #[test]
    fn values() {
        let device = testing::device();
        for (activation, expected) in [
            (Activation::Relu, [0.0, 0.0, 2.0]),
            (Activation::LeakyRelu, [-0.01, 0.0, 2.0]),
            (Activation::Gelu, [-0.158_655_2, 0.0, 1.954_499_7]),
            (Activation::GeluTanh, [-0.158_808_0, 0.0, 1.954_597_7]),
            (Activation::QuickGelu, [-0.154_204_2, 0.0, 1.935_658_6]),
            (Activation::Relu6, [0.0, 0.0, 2.0]),
            (Activation::HardSigmoid, [0.333_333_3, 0.5, 0.833_333_3]),
            (Activation::HardSwish, [-0.333_333_3, 0.0, 1.666_666_6]),
            (Activation::Silu, [-0.268_941_4, 0.0, 1.761_594_2]),
            (Activation::Tanh, [-0.761_594_2, 0.0, 0.964_027_6]),
            (Activation::Sigmoid, [0.268_941_4, 0.5, 0.880_797_1]),
            (Activation::Identity, [-1.0, 0.0, 2.0]),
        ] {
            let input = Tensor::<1>::from_floats([-1.0, 0.0, 2.0], &device);
            testing::assert_close(
                &testing::read(activation.forward(input)),
                &TensorData::from(expected.map(|value: f64| value as f32)),
                1e-6,
            );
        }
    }

    /// The derivative of `x Phi(x)` is `Phi(x) + x phi(x)`; values of torch 2.15 in f64.
    #[test]
    fn the_gradient_of_gelu_is_exact() {
        let device = testing::device().autodiff();
        let input = Tensor::<1>::from_floats([-2.0, -0.5, 0.0, 1.0, 3.0], &device).require_grad();
        let gradients = Activation::Gelu.forward(input.clone()).sum().backward();
        let gradient = testing::read(input.grad(&gradients).expect("required"));
        let expected =
            [-0.085_231_8, 0.132_504_9, 0.5, 1.083_315_5, 1.011_945_7].map(|value: f64| value as f32);
        testing::assert_close(&gradient, &TensorData::from(expected), 1e-6);
    }

    #[test]
    fn named_as_in_a_configuration_file() {
        let named: Activation = serde_json::from_str("\"leaky_relu\"").expect("a name of the enum");
        assert_eq!(named, Activation::LeakyRelu);
        assert!(serde_json::from_str::<Activation>("\"ReLU\"").is_err());
    }
}
