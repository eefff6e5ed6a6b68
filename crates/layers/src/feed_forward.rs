//! The two linear layers between attention layers.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use crate::{Activation, Dropout, DropoutConfig, Linear, LinearConfig, ZeroBias};

/// Two linear layers with a nonlinearity between them, applied to each token on its own.
///
/// Vaswani et al. 2017, *Attention Is All You Need*, arXiv:1706.03762, equation 2. Reference: timm's `Mlp`.
///
/// burn's `PositionWiseFeedForward` has no dropout in this place and no plain value for its activation.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// `[D, F]`.
    pub fc1: Linear,
    /// `[F, D]`.
    pub fc2: Linear,
    /// Of hidden units.
    pub dropout: Dropout,
    /// Between the two.
    #[module(skip)]
    pub activation: Activation,
}

impl FeedForward {
    /// The second layer's output.
    ///
    /// # Shapes
    /// - `input`: `[B, T, D]`
    /// - output: `[B, T, D]`
    ///
    /// # Panics
    /// If the last dimension of `input` isn't the layer's width.
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let hidden = self.activation.forward(self.fc1.forward(input));
        self.fc2.forward(self.dropout.forward(hidden))
    }
}

/// Configuration of [`FeedForward`].
#[derive(Config, Debug)]
pub struct FeedForwardConfig {
    /// Width `D` of the tokens.
    pub d_model: usize,
    /// Number of hidden units `F`.
    pub d_hidden: usize,
    /// Between the two layers.
    #[config(default = "Activation::Gelu")]
    pub activation: Activation,
    /// Probability of a hidden unit being dropped in training, in `[0, 1)`.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// What the matrices start with; biases start at zero.
    #[config(default = "Initializer::Normal { mean: 0.0, std: 0.02 }")]
    pub initializer: Initializer,
}

impl FeedForwardConfig {
    /// The layer.
    ///
    /// # Panics
    /// If the probability is not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> FeedForward {
        let linear = |d_input, d_output| {
            let config = LinearConfig::new(d_input, d_output).with_initializer(self.initializer.clone());
            config.init(device).with_zero_bias()
        };
        FeedForward {
            fc1: linear(self.d_model, self.d_hidden),
            fc2: linear(self.d_hidden, self.d_model),
            dropout: DropoutConfig::new(self.dropout).init(),
            activation: self.activation,
        }
    }
}
