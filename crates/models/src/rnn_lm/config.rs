//! Configuration of recurrent language models.

use burn::tensor::Device;
use libellus_layers::{DropoutConfig, EmbeddingConfig, Initializer, Linear, LinearConfig};
use serde::{Deserialize, Serialize};

use super::{RnnLm, RnnLmDecoder, TiedDecoder};
use crate::error::check_range;
use crate::rnn::RecurrentCell;
use crate::{ConfigError, RnnConfig, named};

/// Bound of the initial embedding and of the output's initial weights.
const BOUND: f64 = 0.1;

/// Configuration of an [`RnnLm`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RnnLmConfig {
    /// Number of tokens `V` in the vocabulary.
    #[serde(deserialize_with = "named::vocab_size")]
    pub vocab_size: usize,
    /// Width `E` of the embedding.
    #[serde(deserialize_with = "named::d_model")]
    pub d_model: usize,
    /// The kind of cell.
    #[serde(deserialize_with = "named::cell")]
    pub cell: RecurrentCell,
    /// Width `D` of the state.
    #[serde(deserialize_with = "named::d_hidden")]
    pub d_hidden: usize,
    /// Number of layers `L`.
    #[serde(deserialize_with = "named::n_layers")]
    pub n_layers: usize,
    /// Probability of an element of the embedding, of what one layer hands to the next, and of the last layer's output
    /// being dropped in training, in `[0, 1)`.
    #[serde(default, deserialize_with = "named::dropout")]
    pub dropout: f64,
    /// Whether the output shares the embedding of tokens; `E` and `D` are the same then.
    #[serde(default, deserialize_with = "named::tie_embeddings")]
    pub tie_embeddings: bool,
}

impl RnnLmConfig {
    /// The medium size of Zaremba et al., for the 10,000 words of the Penn Treebank: 19,780,400 parameters (5,200 of them
    /// the second bias that PyTorch gives each gate).
    pub fn lstm_lm() -> Self {
        Self {
            vocab_size: 10_000,
            d_model: 650,
            cell: RecurrentCell::Lstm,
            d_hidden: 650,
            n_layers: 2,
            dropout: 0.5,
            tie_embeddings: false,
        }
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self {
            vocab_size: 29,
            d_model: 5,
            cell: RecurrentCell::Lstm,
            d_hidden: 7,
            n_layers: 2,
            dropout: 0.0,
            tie_embeddings: false,
        }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let &Self { vocab_size, d_model, d_hidden, .. } = self;
        check_range("vocab_size", vocab_size, 1 << 20)?;
        check_range("d_model", d_model, 1 << 15)?;
        self.rnn().validate()?;
        match self.tie_embeddings && d_model != d_hidden {
            true => Err(ConfigError::TiedWidths { d_model, d_hidden }),
            false => Ok(()),
        }
    }

    /// The model, with the embedding and the output's weights from `U(-0.1, 0.1)`, the output's bias 0, and weights and
    /// biases of the cells from `U(-1/sqrt(D), 1/sqrt(D))`.
    ///
    /// # Errors
    /// If [`RnnLmConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<RnnLm, ConfigError> {
        self.validate()?;
        let uniform = Initializer::Uniform { min: -BOUND, max: BOUND };
        let encoder = EmbeddingConfig::new(self.vocab_size, self.d_model)
            .with_initializer(uniform.clone())
            .init(device);
        let rnn = self.rnn().init(device)?;
        let bias = Initializer::Zeros.init([self.vocab_size], device);
        let decoder = if self.tie_embeddings {
            RnnLmDecoder::Tied(TiedDecoder { bias })
        } else {
            let config =
                LinearConfig::new(self.d_hidden, self.vocab_size).with_bias(false).with_initializer(uniform);
            RnnLmDecoder::Linear(Linear { bias: Some(bias), ..config.init(device) })
        };
        Ok(RnnLm { encoder, drop: DropoutConfig::new(self.dropout).init(), rnn, decoder })
    }

    /// The recurrent layers.
    pub(super) fn rnn(&self) -> RnnConfig {
        RnnConfig {
            cell: self.cell,
            d_input: self.d_model,
            d_hidden: self.d_hidden,
            n_layers: self.n_layers,
            bidirectional: false,
            bias: true,
            dropout: self.dropout,
            d_output: None,
        }
    }
}
