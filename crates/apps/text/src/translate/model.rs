//! The architectures that translate, behind one face.

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor};
use libellus_models::{
    ConfigError, GruAttention, GruAttentionConfig, GruAttentionState, Memory, Transformer, TransformerCache,
    TransformerConfig, TransformerInput,
};
use serde::{Deserialize, Serialize};

/// A model that reads a source and writes a target.
///
/// Shapes: `B` pairs, `S` tokens of the source, `T` tokens of the target, `V` vocabulary.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a program holds a few, and a box has no burn Module")]
pub enum Translator {
    /// The Transformer of encoder and decoder.
    Transformer(Transformer),
    /// Recurrent layers of gated units with attention.
    Gru(GruAttention),
}

/// The configuration of a [`Translator`]. In a file, the key `architecture` says which one it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "architecture")]
pub enum TranslatorConfig {
    /// `architecture = "transformer"`
    #[serde(rename = "transformer")]
    Transformer(TransformerConfig),
    /// `architecture = "gru_attention"`
    #[serde(rename = "gru_attention")]
    Gru(GruAttentionConfig),
}

impl TranslatorConfig {
    /// The model, on `device`. Its parameters are drawn when they are first used.
    ///
    /// # Errors
    /// The first field that describes no model.
    pub fn init(&self, device: &Device) -> Result<Translator, ConfigError> {
        match self {
            Self::Transformer(config) => config.init(device).map(Translator::Transformer),
            Self::Gru(config) => config.init(device).map(Translator::Gru),
        }
    }

    /// Number of tokens `V` in the vocabulary of both sides.
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::Transformer(config) => config.vocab_size,
            Self::Gru(config) => config.vocab_size,
        }
    }
}

impl Translator {
    /// Logits of the token after each of the target's, all of which are given.
    ///
    /// # Shapes
    /// - output: `[B, T, V]`
    ///
    /// # Panics
    /// If the batches of source and target, or the shapes of tokens and masks, differ.
    pub fn forward(&self, input: TransformerInput) -> Tensor<3> {
        match self {
            Self::Transformer(model) => model.forward(input).logits,
            Self::Gru(model) => model.forward(input),
        }
    }

    /// How much each token of the target looks at each of the source's.
    ///
    /// # Shapes
    /// - output: `[B, T, S]`; each row has the sum 1
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn attention_map(&self, input: TransformerInput) -> Tensor<3> {
        match self {
            Self::Transformer(model) => model.attention_map(input),
            Self::Gru(model) => model.attention_map(input),
        }
    }

    /// Reads sources, to write up to `capacity` tokens of each target.
    ///
    /// # Shapes
    /// - `source`: `[B, S]`
    /// - `mask`: true for tokens, false for padding, `[B, S]`
    pub fn read(&self, source: Tensor<2, Int>, mask: Tensor<2, Bool>, capacity: usize) -> TranslatorState {
        match self {
            Self::Transformer(model) => {
                let memory: Memory = model.encode(source, Some(mask));
                TranslatorState::Transformer(model.new_cache(&memory, capacity))
            }
            Self::Gru(model) => {
                let memory = model.encode(source, Some(mask));
                TranslatorState::Gru(model.new_state(&memory))
            }
        }
    }

    /// Logits of the token after `tokens`, which follow those that `state` has seen.
    ///
    /// # Shapes
    /// - `tokens`: `[B]`
    /// - output: `[B, V]`
    ///
    /// # Panics
    /// If the state is full, of another number of targets, or another model's.
    pub fn write(&self, tokens: Tensor<1, Int>, state: &mut TranslatorState) -> Tensor<2> {
        match (self, state) {
            (Self::Transformer(model), TranslatorState::Transformer(cache)) => {
                model.decode_cached(tokens.unsqueeze_dim(1), None, cache).squeeze_dim(1)
            }
            (Self::Gru(model), TranslatorState::Gru(state)) => model.decode_step(tokens, state),
            _ => panic!("the state is that of another kind of model"),
        }
    }
}

/// Sources that have been read, and what has been written of their targets.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a program holds a few")]
pub enum TranslatorState {
    /// Of a Transformer.
    Transformer(TransformerCache),
    /// Of recurrent layers.
    Gru(GruAttentionState),
}

impl TranslatorState {
    /// Makes target `rows[i]` target `i`, for each of `rows`: the beams that go on, or the targets that have not ended.
    ///
    /// # Panics
    /// If a row isn't less than the number of targets.
    pub fn select(&mut self, rows: &[usize]) {
        match self {
            Self::Transformer(cache) => cache.select(rows),
            Self::Gru(state) => state.select(rows),
        }
    }
}
