//! Normalisations of each vector on its own.
//!
//! The same as burn's layers, which can't be looked on from outside (see [`trace`](crate::trace)) and are slower in training.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use libellus_kernels as kernels;

use crate::trace;

/// Layer normalisation over the last dimension: `(x - mean) / sqrt(variance + epsilon) * gamma + beta`.
///
/// Ba, Kiros and Hinton 2016, arXiv:1607.06450.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[d_model]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift, `[d_model]`.
    pub beta: Option<Param<Tensor<1>>>,
    /// Added to the variance.
    pub epsilon: f64,
}

impl LayerNorm {
    /// The normalised vectors.
    ///
    /// # Shapes
    /// - `input`: `[..., d_model]`
    /// - output: as `input`
    ///
    /// # Panics
    /// If the last dimension of `input` isn't `d_model`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let shape = input.dims();
        check_width("layer norm", shape[D - 1], &self.gamma);
        trace::layer("LayerNorm", &self.gamma, input, shape, 0, |input| {
            let beta = self.beta.as_ref().map(|beta| beta.val());
            kernels::layer_norm(input, self.gamma.val(), beta, self.epsilon)
        })
    }
}

/// Configuration of [`LayerNorm`].
#[derive(Config, Debug)]
pub struct LayerNormConfig {
    /// Size of the last dimension.
    pub d_model: usize,
    /// Added to the variance.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Whether there is a shift.
    #[config(default = true)]
    pub bias: bool,
}

impl LayerNormConfig {
    /// The layer, with a scale of 1 and a shift of 0.
    pub fn init(&self, device: &Device) -> LayerNorm {
        LayerNorm {
            gamma: Initializer::Ones.init([self.d_model], device),
            beta: self.bias.then(|| Initializer::Zeros.init([self.d_model], device)),
            epsilon: self.epsilon,
        }
    }
}

/// Normalisation by the root mean square over the last dimension: `x / sqrt(mean(x^2) + epsilon) * gamma`.
///
/// Zhang and Sennrich 2019, arXiv:1910.07467.
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// Scale, `[d_model]`.
    pub gamma: Param<Tensor<1>>,
    /// Added to the mean square.
    pub epsilon: f64,
}

impl RmsNorm {
    /// The normalised vectors.
    ///
    /// # Shapes
    /// - `input`: `[..., d_model]`
    /// - output: as `input`
    ///
    /// # Panics
    /// If the last dimension of `input` isn't `d_model`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let shape = input.dims();
        check_width("RMS norm", shape[D - 1], &self.gamma);
        trace::layer("RmsNorm", &self.gamma, input, shape, 0, |input| {
            kernels::rms_norm(input, self.gamma.val(), self.epsilon)
        })
    }
}

/// Configuration of [`RmsNorm`].
#[derive(Config, Debug)]
pub struct RmsNormConfig {
    /// Size of the last dimension.
    pub d_model: usize,
    /// Added to the mean square.
    #[config(default = 1e-5)]
    pub epsilon: f64,
}

impl RmsNormConfig {
    /// The layer, with a scale of 1.
    pub fn init(&self, device: &Device) -> RmsNorm {
        RmsNorm { gamma: Initializer::Ones.init([self.d_model], device), epsilon: self.epsilon }
    }
}

fn check_width(layer: &str, width: usize, gamma: &Param<Tensor<1>>) {
    let [d_model] = gamma.lazy_shape().dims();
    assert_eq!(width, d_model, "a {layer} over {d_model} values got {width}");
}
