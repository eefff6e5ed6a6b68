//! The decoder.

use burn::module::Module;
use burn::tensor::{Bool, Tensor};
use libellus_layers::{
    AttentionOptions, Causal, Dropout, FeedForward, KeysValues, LayerNorm, Linear, NormPlacement,
    SelfAttention, attention, merge_heads, split_heads, trace,
};

/// A stack of decoder blocks.
#[derive(Module, Debug)]
pub struct Decoder {
    pub(super) layers: Vec<DecoderBlock>,
    pub(super) norm: Option<LayerNorm>,
}

/// Causal self-attention, attention to the encoder's memory, and a feed-forward network, each with a residual
/// connection and a normalisation.
#[derive(Module, Debug)]
pub struct DecoderBlock {
    /// Of the self-attention.
    pub(super) norm1: LayerNorm,
    pub(super) attn: SelfAttention,
    /// Of the attention to the memory.
    pub(super) norm2: LayerNorm,
    pub(super) cross_attn: CrossAttention,
    /// Of the feed-forward network.
    pub(super) norm3: LayerNorm,
    pub(super) mlp: FeedForward,
    pub(super) dropout: Dropout,
    #[module(skip)]
    pub(super) norm_placement: NormPlacement,
}

/// Target tokens look at source tokens (section 3.2.3, first item).
#[derive(Module, Debug)]
pub struct CrossAttention {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) proj: Linear,
    pub(super) n_heads: usize,
}

impl Decoder {
    /// What the blocks' attentions to the memory look at, computed once for all steps.
    ///
    /// # Shapes
    /// - `memory`: `[B, S, D]`
    /// - output: `[B, H, S, D / H]` of each block
    pub(super) fn read(&self, memory: &Tensor<3>) -> Vec<KeysValues> {
        self.layers.iter().map(|block| block.cross_attn.read(memory)).collect()
    }

    /// The target's tokens in their context. `keep` takes the keys and values of a block's tokens and returns those of all
    /// that are seen.
    ///
    /// # Shapes
    /// - `input`: `[B, T, D]`
    /// - `hidden`: true where a target token is hidden, `[B, 1, 1, T']` of all that are seen
    /// - `memory`: what [`Decoder::read`] put out
    /// - `memory_hidden`: true where a source token is hidden, `[B, 1, 1, S]`
    /// - output: `[B, T, D]`
    pub(super) fn forward(
        &self,
        input: Tensor<3>,
        hidden: Option<Tensor<4, Bool>>,
        memory: &[KeysValues],
        memory_hidden: Option<Tensor<4, Bool>>,
        mut keep: impl FnMut(usize, Tensor<4>, Tensor<4>) -> KeysValues,
    ) -> Tensor<3> {
        let blocks = self.layers.iter().zip(memory).enumerate();
        let tokens = blocks.fold(input, |tokens, (index, (block, memory))| {
            let keep = |keys, values| keep(index, keys, values);
            let output = block.forward(tokens, hidden.clone(), memory, memory_hidden.clone(), keep);
            trace::tap(format_args!("layers.{index}"), output)
        });
        match &self.norm {
            Some(norm) => trace::tap("norm", norm.forward(tokens)),
            None => tokens,
        }
    }
}

impl DecoderBlock {
    /// The block's output. Shapes as in [`Decoder::forward`].
    pub(super) fn forward(
        &self,
        input: Tensor<3>,
        hidden: Option<Tensor<4, Bool>>,
        memory: &KeysValues,
        memory_hidden: Option<Tensor<4, Bool>>,
        keep: impl FnOnce(Tensor<4>, Tensor<4>) -> KeysValues,
    ) -> Tensor<3> {
        let placement = self.norm_placement;
        let tokens = placement.residual(&self.norm1, input, |tokens| {
            self.dropout.forward(self.attn.forward_keeping(tokens, Causal::Yes, hidden, keep))
        });
        let tokens = placement.residual(&self.norm2, tokens, |tokens| {
            self.dropout.forward(self.cross_attn.forward(tokens, memory, memory_hidden))
        });
        placement.residual(&self.norm3, tokens, |tokens| self.dropout.forward(self.mlp.forward(tokens)))
    }
}

impl CrossAttention {
    /// The keys and values of a memory, `[B, S, D]`.
    fn read(&self, memory: &Tensor<3>) -> KeysValues {
        let [keys, values] =
            [&self.key, &self.value].map(|linear| split_heads(linear.forward(memory.clone()), self.n_heads));
        KeysValues { keys, values }
    }

    /// What the target's tokens take from the source's.
    ///
    /// # Shapes
    /// - `input`: `[B, T, D]`
    /// - `mask`: true where a source token is hidden, `[B or 1, H or 1, T or 1, S]`
    /// - output: `[B, T, D]`
    fn forward(&self, input: Tensor<3>, memory: &KeysValues, mask: Option<Tensor<4, Bool>>) -> Tensor<3> {
        let query = split_heads(self.query.forward(input), self.n_heads);
        let options = AttentionOptions { mask, ..Default::default() };
        let KeysValues { keys, values } = memory.clone();
        self.proj.forward(merge_heads(attention(query, keys, values, &options)))
    }
}
