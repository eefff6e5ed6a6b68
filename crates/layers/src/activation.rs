//! Nonlinearities by name.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

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
    /// `x sigmoid(x)`, also called swish.
    Silu,
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
        match self {
            Self::Relu => activation::relu(input),
            Self::LeakyRelu => activation::leaky_relu(input, 0.01),
            Self::Gelu => activation::gelu(input),
            Self::Silu => activation::silu(input),
            Self::Tanh => activation::tanh(input),
            Self::Sigmoid => activation::sigmoid(input),
            Self::Identity => input,
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

    #[test]
    fn named_as_in_a_configuration_file() {
        let named: Activation = serde_json::from_str("\"leaky_relu\"").expect("a name of the enum");
        assert_eq!(named, Activation::LeakyRelu);
        assert!(serde_json::from_str::<Activation>("\"ReLU\"").is_err());
    }
}
