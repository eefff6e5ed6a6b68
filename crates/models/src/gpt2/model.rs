//! The module.

use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};
use libellus_layers::{
    AttentionOptions, Causal, Dropout, Embedding, KvCache, LayerNorm, Linear, Span, attention, merge_heads,
    packed_attention, split_packed, trace,
};

use super::Gpt2Block;
use crate::CausalLm;

/// A GPT-2: embeddings of tokens and positions, blocks, a normalisation, and an output that shares the embedding of
/// tokens. The fields are named as in `transformers`.
///
/// ```
/// use burn::tensor::{Int, Tensor};
/// use libellus_models::{CausalLm, Gpt2Config};
///
/// let device = libellus_backend::testing::device();
/// let model = Gpt2Config::tiny().init(&device)?;
/// let tokens = Tensor::<2, Int>::zeros([3, 7], &device);
/// assert_eq!(model.forward(tokens.clone()).dims(), [3, 7, 29]);
///
/// let mut cache = model.new_cache(3, 11);
/// let features = model.forward_cached(tokens, None, &mut cache);
/// assert_eq!(model.logits(features.narrow(1, 6, 1)).dims(), [3, 1, 29]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct Gpt2 {
    pub(super) wte: Embedding,
    pub(super) wpe: Embedding,
    pub(super) drop: Dropout,
    pub(super) h: Vec<Gpt2Block>,
    pub(super) ln_f: LayerNorm,
}

impl Gpt2 {
    fn run(
        &self,
        tokens: Tensor<2, Int>,
        span: Span,
        mut attend: impl FnMut(usize, Tensor<3>, usize, &AttentionOptions) -> Tensor<3>,
    ) -> Tensor<3> {
        let embedded = self.wte.forward(tokens) + self.wpe.forward(span.positions);
        let mut x = trace::tap("drop", self.drop.forward(embedded));
        let options =
            AttentionOptions { causal: Causal::Yes, mask: span.hidden, ..AttentionOptions::default() };
        for (index, block) in self.h.iter().enumerate() {
            x = block.forward(x, &options, |packed, heads, options| attend(index, packed, heads, options));
            x = trace::tap(format_args!("h.{index}"), x);
        }
        trace::tap("ln_f", self.ln_f.forward(x))
    }
}

impl Gpt2 {
    /// The linear layers of the blocks, under the names of `transformers`.
    pub fn linears_mut(&mut self) -> Vec<(String, &mut Linear)> {
        let blocks = self.h.iter_mut().enumerate().flat_map(|(index, block)| {
            [
                ("attn.c_attn", &mut block.attn.c_attn),
                ("attn.c_proj", &mut block.attn.c_proj),
                ("mlp.c_fc", &mut block.mlp.c_fc),
                ("mlp.c_proj", &mut block.mlp.c_proj),
            ]
            .map(|(name, linear)| (format!("transformer.h.{index}.{name}"), linear))
        });
        blocks.collect()
    }
}

impl CausalLm for Gpt2 {
    fn vocab_size(&self) -> usize {
        self.wte.weight.lazy_shape()[0]
    }

    fn context(&self) -> usize {
        self.wpe.weight.lazy_shape()[0]
    }

    fn new_cache(&self, batch: usize, capacity: usize) -> KvCache {
        let context = self.context();
        assert!(capacity <= context, "a cache of {capacity} tokens exceeds the context of {context}");
        KvCache::new(self.h.len(), batch, capacity)
    }

    fn forward_features(&self, tokens: Tensor<2, Int>, mask: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let ([_, length], context) = (tokens.dims(), self.context());
        assert!(length <= context, "{length} tokens exceed the context of {context}");
        let span = Span::first(length, mask, &tokens.device());
        self.run(tokens, span, |_, packed, heads, options| packed_attention(packed, heads, options))
    }

    fn forward_cached(
        &self,
        tokens: Tensor<2, Int>,
        mask: Option<Tensor<2, Bool>>,
        cache: &mut KvCache,
    ) -> Tensor<3> {
        let span = cache.advance(tokens.dims()[1], mask, &tokens.device());
        self.run(tokens, span, |layer, packed, heads, options| {
            let [query, keys, values] = split_packed(packed, heads);
            let seen = cache.append(layer, keys, values);
            merge_heads(attention(query, seen.keys, seen.values, options))
        })
    }

    fn logits(&self, features: Tensor<3>) -> Tensor<3> {
        self.wte.project(features)
    }
}
