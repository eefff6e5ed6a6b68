//! The block.

use burn::module::Module;
use burn::tensor::Tensor;
use libellus_layers::{Activation, AttentionOptions, Dropout, LayerNorm, Linear};

/// Attention and a perceptron, each behind a normalisation and beside an identity.
#[derive(Module, Debug)]
pub struct Gpt2Block {
    pub(super) ln_1: LayerNorm,
    pub(super) attn: Gpt2Attention,
    pub(super) ln_2: LayerNorm,
    pub(super) mlp: Gpt2Mlp,
}

impl Gpt2Block {
    /// The block's output. `attend` takes queries, keys and values of all heads side by side, `[B, T, 3 D]`, and the number of
    /// heads, and returns what the heads found, `[B, T, D]`.
    ///
    /// # Shapes
    /// - `input`: `[B, T, D]`
    /// - output: as `input`
    pub(super) fn forward(
        &self,
        input: Tensor<3>,
        options: &AttentionOptions,
        attend: impl FnOnce(Tensor<3>, usize, &AttentionOptions) -> Tensor<3>,
    ) -> Tensor<3> {
        let x = input.clone() + self.attn.forward(self.ln_1.forward(input), options, attend);
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
        attend: impl FnOnce(Tensor<3>, usize, &AttentionOptions) -> Tensor<3>,
    ) -> Tensor<3> {
        let dropout = if self.dropout.training.is_enabled() { self.dropout.prob } else { 0.0 };
        let options = AttentionOptions { dropout, ..options.clone() };
        let attended = attend(self.c_attn.forward(input), self.n_heads, &options);
        self.dropout.forward(self.c_proj.forward(attended))
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
