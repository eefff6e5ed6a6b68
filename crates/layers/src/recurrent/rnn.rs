//! The plain recurrent network.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::RecurrentLayer;
use super::layer::{Run, Stack, run, step_by_step};
use crate::{Dropout, DropoutConfig};

/// A plain recurrent network: `h' = tanh(W x + U h + b)`, or with a rectifier.
///
/// ```
/// use burn::tensor::Tensor;
/// use libellus_layers::{RnnConfig, RnnNonlinearity};
///
/// let device = libellus_backend::testing::device();
/// let layer = RnnConfig::new(3, 5).with_nonlinearity(RnnNonlinearity::Relu).init(&device);
/// let result = layer.forward(Tensor::zeros([7, 11, 3], &device), None);
/// assert_eq!(result.output.dims(), [7, 11, 5]);
/// ```
#[derive(Module, Debug)]
pub struct Rnn {
    /// First to last.
    pub layers: Vec<RecurrentLayer>,
    /// Between layers.
    pub dropout: Dropout,
    /// Applied at each step.
    #[module(skip)]
    pub nonlinearity: RnnNonlinearity,
}

/// The nonlinearity of an [`Rnn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RnnNonlinearity {
    /// The hyperbolic tangent.
    #[default]
    Tanh,
    /// `max(x, 0)`.
    Relu,
}

/// What an [`Rnn`] or a [`Gru`](super::Gru) puts out.
#[derive(Debug, Clone)]
pub struct RnnOutput {
    /// `h` of the last layer at each step, both directions side by side: `[B, T, N D]`.
    pub output: Tensor<3>,
    /// The state after the last step (in the reverse direction: after the first), `[L N, B, D]`: for each layer, the
    /// forward and the reverse direction.
    pub hidden: Tensor<3>,
}

impl Rnn {
    /// Reads a sequence, from the state `hidden` on or from zeros.
    ///
    /// # Shapes
    /// - `input`: `[B, T, I]`
    /// - `hidden`: `[L N, B, D]`
    ///
    /// # Panics
    /// If the sequence has no steps, or a shape is another than the configuration's.
    pub fn forward(&self, input: Tensor<3>, hidden: Option<Tensor<3>>) -> RnnOutput {
        let nonlinearity: fn(Tensor<2>) -> Tensor<2> = match self.nonlinearity {
            RnnNonlinearity::Tanh => libellus_kernels::tanh,
            RnnNonlinearity::Relu => libellus_kernels::relu,
        };
        let state = hidden.map(|hidden| [hidden]);
        let Run { output, state: [hidden] } =
            run(&self.layers, &self.dropout, input, state, &move |weights, input, [hidden]| {
                let step = |input, hidden| nonlinearity(input + weights.recurrent(hidden));
                step_by_step(weights.projected_with_biases(input), hidden, step)
            });
        RnnOutput { output, hidden }
    }
}

/// Configuration of [`Rnn`].
#[derive(Config, Debug)]
pub struct RnnConfig {
    /// Width `I` of the input.
    pub d_input: usize,
    /// Width `D` of the state.
    pub d_hidden: usize,
    /// Applied at each step.
    #[config(default = "RnnNonlinearity::Tanh")]
    pub nonlinearity: RnnNonlinearity,
    /// Number of layers.
    #[config(default = 1)]
    pub n_layers: usize,
    /// Whether there are biases.
    #[config(default = true)]
    pub bias: bool,
    /// Whether the sequence is read from its end as well.
    #[config(default = false)]
    pub bidirectional: bool,
    /// Probability of an element being dropped between layers in training, in `[0, 1)`.
    #[config(default = 0.0)]
    pub dropout: f64,
}

impl RnnConfig {
    /// The layers, with weights and biases from `U(-1/sqrt(D), 1/sqrt(D))`.
    ///
    /// # Panics
    /// If there is no layer, or the drop probability is not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> Rnn {
        let stack = Stack {
            d_input: self.d_input,
            d_hidden: self.d_hidden,
            gates: 1,
            n_layers: self.n_layers,
            bias: self.bias,
            bidirectional: self.bidirectional,
        };
        Rnn {
            layers: stack.init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            nonlinearity: self.nonlinearity,
        }
    }
}
