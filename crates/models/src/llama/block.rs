//! The block.

use burn::module::Module;
use burn::tensor::Tensor;
use libellus_layers::{
    Activation, AttentionOptions, Dropout, KeysValues, Linear, RmsNorm, Rotation, attention, merge_heads,
    split_heads,
};

/// Attention and a gated perceptron, each behind a normalisation and beside an identity.
#[derive(Module, Debug)]
pub struct LlamaBlock {
    pub(super) input_layernorm: RmsNorm,
    pub(super) self_attn: LlamaAttention,
    pub(super) post_attention_layernorm: RmsNorm,
    pub(super) mlp: LlamaMlp,
}

/// What all blocks of a pass have in common.
pub(super) struct Surroundings {
    pub(super) rotation: Rotation,
    pub(super) attention: AttentionOptions,
}

impl LlamaBlock {
    /// The block's output. `keep` takes the new keys and values and returns all that are seen.
    ///
    /// # Shapes
    /// - `input`: `[B, T, D]`
    /// - output: as `input`
    pub(super) fn forward(
        &self,
        input: Tensor<3>,
        surroundings: &Surroundings,
        keep: impl FnOnce(Tensor<4>, Tensor<4>) -> KeysValues,
    ) -> Tensor<3> {
        let normalized = self.input_layernorm.forward(input.clone());
        let x = input + self.self_attn.forward(normalized, surroundings, keep);
        x.clone() + self.mlp.forward(self.post_attention_layernorm.forward(x))
    }
}

/// Self-attention in which several heads of queries share one of keys and values, with rotated positions.
#[derive(Module, Debug)]
pub struct LlamaAttention {
    pub(super) q_proj: Linear,
    pub(super) k_proj: Linear,
    pub(super) v_proj: Linear,
    pub(super) o_proj: Linear,
    pub(super) n_heads: usize,
    pub(super) n_kv_heads: usize,
    /// Of attention weights.
    pub(super) dropout: Dropout,
}

impl LlamaAttention {
    fn forward(
        &self,
        input: Tensor<3>,
        surroundings: &Surroundings,
        keep: impl FnOnce(Tensor<4>, Tensor<4>) -> KeysValues,
    ) -> Tensor<3> {
        let rotation = &surroundings.rotation;
        let query = rotation.apply(split_heads(self.q_proj.forward(input.clone()), self.n_heads));
        let key = rotation.apply(split_heads(self.k_proj.forward(input.clone()), self.n_kv_heads));
        let value = split_heads(self.v_proj.forward(input), self.n_kv_heads);
        let kept = keep(key, value);
        let dropout = if self.dropout.training.is_enabled() { self.dropout.prob } else { 0.0 };
        let options = AttentionOptions { dropout, ..surroundings.attention.clone() };
        self.o_proj.forward(merge_heads(attention(query, kept.keys, kept.values, &options)))
    }
}

/// A perceptron whose hidden layer is gated: `down(silu(gate(x)) up(x))`.
///
/// Shazeer 2020, *GLU Variants Improve Transformer*, arXiv:2002.05202, equation 6 ("SwiGLU").
#[derive(Module, Debug)]
pub struct LlamaMlp {
    pub(super) gate_proj: Linear,
    pub(super) up_proj: Linear,
    pub(super) down_proj: Linear,
}

impl LlamaMlp {
    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let gate = Activation::Silu.forward(self.gate_proj.forward(input.clone()));
        self.down_proj.forward(gate * self.up_proj.forward(input))
    }
}
