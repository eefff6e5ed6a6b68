//! The module.

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use libellus_layers::{self as layers, Linear, LstmState, trace};

/// Layers of recurrent cells, and a linear layer at each step if the configuration has outputs.
///
/// ```
/// use burn::tensor::Tensor;
/// use libellus_models::RnnConfig;
///
/// let device = libellus_backend::testing::device();
/// let model = RnnConfig::tiny().init(&device)?;
/// let result = model.forward(Tensor::zeros([3, 7, 5], &device), None);
/// assert_eq!(result.output.dims(), [3, 7, 8]);
/// let next = model.forward(Tensor::zeros([3, 1, 5], &device), Some(result.state));
/// assert_eq!(next.logits.map(|logits| logits.dims()), Some([3, 1, 6]));
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct Rnn {
    pub(super) rnn: Recurrent,
    pub(super) head: Option<Linear>,
}

/// The layers, of one kind of cell.
#[derive(Module, Debug)]
pub enum Recurrent {
    /// Plain.
    Rnn(layers::Rnn),
    /// Long short-term memory.
    Lstm(layers::Lstm),
    /// Gated recurrent units.
    Gru(layers::Gru),
}

/// The state between two steps.
#[derive(Debug, Clone)]
pub struct RnnState {
    /// `[L N, B, D]`.
    pub hidden: Tensor<3>,
    /// `[L N, B, D]`, of an LSTM alone. Zeros if it isn't given.
    pub cell: Option<Tensor<3>>,
}

/// What an [`Rnn`] puts out.
#[derive(Debug, Clone)]
pub struct RnnOutput {
    /// The last layer's state at each step, both directions side by side: `[B, T, N D]`.
    pub output: Tensor<3>,
    /// The state after the last step (in the reverse direction: after the first).
    pub state: RnnState,
    /// `[B, T, O]`, if the configuration has outputs.
    pub logits: Option<Tensor<3>>,
}

/// What the layers put out.
#[derive(Debug, Clone)]
pub struct RnnFeatures {
    /// The last layer's state at each step, both directions side by side: `[B, T, N D]`.
    pub output: Tensor<3>,
    /// The state after the last step (in the reverse direction: after the first).
    pub state: RnnState,
}

impl RnnState {
    /// The state whose sequence `i` is sequence `rows[i]` of this one, for each of `rows`.
    ///
    /// # Panics
    /// On flex, if a row isn't less than `B`.
    pub fn select(self, rows: &[usize]) -> Self {
        let indices: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let indices = Tensor::<1, Int>::from_data(indices.as_slice(), &self.hidden.device());
        Self {
            hidden: self.hidden.select(1, indices.clone()),
            cell: self.cell.map(|cell| cell.select(1, indices)),
        }
    }
}

impl Rnn {
    /// Reads sequences, from `state` on or from zeros.
    ///
    /// # Shapes
    /// - `sequence`: `[B, T, I]`
    /// - output: `[B, T, N D]`, logits `[B, T, O]`
    ///
    /// # Panics
    /// If there are no steps, or a shape is another than the configuration's.
    pub fn forward(&self, sequence: Tensor<3>, state: Option<RnnState>) -> RnnOutput {
        let RnnFeatures { output, state } = self.forward_features(sequence, state);
        let logits = self.head.as_ref().map(|head| head.forward(output.clone()));
        RnnOutput { output, state, logits }
    }

    /// The same without the linear layer.
    ///
    /// # Shapes
    /// - `sequence`: `[B, T, I]`
    /// - output: `[B, T, N D]`
    ///
    /// # Panics
    /// As [`Rnn::forward`].
    pub fn forward_features(&self, sequence: Tensor<3>, state: Option<RnnState>) -> RnnFeatures {
        let (output, state) = match &self.rnn {
            Recurrent::Rnn(rnn) => plain(rnn.forward(sequence, state.map(|state| state.hidden))),
            Recurrent::Gru(gru) => plain(gru.forward(sequence, state.map(|state| state.hidden))),
            Recurrent::Lstm(lstm) => {
                let state = state.map(|RnnState { hidden, cell }| LstmState {
                    cell: cell.unwrap_or_else(|| hidden.zeros_like()),
                    hidden,
                });
                let layers::LstmOutput { output, state: LstmState { hidden, cell } } =
                    lstm.forward(sequence, state);
                (output, RnnState { hidden, cell: Some(cell) })
            }
        };
        RnnFeatures { output: trace::tap("rnn", output), state }
    }
}

fn plain(layers::RnnOutput { output, hidden }: layers::RnnOutput) -> (Tensor<3>, RnnState) {
    (output, RnnState { hidden, cell: None })
}
