//! The module.

use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};
use libellus_layers::{
    AttentionOptions, Causal, Embedding, KeysValues, KvCache, Linear, RmsNorm, Rope, Span, trace,
};

use super::LlamaBlock;
use super::block::Surroundings;
use crate::CausalLm;

/// A Llama: embeddings, blocks, a normalisation, and an output. The fields are named as in `transformers`.
///
/// ```
/// use burn::tensor::{Int, Tensor};
/// use libellus_models::{CausalLm, LlamaConfig};
///
/// let device = libellus_backend::testing::device();
/// let model = LlamaConfig::tiny().init(&device)?;
/// let tokens = Tensor::<2, Int>::zeros([3, 7], &device);
/// assert_eq!(model.forward(tokens.clone()).dims(), [3, 7, 29]);
///
/// let mut cache = model.new_cache(3, 11);
/// let features = model.forward_cached(tokens, None, &mut cache);
/// assert_eq!(model.logits(features.narrow(1, 6, 1)).dims(), [3, 1, 29]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct Llama {
    pub(super) embed_tokens: Embedding,
    pub(super) layers: Vec<LlamaBlock>,
    pub(super) norm: RmsNorm,
    /// `None` if the output shares the embedding.
    pub(super) lm_head: Option<Linear>,
    #[module(skip)]
    pub(super) rope: Rope,
    pub(super) context: usize,
}

impl Llama {
    fn run(
        &self,
        tokens: Tensor<2, Int>,
        span: Span,
        mut keep: impl FnMut(usize, Tensor<4>, Tensor<4>) -> KeysValues,
    ) -> Tensor<3> {
        let surroundings = Surroundings {
            rotation: self.rope.at(span.positions),
            attention: AttentionOptions {
                causal: Causal::Yes,
                mask: span.hidden,
                ..AttentionOptions::default()
            },
        };
        let mut x = trace::tap("embed_tokens", self.embed_tokens.forward(tokens));
        for (index, block) in self.layers.iter().enumerate() {
            x = block.forward(x, &surroundings, |keys, values| keep(index, keys, values));
            x = trace::tap(format_args!("layers.{index}"), x);
        }
        trace::tap("norm", self.norm.forward(x))
    }
}

impl Llama {
    /// The linear layers of the blocks, under the names of `transformers`.
    pub fn linears_mut(&mut self) -> Vec<(String, &mut Linear)> {
        let blocks = self.layers.iter_mut().enumerate().flat_map(|(index, block)| {
            [
                ("self_attn.q_proj", &mut block.self_attn.q_proj),
                ("self_attn.k_proj", &mut block.self_attn.k_proj),
                ("self_attn.v_proj", &mut block.self_attn.v_proj),
                ("self_attn.o_proj", &mut block.self_attn.o_proj),
                ("mlp.gate_proj", &mut block.mlp.gate_proj),
                ("mlp.up_proj", &mut block.mlp.up_proj),
                ("mlp.down_proj", &mut block.mlp.down_proj),
            ]
            .map(|(name, linear)| (format!("model.layers.{index}.{name}"), linear))
        });
        blocks.collect()
    }
}

impl CausalLm for Llama {
    fn vocab_size(&self) -> usize {
        self.embed_tokens.weight.lazy_shape()[0]
    }

    fn context(&self) -> usize {
        self.context
    }

    fn new_cache(&self, batch: usize, capacity: usize) -> KvCache {
        let context = self.context;
        assert!(capacity <= context, "a cache of {capacity} tokens exceeds the context of {context}");
        KvCache::new(self.layers.len(), batch, capacity)
    }

    fn forward_features(&self, tokens: Tensor<2, Int>, mask: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let ([_, length], context) = (tokens.dims(), self.context);
        assert!(length <= context, "{length} tokens exceed the context of {context}");
        let span = Span::first(length, mask, &tokens.device());
        self.run(tokens, span, |_, keys, values| KeysValues { keys, values })
    }

    fn forward_cached(
        &self,
        tokens: Tensor<2, Int>,
        mask: Option<Tensor<2, Bool>>,
        cache: &mut KvCache,
    ) -> Tensor<3> {
        let span = cache.advance(tokens.dims()[1], mask, &tokens.device());
        self.run(tokens, span, |layer, keys, values| cache.append(layer, keys, values))
    }

    fn logits(&self, features: Tensor<3>) -> Tensor<3> {
        match &self.lm_head {
            Some(head) => head.forward(features),
            None => self.embed_tokens.project(features),
        }
    }
}
