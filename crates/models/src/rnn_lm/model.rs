//! The module.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};
use libellus_layers::{Dropout, Embedding, Linear, trace};

use crate::Rnn;
use crate::rnn::{RnnFeatures, RnnState};

/// A recurrent language model: an embedding, layers of recurrent cells, and an output. The fields are named as in PyTorch's
/// example.
///
/// ```
/// use burn::tensor::{Int, Tensor};
/// use libellus_models::RnnLmConfig;
///
/// let device = libellus_backend::testing::device();
/// let model = RnnLmConfig::tiny().init(&device)?;
/// let tokens = Tensor::<2, Int>::zeros([3, 11], &device);
/// assert_eq!(model.forward(tokens.clone()).dims(), [3, 11, 29]);
///
/// let read = model.forward_features(tokens.clone(), None);
/// let next = model.forward_features(tokens.narrow(1, 0, 1), Some(read.state));
/// assert_eq!(model.logits(next.output).dims(), [3, 1, 29]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct RnnLm {
    pub(super) encoder: Embedding,
    /// Of the embedding, and of the last layer's output; layers have their own in between.
    pub(super) drop: Dropout,
    pub(super) rnn: Rnn,
    pub(super) decoder: RnnLmDecoder,
}

/// The output of an [`RnnLm`].
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a model has one, and a box has no burn Module")]
pub enum RnnLmDecoder {
    /// A layer of its own.
    Linear(Linear),
    /// The embedding once more.
    Tied(TiedDecoder),
}

/// What an output that shares the embedding has besides it.
#[derive(Module, Debug)]
pub struct TiedDecoder {
    /// `[V]`.
    pub bias: Param<Tensor<1>>,
}

impl RnnLm {
    /// Number of tokens `V` in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.encoder.weight.lazy_shape()[0]
    }

    /// Logits of the token after each token.
    ///
    /// # Shapes
    /// - `tokens`: `[B, T]`, each less than `V`
    /// - output: `[B, T, V]`
    ///
    /// # Panics
    /// If there are no tokens.
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        self.logits(self.forward_features(tokens, None).output)
    }

    /// The last layer's state at each token, from `state` on or from zeros, and the state after the last token.
    ///
    /// # Shapes
    /// - `tokens`: `[B, T]`, each less than `V`
    /// - output: `[B, T, D]`
    ///
    /// # Panics
    /// If there are no tokens, or the state has another shape than the configuration's.
    pub fn forward_features(&self, tokens: Tensor<2, Int>, state: Option<RnnState>) -> RnnFeatures {
        let embedded = trace::tap("drop", self.drop.forward(self.encoder.forward(tokens)));
        let RnnFeatures { output, state } = self.rnn.forward_features(embedded, state);
        RnnFeatures { output: self.drop.forward(output), state }
    }

    /// Logits of the next token. To generate, compute them for the last token alone.
    ///
    /// # Shapes
    /// - `features`: `[B, T, D]`
    /// - output: `[B, T, V]`
    ///
    /// # Panics
    /// If the features have another width.
    pub fn logits(&self, features: Tensor<3>) -> Tensor<3> {
        match &self.decoder {
            RnnLmDecoder::Linear(linear) => linear.forward(features),
            RnnLmDecoder::Tied(tied) => self.encoder.project(features) + tied.bias.val().unsqueeze(),
        }
    }
}
