//! What reads a text, and the layer that tells its class.

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor};
use libellus_layers::{
    Dropout, DropoutConfig, Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig, reverse_padded,
};
use libellus_models::bert::BertInput;
use libellus_models::rnn::Rnn;
use libellus_models::{Bert, BertConfig, ConfigError, RnnConfig};
use serde::{Deserialize, Serialize};

/// A network that reads a text, the mean of what it puts out, and a linear layer.
///
/// Shapes: `B` texts, `T` tokens, `D` width of the features, `K` classes.
#[derive(Module, Debug)]
pub struct TextClassifier {
    /// What reads.
    pub backbone: Backbone,
    /// Of the mean.
    pub dropout: Dropout,
    /// From `D` to `K`.
    pub head: Linear,
}

/// What reads a text.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a program holds a few, and a box has no burn Module")]
pub enum Backbone {
    /// A BERT.
    Bert(Bert),
    /// Recurrent layers.
    Recurrent(Reader),
}

/// Recurrent layers that read a text from both ends.
#[derive(Module, Debug)]
pub struct Reader {
    pub(super) embedding: Embedding,
    pub(super) dropout: Dropout,
    pub(super) forward: Rnn,
    pub(super) reverse: Rnn,
}

/// Configuration of a [`TextClassifier`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "backbone", rename_all = "snake_case", deny_unknown_fields)]
pub enum TextClassifierConfig {
    /// A BERT.
    Bert {
        /// Its sizes.
        bert: BertConfig,
        /// Classes `K`.
        num_classes: usize,
        /// Probability of a feature being dropped before the linear layer in training, in `[0, 1)`.
        dropout: f64,
    },
    /// Recurrent layers.
    Recurrent {
        /// Those of one direction; its input is as wide as the embedding.
        layers: RnnConfig,
        /// Tokens `V` in the vocabulary.
        vocab_size: usize,
        /// Classes `K`.
        num_classes: usize,
        /// Probability of a feature being dropped before the linear layer, and of the embedding, in training, in `[0, 1)`.
        dropout: f64,
    },
}

impl TextClassifierConfig {
    /// The model, on `device`. Its parameters are drawn when they are first used.
    ///
    /// # Errors
    /// When a part of it describes no model.
    pub fn init(&self, device: &Device) -> Result<TextClassifier, ConfigError> {
        let (backbone, width, num_classes, dropout) = match self {
            Self::Bert { bert, num_classes, dropout } => {
                (Backbone::Bert(bert.init(device)?), bert.d_model, *num_classes, *dropout)
            }
            Self::Recurrent { layers, vocab_size, num_classes, dropout } => {
                let embedding = EmbeddingConfig::new(*vocab_size, layers.d_input)
                    .with_initializer(Initializer::Normal { mean: 0.0, std: 0.1 })
                    .init(device);
                let reader = Reader {
                    embedding,
                    dropout: DropoutConfig::new(*dropout).init(),
                    forward: layers.init(device)?,
                    reverse: layers.init(device)?,
                };
                (Backbone::Recurrent(reader), 2 * layers.d_hidden, *num_classes, *dropout)
            }
        };
        Ok(TextClassifier {
            backbone,
            dropout: DropoutConfig::new(dropout).init(),
            head: LinearConfig::new(width, num_classes).init(device),
        })
    }
}

impl TextClassifier {
    /// # Shapes
    /// - `tokens`: `[B, T]`
    /// - `mask`: true for tokens, false for the padding behind them, `[B, T]`
    /// - output: logits, `[B, K]`
    ///
    /// # Panics
    /// If there are no tokens, or more than the context of a BERT.
    pub fn forward(&self, tokens: Tensor<2, Int>, mask: Tensor<2, Bool>) -> Tensor<2> {
        self.head.forward(self.dropout.forward(self.forward_features(tokens, mask)))
    }

    /// The mean over a text's tokens of what the network makes of them.
    ///
    /// # Shapes
    /// - output: `[B, D]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_features(&self, tokens: Tensor<2, Int>, mask: Tensor<2, Bool>) -> Tensor<2> {
        let hidden = match &self.backbone {
            Backbone::Bert(bert) => {
                bert.forward_features(BertInput { mask: Some(mask.clone()), ..BertInput::new(tokens) })
            }
            Backbone::Recurrent(reader) => reader.forward(tokens, &mask),
        };
        libellus_models::bert::masked_mean(hidden, mask)
    }
}

impl Reader {
    /// # Shapes
    /// - `tokens`, `mask`: `[B, T]`
    /// - output: `[B, T, 2 D]`, both directions side by side
    fn forward(&self, tokens: Tensor<2, Int>, mask: &Tensor<2, Bool>) -> Tensor<3> {
        let embedded = self.dropout.forward(self.embedding.forward(tokens));
        let forward = self.forward.forward_features(embedded.clone(), None).output;
        let turned = reverse_padded(embedded, mask);
        let reverse = reverse_padded(self.reverse.forward_features(turned, None).output, mask);
        Tensor::cat(vec![forward, reverse], 2)
    }
}
