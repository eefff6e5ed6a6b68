//! Configuration of Llama.

use burn::tensor::Device;
use libellus_layers::{
    DropoutConfig, EmbeddingConfig, Initializer, Linear, LinearConfig, RmsNormConfig, Rope, RopeScaling,
};
use serde::{Deserialize, Serialize};

use super::{Llama, LlamaAttention, LlamaBlock, LlamaMlp};
use crate::error::{check_even, check_multiple, check_positive, check_probability, check_range};
use crate::{ConfigError, named};

/// Standard deviation of the initial weights.
const STD: f64 = 0.02;

/// Configuration of a [`Llama`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaConfig {
    /// Number of tokens `V` in the vocabulary.
    #[serde(deserialize_with = "named::vocab_size")]
    pub vocab_size: usize,
    /// The most tokens that the model can read.
    #[serde(deserialize_with = "named::context")]
    pub context: usize,
    /// Number of blocks.
    #[serde(deserialize_with = "named::n_layers")]
    pub n_layers: usize,
    /// Heads `H` of queries in each block.
    #[serde(deserialize_with = "named::n_heads")]
    pub n_heads: usize,
    /// Heads `G` of keys and values in each block; they divide those of queries.
    #[serde(deserialize_with = "named::n_kv_heads")]
    pub n_kv_heads: usize,
    /// Width of a head, an even number.
    #[serde(deserialize_with = "named::head_dim")]
    pub head_dim: usize,
    /// Width `D`.
    #[serde(deserialize_with = "named::d_model")]
    pub d_model: usize,
    /// Hidden units of the perceptrons.
    #[serde(deserialize_with = "named::d_ff")]
    pub d_ff: usize,
    /// Whether the four projections of attention have biases.
    #[serde(default, deserialize_with = "named::attention_bias")]
    pub attention_bias: bool,
    /// Whether the output shares the embedding of tokens.
    #[serde(deserialize_with = "named::tie_embeddings")]
    pub tie_embeddings: bool,
    /// Added to the mean square in normalisations.
    #[serde(deserialize_with = "named::epsilon")]
    pub epsilon: f64,
    /// Base of the frequencies of rotation.
    #[serde(deserialize_with = "named::rope_theta")]
    pub rope_theta: f64,
    /// How low frequencies are slowed down, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named::rope_scaling")]
    pub rope_scaling: Option<LlamaRopeScaling>,
    /// Probability of an attention weight being dropped in training, in `[0, 1)`.
    #[serde(default, deserialize_with = "named::dropout")]
    pub dropout: f64,
}

/// How the low frequencies of rotation are slowed down in Llama 3.1 and later: see [`RopeScaling`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaRopeScaling {
    /// What low frequencies are divided by.
    pub factor: f64,
    /// Turns in the original context up to which a frequency counts as low.
    pub low_freq_factor: f64,
    /// Turns in the original context from which on a frequency counts as high.
    pub high_freq_factor: f64,
    /// The original context, in tokens.
    pub original_context: usize,
}

/// The width of a head where it may be left out: that of the model, shared by the heads. Both come with the names of their fields.
pub(super) fn head_dim(
    given: Option<usize>,
    (d_model_field, d_model): (&'static str, usize),
    (n_heads_field, n_heads): (&'static str, usize),
) -> Result<usize, ConfigError> {
    match given {
        Some(head_dim) => Ok(head_dim),
        None => {
            check_multiple(d_model_field, d_model, n_heads_field, n_heads)?;
            Ok(d_model / n_heads)
        }
    }
}

/// Most tokens of a sequence.
const MAX_CONTEXT: usize = 1 << 24;

impl LlamaConfig {
    /// TinyLlama 1.1B (Zhang et al. 2024, arXiv:2401.02385): 1,100,048,384 parameters.
    pub fn tiny_llama_1_1b() -> Self {
        Self {
            vocab_size: 32_000,
            context: 2048,
            n_layers: 22,
            n_heads: 32,
            n_kv_heads: 4,
            head_dim: 64,
            d_model: 2048,
            d_ff: 5632,
            attention_bias: false,
            tie_embeddings: false,
            epsilon: 1e-5,
            rope_theta: 10_000.0,
            rope_scaling: None,
            dropout: 0.0,
        }
    }

    /// Llama 3.2 1B: 1,235,814,400 parameters.
    pub fn llama_3_2_1b() -> Self {
        Self {
            vocab_size: 128_256,
            context: 131_072,
            n_layers: 16,
            n_kv_heads: 8,
            d_ff: 8192,
            tie_embeddings: true,
            rope_theta: 500_000.0,
            rope_scaling: Some(LlamaRopeScaling {
                factor: 32.0,
                low_freq_factor: 1.0,
                high_freq_factor: 4.0,
                original_context: 8192,
            }),
            ..Self::tiny_llama_1_1b()
        }
    }

    /// SmolLM2 135M (Allal et al. 2025, arXiv:2502.02737): 134,515,008 parameters.
    pub fn smol_lm2_135m() -> Self {
        Self {
            vocab_size: 49_152,
            context: 8192,
            n_layers: 30,
            n_heads: 9,
            n_kv_heads: 3,
            d_model: 576,
            d_ff: 1536,
            tie_embeddings: true,
            rope_theta: 100_000.0,
            ..Self::tiny_llama_1_1b()
        }
    }

    /// SmolLM2 360M: 361,821,120 parameters.
    pub fn smol_lm2_360m() -> Self {
        Self { n_layers: 32, n_heads: 15, n_kv_heads: 5, d_model: 960, d_ff: 2560, ..Self::smol_lm2_135m() }
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self {
            vocab_size: 29,
            context: 17,
            n_layers: 2,
            n_heads: 6,
            n_kv_heads: 2,
            head_dim: 4,
            d_model: 18,
            d_ff: 13,
            attention_bias: false,
            tie_embeddings: true,
            epsilon: 1e-5,
            rope_theta: 100.0,
            rope_scaling: None,
            dropout: 0.0,
        }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_range("vocab_size", self.vocab_size, 1 << 20)?;
        check_range("context", self.context, MAX_CONTEXT)?;
        check_range("n_layers", self.n_layers, 1 << 10)?;
        check_range("n_heads", self.n_heads, 1 << 10)?;
        check_range("n_kv_heads", self.n_kv_heads, self.n_heads)?;
        check_multiple("n_heads", self.n_heads, "n_kv_heads", self.n_kv_heads)?;
        check_range("head_dim", self.head_dim, 1 << 12)?;
        check_even("head_dim", self.head_dim)?;
        check_range("d_model", self.d_model, 1 << 15)?;
        check_range("d_ff", self.d_ff, 1 << 17)?;
        check_positive("epsilon", self.epsilon)?;
        check_positive("rope_theta", self.rope_theta)?;
        if let Some(scaling) = &self.rope_scaling {
            check_positive("rope_scaling.factor", scaling.factor)?;
            check_positive("rope_scaling.low_freq_factor", scaling.low_freq_factor)?;
            check_positive("rope_scaling.high_freq_factor", scaling.high_freq_factor)?;
            check_positive(
                "rope_scaling.high_freq_factor - rope_scaling.low_freq_factor",
                scaling.high_freq_factor - scaling.low_freq_factor,
            )?;
            check_range("rope_scaling.original_context", scaling.original_context, MAX_CONTEXT)?;
        }
        check_probability("dropout", self.dropout)
    }

    /// The model, with weights from `N(0, 0.02)` and biases of 0.
    ///
    /// # Errors
    /// If [`LlamaConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<Llama, ConfigError> {
        self.validate()?;
        let norm = || RmsNormConfig::new(self.d_model).with_epsilon(self.epsilon).init(device);
        let (queries, keys) = (self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim);
        let block = || LlamaBlock {
            input_layernorm: norm(),
            self_attn: LlamaAttention {
                q_proj: self.projection(self.d_model, queries, device),
                k_proj: self.projection(self.d_model, keys, device),
                v_proj: self.projection(self.d_model, keys, device),
                o_proj: self.projection(queries, self.d_model, device),
                n_heads: self.n_heads,
                n_kv_heads: self.n_kv_heads,
                dropout: DropoutConfig::new(self.dropout).init(),
            },
            post_attention_layernorm: norm(),
            mlp: LlamaMlp {
                gate_proj: linear(self.d_model, self.d_ff, device),
                up_proj: linear(self.d_model, self.d_ff, device),
                down_proj: linear(self.d_ff, self.d_model, device),
            },
        };
        let rope = match &self.rope_scaling {
            None => Rope::new(self.head_dim, self.rope_theta),
            Some(scaling) => Rope::scaled(self.head_dim, self.rope_theta, &scaling.into()),
        };
        Ok(Llama {
            embed_tokens: EmbeddingConfig::new(self.vocab_size, self.d_model)
                .with_initializer(normal())
                .init(device),
            layers: (0..self.n_layers).map(|_| block()).collect(),
            norm: norm(),
            lm_head: (!self.tie_embeddings).then(|| linear(self.d_model, self.vocab_size, device)),
            rope,
            context: self.context,
        })
    }

    fn projection(&self, d_input: usize, d_output: usize, device: &Device) -> Linear {
        let bias = self.attention_bias.then(|| Initializer::Zeros.init([d_output], device));
        Linear { bias, ..linear(d_input, d_output, device) }
    }
}

fn linear(d_input: usize, d_output: usize, device: &Device) -> Linear {
    LinearConfig::new(d_input, d_output).with_bias(false).with_initializer(normal()).init(device)
}

fn normal() -> Initializer {
    Initializer::Normal { mean: 0.0, std: STD }
}

impl From<&LlamaRopeScaling> for RopeScaling {
    fn from(scaling: &LlamaRopeScaling) -> Self {
        let LlamaRopeScaling { factor, low_freq_factor, high_freq_factor, original_context } = *scaling;
        Self { factor, low_freq_factor, high_freq_factor, original_context }
    }
}
