//! Configuration of the recurrent encoder-decoder with attention.

use burn::tensor::Device;
use libellus_layers::{DropoutConfig, EmbeddingConfig, GruConfig, Initializer, LinearConfig};
use serde::{Deserialize, Serialize};

use super::{AdditiveAttention, Decoder, Encoder, EncoderLayer, GruAttention};
use crate::error::{check_probability, check_range};
use crate::transformer::OutputLayer;
use crate::{ConfigError, named};

/// The most layers of the encoder: as many as the key table names.
const MAX_LAYERS: usize = 8;

/// The most tokens that a vocabulary may have. Far above any published model.
const MAX_TOKENS: usize = 1 << 22;

/// Configuration of a [`GruAttention`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GruAttentionConfig {
    /// Number of different tokens `V`, of source and target together.
    #[serde(deserialize_with = "named::vocab_size")]
    pub vocab_size: usize,
    /// Width `E` of the embedding, and of the layer before the output (`m`).
    #[serde(deserialize_with = "named::d_model")]
    pub d_model: usize,
    /// Width `D` of the state of the decoder and of each direction of the encoder (`n`), and hidden units of the attention
    /// (`n'`).
    #[serde(deserialize_with = "named::d_hidden")]
    pub d_hidden: usize,
    /// Layers of the encoder.
    #[serde(deserialize_with = "named::n_layers")]
    pub n_layers: usize,
    /// What turns the last hidden layer into logits.
    #[serde(default, deserialize_with = "named::output")]
    pub output: OutputLayer,
    /// Probability of an element of the embeddings, of what one layer of the encoder hands to the next, or of the layer
    /// before the output being dropped in training, in `[0, 1)`.
    #[serde(default, deserialize_with = "named::dropout")]
    pub dropout: f64,
}

impl GruAttentionConfig {
    /// RNNsearch with the paper's sizes, for a vocabulary of 30,000 tokens: 64,076,020 parameters. (The paper's own has a
    /// vocabulary of that size for each language, and another output.)
    pub fn rnnsearch() -> Self {
        Self {
            vocab_size: 30_000,
            d_model: 620,
            d_hidden: 1000,
            n_layers: 1,
            output: OutputLayer::Separate,
            dropout: 0.0,
        }
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self { vocab_size: 13, d_model: 5, d_hidden: 7, n_layers: 2, output: OutputLayer::Tied, dropout: 0.0 }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_range("vocab_size", self.vocab_size, MAX_TOKENS)?;
        check_range("d_model", self.d_model, 1 << 15)?;
        check_range("d_hidden", self.d_hidden, 1 << 15)?;
        check_range("n_layers", self.n_layers, MAX_LAYERS)?;
        check_probability("dropout", self.dropout)
    }

    /// The model, with weights and biases from `U(-1/sqrt(n), 1/sqrt(n))` for the `n` inputs of a linear layer or the `D` of
    /// a cell's state, and embeddings from `N(0, 1 / E)`.
    ///
    /// # Errors
    /// If [`GruAttentionConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<GruAttention, ConfigError> {
        self.validate()?;
        let (d_model, d_hidden) = (self.d_model, self.d_hidden);
        let embeddings = Initializer::Normal { mean: 0.0, std: 1.0 / (d_model as f64).sqrt() };
        let dropout = || DropoutConfig::new(self.dropout).init();
        let encoder_layer = |d_input| {
            let direction = || GruConfig::new(d_input, d_hidden).init(device);
            EncoderLayer { forward: direction(), reverse: direction() }
        };
        Ok(GruAttention {
            embedding: EmbeddingConfig::new(self.vocab_size, d_model)
                .with_initializer(embeddings)
                .init(device),
            encoder: Encoder {
                layers: (0..self.n_layers)
                    .map(|layer| encoder_layer(if layer == 0 { d_model } else { 2 * d_hidden }))
                    .collect(),
                dropout: dropout(),
            },
            decoder: self.decoder(device),
            readout: LinearConfig::new(3 * d_hidden + d_model, d_model).init(device),
            dropout: dropout(),
            output: match self.output {
                OutputLayer::Tied => None,
                OutputLayer::Separate => Some(LinearConfig::new(d_model, self.vocab_size).init(device)),
            },
        })
    }

    fn decoder(&self, device: &Device) -> Decoder {
        let (d_model, d_hidden) = (self.d_model, self.d_hidden);
        let linear = LinearConfig::new;
        // As those of a recurrent cell, whose bound depends on the state alone.
        let bound = 1.0 / (d_hidden as f64).sqrt();
        let gates = |d_input| {
            LinearConfig::new(d_input, 3 * d_hidden)
                .with_initializer(Initializer::Uniform { min: -bound, max: bound })
        };
        Decoder {
            initial: linear(d_hidden, d_hidden).init(device),
            attention: AdditiveAttention {
                query: linear(d_hidden, d_hidden).with_bias(false).init(device),
                key: linear(2 * d_hidden, d_hidden).init(device),
                score: linear(d_hidden, 1).with_bias(false).init(device),
            },
            token_gates: gates(d_model).init(device),
            context_gates: gates(2 * d_hidden).with_bias(false).init(device),
            state_gates: gates(d_hidden).init(device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libellus_backend::testing::device;

    #[test]
    fn what_is_wrong_is_named() {
        let error = |config: GruAttentionConfig| config.init(&device()).expect_err("a wrong one").to_string();
        let tiny = GruAttentionConfig::tiny;
        assert_eq!(
            error(GruAttentionConfig { vocab_size: 0, ..tiny() }),
            "`vocab_size` must be between 1 and 4194304, not 0"
        );
        assert_eq!(
            error(GruAttentionConfig { d_hidden: 1 << 16, ..tiny() }),
            "`d_hidden` must be between 1 and 32768, not 65536"
        );
        assert_eq!(
            error(GruAttentionConfig { n_layers: 9, ..tiny() }),
            "`n_layers` must be between 1 and 8, not 9"
        );
        assert_eq!(
            error(GruAttentionConfig { dropout: 1.0, ..tiny() }),
            "`dropout` must be at least 0 and less than 1, not 1"
        );
    }
}
