//! Configuration of GPT-2.

use burn::tensor::Device;
use libellus_layers::{
    Activation, DropoutConfig, EmbeddingConfig, Initializer, LayerNormConfig, Linear, LinearConfig,
};
use serde::{Deserialize, Serialize};

use super::{Gpt2, Gpt2Attention, Gpt2Block, Gpt2Mlp};
use crate::error::{check_multiple, check_positive, check_probability, check_range};
use crate::{ConfigError, named};

/// Standard deviation of the initial weights.
const STD: f64 = 0.02;

/// Configuration of a [`Gpt2`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpt2Config {
    /// Number of tokens `V` in the vocabulary.
    #[serde(deserialize_with = "named::vocab_size")]
    pub vocab_size: usize,
    /// The most tokens that the model can read.
    #[serde(deserialize_with = "named::context")]
    pub context: usize,
    /// Number of blocks.
    #[serde(deserialize_with = "named::n_layers")]
    pub n_layers: usize,
    /// Attention heads `H` in each block; they divide the width.
    #[serde(deserialize_with = "named::n_heads")]
    pub n_heads: usize,
    /// Width `D`.
    #[serde(deserialize_with = "named::d_model")]
    pub d_model: usize,
    /// Hidden units of the perceptrons.
    #[serde(deserialize_with = "named::d_ff")]
    pub d_ff: usize,
    /// The nonlinearity of the perceptrons: GELU by its approximation with a hyperbolic tangent for OpenAI's models, which
    /// is the default, and the exact one for nanoGPT's.
    #[serde(default = "activation", deserialize_with = "named::activation")]
    pub activation: Activation,
    /// Whether linear layers and normalisations have biases.
    #[serde(deserialize_with = "named::bias")]
    pub bias: bool,
    /// Added to the variance in normalisations.
    #[serde(deserialize_with = "named::epsilon")]
    pub epsilon: f64,
    /// Probability of an element of the embedding, of the attention weights and of the blocks' branches being dropped in
    /// training, in `[0, 1)`.
    #[serde(default, deserialize_with = "named::dropout")]
    pub dropout: f64,
}

fn activation() -> Activation {
    Activation::GeluTanh
}

impl Gpt2Config {
    /// GPT-2: 124,439,808 parameters.
    pub fn gpt2() -> Self {
        Self::published(12, 12, 768)
    }

    /// GPT-2 Medium: 354,823,168 parameters.
    pub fn gpt2_medium() -> Self {
        Self::published(24, 16, 1024)
    }

    /// GPT-2 Large: 774,030,080 parameters.
    pub fn gpt2_large() -> Self {
        Self::published(36, 20, 1280)
    }

    /// GPT-2 XL: 1,557,611,200 parameters.
    pub fn gpt2_xl() -> Self {
        Self::published(48, 25, 1600)
    }

    /// nanoGPT in the size of its `train_shakespeare_char.py` (6 blocks of width 384, no biases), for a vocabulary and a
    /// context. With 65 characters and a context of 256: 10,745,088 parameters, 10.65 M without those of positions, as
    /// nanoGPT counts.
    pub fn nano(vocab_size: usize, context: usize) -> Self {
        Self {
            vocab_size,
            context,
            activation: Activation::Gelu,
            bias: false,
            dropout: 0.2,
            ..Self::published(6, 6, 384)
        }
    }

    /// The same in the size that nanoGPT recommends for a CPU (4 blocks of width 128, no dropout).
    pub fn nano_cpu(vocab_size: usize, context: usize) -> Self {
        Self {
            vocab_size,
            context,
            activation: Activation::Gelu,
            bias: false,
            dropout: 0.0,
            ..Self::published(4, 4, 128)
        }
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self {
            vocab_size: 29,
            context: 17,
            n_layers: 2,
            n_heads: 3,
            d_model: 15,
            d_ff: 23,
            activation: activation(),
            bias: true,
            epsilon: 1e-5,
            dropout: 0.0,
        }
    }

    fn published(n_layers: usize, n_heads: usize, d_model: usize) -> Self {
        Self {
            vocab_size: 50_257,
            context: 1024,
            n_layers,
            n_heads,
            d_model,
            d_ff: 4 * d_model,
            activation: activation(),
            bias: true,
            epsilon: 1e-5,
            dropout: 0.1,
        }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_range("vocab_size", self.vocab_size, 1 << 20)?;
        check_range("context", self.context, 1 << 20)?;
        check_range("n_layers", self.n_layers, 1 << 10)?;
        check_range("d_model", self.d_model, 1 << 15)?;
        check_range("n_heads", self.n_heads, self.d_model)?;
        check_multiple("d_model", self.d_model, "n_heads", self.n_heads)?;
        check_range("d_ff", self.d_ff, 1 << 17)?;
        check_positive("epsilon", self.epsilon)?;
        check_probability("dropout", self.dropout)
    }

    /// The model, with weights from `N(0, 0.02)`, those that end a branch from `N(0, 0.02 / sqrt(2 n_layers))` (section
    /// 2.3), and biases of 0.
    ///
    /// # Errors
    /// If [`Gpt2Config::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<Gpt2, ConfigError> {
        self.validate()?;
        let embedding =
            |count| EmbeddingConfig::new(count, self.d_model).with_initializer(normal(STD)).init(device);
        let norm = || {
            LayerNormConfig::new(self.d_model).with_epsilon(self.epsilon).with_bias(self.bias).init(device)
        };
        let dropout = || DropoutConfig::new(self.dropout).init();
        let last = STD / (2.0 * self.n_layers as f64).sqrt();
        let block = || Gpt2Block {
            ln_1: norm(),
            attn: Gpt2Attention {
                c_attn: self.linear(self.d_model, 3 * self.d_model, STD, device),
                c_proj: self.linear(self.d_model, self.d_model, last, device),
                n_heads: self.n_heads,
                dropout: dropout(),
            },
            ln_2: norm(),
            mlp: Gpt2Mlp {
                c_fc: self.linear(self.d_model, self.d_ff, STD, device),
                activation: self.activation,
                c_proj: self.linear(self.d_ff, self.d_model, last, device),
                dropout: dropout(),
            },
        };
        Ok(Gpt2 {
            wte: embedding(self.vocab_size),
            wpe: embedding(self.context),
            drop: dropout(),
            h: (0..self.n_layers).map(|_| block()).collect(),
            ln_f: norm(),
        })
    }

    fn linear(&self, d_input: usize, d_output: usize, std: f64, device: &Device) -> Linear {
        let config = LinearConfig::new(d_input, d_output).with_bias(false).with_initializer(normal(std));
        Linear { bias: self.bias.then(|| Initializer::Zeros.init([d_output], device)), ..config.init(device) }
    }
}

fn normal(std: f64) -> Initializer {
    Initializer::Normal { mean: 0.0, std }
}
