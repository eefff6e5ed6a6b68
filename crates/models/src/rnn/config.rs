//! Configuration of recurrent networks.

use burn::tensor::Device;
use libellus_layers::{GruConfig, LinearConfig, LstmConfig, RnnConfig as PlainConfig, RnnNonlinearity};
use serde::{Deserialize, Serialize};

use super::{Recurrent, Rnn};
use crate::error::{check_probability, check_range, check_width};
use crate::{ConfigError, named};

/// The most layers: as many as the key table names.
const MAX_LAYERS: usize = 16;

/// Configuration of an [`Rnn`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RnnConfig {
    /// The kind of cell.
    #[serde(deserialize_with = "named::cell")]
    pub cell: RecurrentCell,
    /// Width `I` of the input.
    #[serde(deserialize_with = "named::d_input")]
    pub d_input: usize,
    /// Width `D` of the state.
    #[serde(deserialize_with = "named::d_hidden")]
    pub d_hidden: usize,
    /// Number of layers `L`.
    #[serde(deserialize_with = "named::n_layers")]
    pub n_layers: usize,
    /// Whether sequences are read from their ends as well.
    #[serde(default, deserialize_with = "named::bidirectional")]
    pub bidirectional: bool,
    /// Whether cells have biases.
    #[serde(default = "yes", deserialize_with = "named::bias")]
    pub bias: bool,
    /// Probability of an element being dropped between layers in training, in `[0, 1)`.
    #[serde(default, deserialize_with = "named::dropout")]
    pub dropout: f64,
    /// Outputs `O` of the linear layer at each step; without it there is no such layer.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named::d_output")]
    pub d_output: Option<usize>,
}

/// The kind of a recurrent cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecurrentCell {
    /// Plain, with the hyperbolic tangent.
    RnnTanh,
    /// Plain, with a rectifier.
    RnnRelu,
    /// Long short-term memory.
    Lstm,
    /// Gated recurrent unit.
    Gru,
}

impl RnnConfig {
    /// One layer of plain cells, 256 wide: 131,584 parameters.
    pub fn rnn() -> Self {
        Self {
            cell: RecurrentCell::RnnTanh,
            d_input: 256,
            d_hidden: 256,
            n_layers: 1,
            bidirectional: false,
            bias: true,
            dropout: 0.0,
            d_output: None,
        }
    }

    /// One layer of LSTM cells, 256 wide: 526,336 parameters.
    pub fn lstm() -> Self {
        Self { cell: RecurrentCell::Lstm, ..Self::rnn() }
    }

    /// One layer of gated recurrent units, 256 wide: 394,752 parameters.
    pub fn gru() -> Self {
        Self { cell: RecurrentCell::Gru, ..Self::rnn() }
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self {
            cell: RecurrentCell::Lstm,
            d_input: 5,
            d_hidden: 4,
            n_layers: 2,
            bidirectional: true,
            bias: true,
            dropout: 0.0,
            d_output: Some(6),
        }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_width("d_input", self.d_input)?;
        check_range("d_hidden", self.d_hidden, 1 << 15)?;
        check_range("n_layers", self.n_layers, MAX_LAYERS)?;
        check_probability("dropout", self.dropout)?;
        self.d_output.map_or(Ok(()), |outputs| check_width("d_output", outputs))
    }

    /// The model, with weights and biases of the cells from `U(-1/sqrt(D), 1/sqrt(D))`.
    ///
    /// # Errors
    /// If [`RnnConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<Rnn, ConfigError> {
        self.validate()?;
        let plain = |nonlinearity| {
            let config = PlainConfig::new(self.d_input, self.d_hidden)
                .with_nonlinearity(nonlinearity)
                .with_n_layers(self.n_layers)
                .with_bias(self.bias)
                .with_bidirectional(self.bidirectional)
                .with_dropout(self.dropout);
            Recurrent::Rnn(config.init(device))
        };
        let rnn = match self.cell {
            RecurrentCell::RnnTanh => plain(RnnNonlinearity::Tanh),
            RecurrentCell::RnnRelu => plain(RnnNonlinearity::Relu),
            RecurrentCell::Lstm => Recurrent::Lstm(
                LstmConfig::new(self.d_input, self.d_hidden)
                    .with_n_layers(self.n_layers)
                    .with_bias(self.bias)
                    .with_bidirectional(self.bidirectional)
                    .with_dropout(self.dropout)
                    .init(device),
            ),
            RecurrentCell::Gru => Recurrent::Gru(
                GruConfig::new(self.d_input, self.d_hidden)
                    .with_n_layers(self.n_layers)
                    .with_bias(self.bias)
                    .with_bidirectional(self.bidirectional)
                    .with_dropout(self.dropout)
                    .init(device),
            ),
        };
        let head = self
            .d_output
            .map(|outputs| LinearConfig::new(self.directions() * self.d_hidden, outputs).init(device));
        Ok(Rnn { rnn, head })
    }

    /// Number of directions `N`.
    pub(super) fn directions(&self) -> usize {
        1 + usize::from(self.bidirectional)
    }
}

/// serde's default is a function.
fn yes() -> bool {
    true
}
