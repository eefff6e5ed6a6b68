//! Gated recurrent unit.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use libellus_kernels::gru;

use super::layer::{Run, Stack, run};
use super::{RecurrentLayer, RecurrentWeights, RnnOutput};
use crate::{Dropout, DropoutConfig};

/// Gated recurrent unit: gates `r`, `z`, `n`, with the reset gate behind the product, `n = tanh(W x + r (U h + b))`.
///
/// ```
/// use burn::tensor::Tensor;
/// use libellus_layers::GruConfig;
///
/// let device = libellus_backend::testing::device();
/// let layer = GruConfig::new(3, 5).init(&device);
/// let result = layer.forward(Tensor::zeros([7, 11, 3], &device), None);
/// assert_eq!(result.output.dims(), [7, 11, 5]);
/// assert_eq!(result.hidden.dims(), [1, 7, 5]);
/// ```
#[derive(Module, Debug)]
pub struct Gru {
    /// First to last.
    pub layers: Vec<RecurrentLayer>,
    /// Between layers.
    pub dropout: Dropout,
}

impl Gru {
    /// Reads a sequence, from the state `hidden` on or from zeros.
    ///
    /// # Shapes
    /// - `input`: `[B, T, I]`
    /// - `hidden`: `[L N, B, D]`
    ///
    /// # Panics
    /// If the sequence has no steps, or a shape is another than the configuration's.
    pub fn forward(&self, input: Tensor<3>, hidden: Option<Tensor<3>>) -> RnnOutput {
        let state = hidden.map(|hidden| [hidden]);
        let Run { output, state: [hidden] } = run(&self.layers, &self.dropout, input, state, &steps);
        RnnOutput { output, hidden }
    }
}

fn steps(
    weights: &RecurrentWeights,
    input: Tensor<3>,
    [hidden]: [Tensor<2>; 1],
) -> (Tensor<3>, [Tensor<2>; 1]) {
    let bias = weights.bias_hh.as_ref().map(|bias| bias.val());
    let output = gru(weights.projected(input), weights.weight_hh.val(), bias, hidden);
    let hidden = output.clone().narrow(0, output.dims()[0] - 1, 1).squeeze_dim(0);
    (output, [hidden])
}

/// Configuration of [`Gru`].
#[derive(Config, Debug)]
pub struct GruConfig {
    /// Width `I` of the input.
    pub d_input: usize,
    /// Width `D` of the state.
    pub d_hidden: usize,
    /// Number of layers.
    #[config(default = 1)]
    pub n_layers: usize,
    /// Whether gates have biases.
    #[config(default = true)]
    pub bias: bool,
    /// Whether the sequence is read from its end as well.
    #[config(default = false)]
    pub bidirectional: bool,
    /// Probability of an element being dropped between layers in training, in `[0, 1)`.
    #[config(default = 0.0)]
    pub dropout: f64,
}

impl GruConfig {
    /// The layers, with weights and biases from `U(-1/sqrt(D), 1/sqrt(D))`.
    ///
    /// # Panics
    /// If there is no layer, or the drop probability is not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> Gru {
        let stack = Stack {
            d_input: self.d_input,
            d_hidden: self.d_hidden,
            gates: 3,
            n_layers: self.n_layers,
            bias: self.bias,
            bidirectional: self.bidirectional,
        };
        Gru { layers: stack.init(device), dropout: DropoutConfig::new(self.dropout).init() }
    }
}
