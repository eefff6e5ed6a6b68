//! The block.

use burn::module::Module;
use burn::tensor::Tensor;
use libellus_layers::{
    Activation, AttentionOptions, Dropout, KeysValues, LayerNorm, Linear, attention, merge_heads, split_heads,
};

/// Attention and a perceptron, each behind a normalisation and beside an identity.
#[derive(Module, Debug)]
pub struct Gpt2Block {
    pub(super) ln_1: LayerNorm,
    pub(super) attn: Gpt2Attention,
    pub(super) ln_2: LayerNorm,
    pub(super) mlp: Gpt2Mlp,
}

impl Gpt2Block {
    /// The block's output. `keep` takes the new keys and values and returns all that are seen.
    ///
    /// # Shapes
    /// - `input`: `[B, T, D]`
    /// - output: as `input`
    pub(super) fn forward(
        &self,
        input: Tensor<3>,
        options: &AttentionOptions,
        keep: impl FnOnce(Tensor<4>, Tensor<4>) -> KeysValues,
    ) -> Tensor<3> {
        let x = input.clone() + self.attn.forward(self.ln_1.forward(input), options, keep);
        x.clone() + self.mlp.forward(self.ln_2.forward(x))
    }
}

/// Self-attention with one projection for queries, keys and values.
#[derive(Module, Debug)]
pub struct Gpt2Attention {
    /// `[D, 3 D]`: queries, keys and values side by side.
    pub(super) c_attn: Linear,
    /// `[D, D]`.
    pub(super) c_proj: Linear,
    pub(super) n_heads: usize,
    /// Of attention weights, and of the output.
    pub(super) dropout: Dropout,
}

impl Gpt2Attention {
    fn forward(
        &self,
        input: Tensor<3>,
        options: &AttentionOptions,
        keep: impl FnOnce(Tensor<4>, Tensor<4>) -> KeysValues,
    ) -> Tensor<3> {
        let width = input.dims()[2];
        let projected = self.c_attn.forward(input);
        let [query, key, value] =
            [0, 1, 2].map(|part| split_heads(projected.clone().narrow(2, part * width, width), self.n_heads));
        let kept = keep(key, value);
        let dropout = if self.dropout.training.is_enabled() { self.dropout.prob } else { 0.0 };
        let options = AttentionOptions { dropout, ..options.clone() };
        let attended = attention(query, kept.keys, kept.values, &options);
        self.dropout.forward(self.c_proj.forward(merge_heads(attended)))
    }
}

/// A perceptron with one hidden layer.
#[derive(Module, Debug)]
pub struct Gpt2Mlp {
    pub(super) c_fc: Linear,
    #[module(skip)]
    pub(super) activation: Activation,
    pub(super) c_proj: Linear,
    pub(super) dropout: Dropout,
}

impl Gpt2Mlp {
    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let hidden = self.activation.forward(self.c_fc.forward(input));
        self.dropout.forward(self.c_proj.forward(hidden))
    }
}
