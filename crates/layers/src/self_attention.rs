//! Multi-head self-attention with a fused projection.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::{Bool, Device, Tensor};

use crate::{
    AttentionOptions, Causal, Dropout, DropoutConfig, KeysValues, Linear, LinearConfig, ZeroBias, attention,
    merge_heads, packed_attention, split_packed,
};

/// Every token looks at every other one, in several subspaces at once.
///
/// Vaswani et al. 2017, *Attention Is All You Need*, arXiv:1706.03762, section 3.2.2. References: timm's `Attention`,
/// `torch.nn.MultiheadAttention`.
///
/// Queries, keys and values come from one product with a matrix of three times the width, in this order. burn's
/// `MultiHeadAttention` has three, doesn't use the fused attention function, and masks with a finite number.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// Queries, keys and values of all heads, `[D, 3 D]`.
    pub qkv: Linear,
    /// What the heads found, mixed: `[D, D]`.
    pub proj: Linear,
    /// Of attention weights.
    pub dropout: Dropout,
    /// Number of heads.
    pub n_heads: usize,
}

impl SelfAttention {
    /// What the tokens take from each other.
    ///
    /// # Shapes
    /// - `input`: `[B, T, D]`
    /// - `mask`: true where a token is hidden, `[B or 1, H or 1, T or 1, T]`
    /// - output: `[B, T, D]`
    ///
    /// # Panics
    /// If the last dimension of `input` isn't the layer's width, or the mask has another shape.
    pub fn forward(&self, input: Tensor<3>, causal: Causal, mask: Option<Tensor<4, Bool>>) -> Tensor<3> {
        let qkv = self.qkv.forward(input);
        self.proj.forward(packed_attention(qkv, self.n_heads, &self.options(causal, mask)))
    }

    /// The same for tokens that follow others: `keep` takes their keys and values, `[B, H, T, D / H]`, and returns those of
    /// all that are seen, as [`KvCache::append`](crate::KvCache::append) does.
    ///
    /// # Panics
    /// As [`SelfAttention::forward`].
    pub fn forward_keeping(
        &self,
        input: Tensor<3>,
        causal: Causal,
        mask: Option<Tensor<4, Bool>>,
        keep: impl FnOnce(Tensor<4>, Tensor<4>) -> KeysValues,
    ) -> Tensor<3> {
        let [query, key, value] = split_packed(self.qkv.forward(input), self.n_heads);
        let kept = keep(key, value);
        let attended = attention(query, kept.keys, kept.values, &self.options(causal, mask));
        self.proj.forward(merge_heads(attended))
    }

    fn options(&self, causal: Causal, mask: Option<Tensor<4, Bool>>) -> AttentionOptions {
        let dropout = if self.dropout.training.is_enabled() { self.dropout.prob } else { 0.0 };
        AttentionOptions { causal, mask, dropout, ..Default::default() }
    }
}

/// Configuration of [`SelfAttention`].
#[derive(Config, Debug)]
pub struct SelfAttentionConfig {
    /// Width `D` of the tokens.
    pub d_model: usize,
    /// Number of heads `H`.
    pub n_heads: usize,
    /// Probability of an attention weight being dropped in training, in `[0, 1)`.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// What the matrices start with; biases start at zero.
    #[config(default = "Initializer::Normal { mean: 0.0, std: 0.02 }")]
    pub initializer: Initializer,
}

impl SelfAttentionConfig {
    /// The layer.
    ///
    /// # Panics
    /// If the width isn't a multiple of the number of heads, or the probability not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> SelfAttention {
        let Self { d_model, n_heads, .. } = *self;
        assert!(
            n_heads > 0 && d_model.is_multiple_of(n_heads),
            "{n_heads} heads don't divide a width of {d_model}"
        );
        let linear = |d_output| {
            let config = LinearConfig::new(d_model, d_output).with_initializer(self.initializer.clone());
            config.init(device).with_zero_bias()
        };
        SelfAttention {
            qkv: linear(3 * d_model),
            proj: linear(d_model),
            dropout: DropoutConfig::new(self.dropout).init(),
            n_heads,
        }
    }
}
