//! Long short-term memory.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use libellus_kernels::{LstmSequence, lstm};

use super::layer::{Run, Stack, run};
use super::{RecurrentLayer, RecurrentWeights};
use crate::{Dropout, DropoutConfig};

/// Long short-term memory, with a forget gate (Gers et al. 2000) and without peepholes: gates `i`, `f`, `g`, `o`.
///
/// ```
/// use burn::tensor::Tensor;
/// use libellus_layers::LstmConfig;
///
/// let device = libellus_backend::testing::device();
/// let layer = LstmConfig::new(3, 5).with_n_layers(2).with_bidirectional(true).init(&device);
/// let result = layer.forward(Tensor::zeros([7, 11, 3], &device), None);
/// assert_eq!(result.output.dims(), [7, 11, 10]);
/// assert_eq!(result.state.cell.dims(), [4, 7, 5]);
/// ```
#[derive(Module, Debug)]
pub struct Lstm {
    /// First to last.
    pub layers: Vec<RecurrentLayer>,
    /// Between layers.
    pub dropout: Dropout,
}

/// State of an [`Lstm`].
#[derive(Debug, Clone)]
pub struct LstmState {
    /// `h`, `[L N, B, D]`: for each layer, the forward and the reverse direction.
    pub hidden: Tensor<3>,
    /// `c`, `[L N, B, D]`.
    pub cell: Tensor<3>,
}

/// What an [`Lstm`] puts out.
#[derive(Debug, Clone)]
pub struct LstmOutput {
    /// `h` of the last layer at each step, both directions side by side: `[B, T, N D]`.
    pub output: Tensor<3>,
    /// The state after the last step (in the reverse direction: after the first).
    pub state: LstmState,
}

impl Lstm {
    /// Reads a sequence, from `state` on or from zeros.
    ///
    /// # Shapes
    /// - `input`: `[B, T, I]`
    ///
    /// # Panics
    /// If the sequence has no steps, or a shape is another than the configuration's.
    pub fn forward(&self, input: Tensor<3>, state: Option<LstmState>) -> LstmOutput {
        let state = state.map(|state| [state.hidden, state.cell]);
        let Run { output, state: [hidden, cell] } = run(&self.layers, &self.dropout, input, state, &steps);
        LstmOutput { output, state: LstmState { hidden, cell } }
    }
}

fn steps(
    weights: &RecurrentWeights,
    input: Tensor<3>,
    [hidden, cell]: [Tensor<2>; 2],
) -> (Tensor<3>, [Tensor<2>; 2]) {
    let projected = weights.projected_with_biases(input);
    let LstmSequence { hidden: output, cell } = lstm(projected, weights.weight_hh.val(), hidden, cell);
    let hidden = output.clone().narrow(0, output.dims()[0] - 1, 1).squeeze_dim(0);
    (output, [hidden, cell])
}

/// Configuration of [`Lstm`].
#[derive(Config, Debug)]
pub struct LstmConfig {
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

impl LstmConfig {
    /// The layers, with weights and biases from `U(-1/sqrt(D), 1/sqrt(D))`.
    ///
    /// # Panics
    /// If there is no layer, or the drop probability is not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> Lstm {
        let stack = Stack {
            d_input: self.d_input,
            d_hidden: self.d_hidden,
            gates: 4,
            n_layers: self.n_layers,
            bias: self.bias,
            bidirectional: self.bidirectional,
        };
        Lstm { layers: stack.init(device), dropout: DropoutConfig::new(self.dropout).init() }
    }
}
