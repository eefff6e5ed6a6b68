//! The module.

use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};
use libellus_layers::{Activation, Dropout, Embedding, Linear, trace};

use super::attention::attended;
use super::decoder::Decoded;
use super::{Decoder, Encoder, GruAttentionState, Memory};
use crate::transformer::TransformerInput;

/// An encoder that reads the source in both directions, and a decoder that predicts each token of the target from the tokens
/// before it and from what its attention takes from the source.
///
/// ```
/// use burn::tensor::{Int, Tensor};
/// use libellus_models::GruAttentionConfig;
///
/// let device = libellus_backend::testing::device();
/// let model = GruAttentionConfig::tiny().init(&device)?;
/// let memory = model.encode(Tensor::<2, Int>::from_ints([[3, 1, 4, 1, 5]], &device), None);
///
/// // Three beams, each with its next token.
/// let mut state = model.new_state(&memory);
/// model.decode_step(Tensor::<1, Int>::from_ints([0], &device), &mut state);
/// state.select(&[0, 0, 0]);
/// let logits = model.decode_step(Tensor::<1, Int>::from_ints([2, 7, 11], &device), &mut state);
/// assert_eq!(logits.dims(), [3, 13]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct GruAttention {
    /// Of source and target tokens, and of the output unless that has a layer of its own.
    pub(super) embedding: Embedding,
    pub(super) encoder: Encoder,
    pub(super) decoder: Decoder,
    /// From the state, the embedding of the token before and the context to the layer before the output.
    pub(super) readout: Linear,
    /// Of the embeddings, and of the layer before the output.
    pub(super) dropout: Dropout,
    pub(super) output: Option<Linear>,
}

impl GruAttention {
    /// Logits of the token after each of the target's, all of which are given. Padding stands behind the tokens; what is put
    /// out there means nothing.
    ///
    /// # Shapes
    /// - `input`: source `[B, S]`, target `[B, T]`
    /// - output: `[B, T, V]`
    ///
    /// # Panics
    /// If a source or target has no tokens, or if the batches of source and target, or the shapes of tokens and masks,
    /// differ.
    pub fn forward(&self, input: TransformerInput) -> Tensor<3> {
        self.logits(self.forward_features(input))
    }

    /// The same without the output, which makes logits of each vector alone.
    ///
    /// # Shapes
    /// - `input`: source `[B, S]`, target `[B, T]`
    /// - output: `[B, T, E]`
    ///
    /// # Panics
    /// As [`GruAttention::forward`].
    pub fn forward_features(&self, input: TransformerInput) -> Tensor<3> {
        let (embedded, memory, decoded) = self.teach(input);
        self.features(embedded, decoded, &memory)
    }

    /// How much each token of the source counts for each token of the target: the weights of the attention, for drawing.
    /// Those of a row add up to 1.
    ///
    /// # Shapes
    /// - `input`: source `[B, S]`, target `[B, T]`
    /// - output: `[B, T, S]`
    ///
    /// # Panics
    /// As [`GruAttention::forward`].
    pub fn attention_map(&self, input: TransformerInput) -> Tensor<3> {
        let (_, _, decoded) = self.teach(input);
        decoded.weights
    }

    /// Reads the source.
    ///
    /// # Shapes
    /// - `source`: `[B, S]`
    /// - `mask`: true for tokens, false for the padding behind them, `[B, S]`
    ///
    /// # Panics
    /// If there are no tokens, or the mask has another shape.
    pub fn encode(&self, source: Tensor<2, Int>, mask: Option<Tensor<2, Bool>>) -> Memory {
        check_mask(&source, mask.as_ref());
        let embedded = self.embed(source);
        let tokens = trace::within("encoder", || self.encoder.forward(embedded, mask.as_ref()));
        self.decoder.read(tokens, mask)
    }

    /// The state before the first token of targets, one for each sequence of the memory.
    pub fn new_state(&self, memory: &Memory) -> GruAttentionState {
        GruAttentionState { hidden: memory.initial.clone(), memory: memory.clone() }
    }

    /// Logits of the token after `tokens`, which follow those that `state` has seen; it has seen them as well then.
    ///
    /// # Shapes
    /// - `tokens`: `[B]`
    /// - output: `[B, V]`
    ///
    /// # Panics
    /// If the state is of another number of sequences.
    pub fn decode_step(&self, tokens: Tensor<1, Int>, state: &mut GruAttentionState) -> Tensor<2> {
        let [batch] = tokens.dims();
        assert_eq!(batch, state.batch(), "tokens of other sequences than the state's (actual, expected)");
        let embedded = self.embed(tokens.unsqueeze_dim(1));
        let gates = self.decoder.token_gates.forward(embedded.clone()).squeeze_dim(1);
        let (hidden, weights) = self.decoder.step(gates, state.hidden.clone(), &state.memory);
        state.hidden = hidden.clone();
        let decoded = Decoded { states: hidden.unsqueeze_dim(1), weights: weights.unsqueeze_dim(1) };
        self.logits(self.features(embedded, decoded, &state.memory)).squeeze_dim(1)
    }

    /// Logits of what [`GruAttention::forward_features`] puts out.
    ///
    /// # Shapes
    /// - `features`: `[B, T, E]`
    /// - output: `[B, T, V]`
    ///
    /// # Panics
    /// If the features have another width.
    pub fn logits(&self, features: Tensor<3>) -> Tensor<3> {
        match &self.output {
            Some(output) => output.forward(features),
            None => self.embedding.project(features),
        }
    }

    /// Decodes targets that are given (teacher forcing).
    pub(super) fn teach(&self, input: TransformerInput) -> (Tensor<3>, Memory, Decoded) {
        let TransformerInput { source, target, source_mask, target_mask } = input;
        check_mask(&target, target_mask.as_ref());
        assert_eq!(
            target.dims()[0],
            source.dims()[0],
            "targets for another number of sources (actual, expected)"
        );
        let memory = self.encode(source, source_mask);
        let embedded = self.embed(target);
        let decoded = self.decoder.forward(embedded.clone(), &memory);
        (embedded, memory, decoded)
    }

    /// The layer before the output, of all steps at once.
    pub(super) fn features(&self, embedded: Tensor<3>, decoded: Decoded, memory: &Memory) -> Tensor<3> {
        let Decoded { states, weights } = decoded;
        let states = trace::tap("decoder", states);
        let contexts = trace::tap("decoder.attention", attended(weights, memory.tokens.clone()));
        let hidden = self.readout.forward(Tensor::cat(vec![states, embedded, contexts], 2));
        trace::tap("readout", self.dropout.forward(Activation::Tanh.forward(hidden)))
    }

    fn embed(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        self.dropout.forward(self.embedding.forward(tokens))
    }
}

fn check_mask(tokens: &Tensor<2, Int>, mask: Option<&Tensor<2, Bool>>) {
    assert!(tokens.dims()[1] > 0, "a sequence of no tokens");
    if let Some(mask) = mask {
        assert_eq!(mask.dims(), tokens.dims(), "a mask of another shape than the tokens");
    }
}
