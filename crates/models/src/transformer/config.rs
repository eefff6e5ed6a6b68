//! Configuration of the encoder-decoder Transformer.

use burn::tensor::{Bool, Device, Tensor};
use libellus_layers::{
    Activation, DropoutConfig, EmbeddingConfig, EncoderBlockConfig, FeedForwardConfig, Initializer,
    LayerNormConfig, Linear, LinearConfig, NormPlacement, SelfAttentionConfig, ZeroBias,
};
use libellus_weights::Layout;
use serde::{Deserialize, Serialize};

use super::PYTORCH;
use super::decoder::{CrossAttention, Decoder, DecoderBlock};
use super::model::{Encoder, Transformer, TransformerInput};
use crate::error::{check_multiple, check_probability, check_range, check_width};
use crate::{
    Architecture, ConfigError, InputError, ModelConfig, Preset, PresetModel, Tensors, device_of, named,
};

/// The most blocks in either stack: forty times those of the published networks.
const MAX_BLOCKS: usize = 256;

/// The most tokens that a vocabulary may have. Far above any published model.
const MAX_TOKENS: usize = 1 << 22;

/// Added to the variance in every layer normalisation.
const EPSILON: f64 = 1e-5;

/// Configuration of a [`Transformer`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerConfig {
    /// Number of different tokens `V`, of source and target together.
    #[serde(deserialize_with = "named::vocab_size")]
    pub vocab_size: usize,
    /// Blocks of the encoder (`N`).
    #[serde(deserialize_with = "named::n_encoder_layers")]
    pub n_encoder_layers: usize,
    /// Blocks of the decoder (`N`).
    #[serde(deserialize_with = "named::n_decoder_layers")]
    pub n_decoder_layers: usize,
    /// Width `D` of the tokens (`d_model`).
    #[serde(deserialize_with = "named::d_model")]
    pub d_model: usize,
    /// Hidden units of the feed-forward networks (`d_ff`).
    #[serde(deserialize_with = "named::d_ff")]
    pub d_ff: usize,
    /// Number of heads of each attention (`h`), which divides `d_model`.
    #[serde(deserialize_with = "named::n_heads")]
    pub n_heads: usize,
    /// The nonlinearity of the feed-forward networks.
    #[serde(default, deserialize_with = "named::activation")]
    pub activation: Activation,
    /// Where the normalisations stand: `post` as in the paper, or `pre`.
    #[serde(deserialize_with = "named::norm_placement")]
    pub norm_placement: NormPlacement,
    /// Whether each stack ends with one more normalisation. It should with `pre`; with `post` the paper's doesn't, but
    /// `torch.nn.Transformer` does.
    #[serde(deserialize_with = "named::final_norm")]
    pub final_norm: bool,
    /// What turns tokens into logits.
    #[serde(default, deserialize_with = "named::output")]
    pub output: OutputLayer,
    /// Probability of an element of the embeddings, or of what a branch of a block puts out, being dropped in training,
    /// in `[0, 1)` (`P_drop`).
    #[serde(default, deserialize_with = "named::dropout")]
    pub dropout: f64,
}

/// What turns the decoder's tokens into logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputLayer {
    /// The dot product with each token's embedding (section 3.4), without a bias.
    #[default]
    Tied,
    /// A linear layer of its own.
    Separate,
}

impl TransformerConfig {
    /// The base model for a vocabulary of 37,000: 63,082,496 parameters. (The paper says 65 million.)
    pub fn transformer_base() -> Self {
        Self::published(512, 8, 0.1)
    }

    /// The big model for a vocabulary of 37,000: 214,245,376 parameters. (The paper says 213 million.)
    pub fn transformer_big() -> Self {
        Self::published(1024, 16, 0.3)
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self {
            vocab_size: 13,
            n_encoder_layers: 2,
            n_decoder_layers: 2,
            d_model: 10,
            d_ff: 17,
            n_heads: 2,
            activation: Activation::Relu,
            norm_placement: NormPlacement::Pre,
            final_norm: true,
            output: OutputLayer::Tied,
            dropout: 0.0,
        }
    }

    fn published(d_model: usize, n_heads: usize, dropout: f64) -> Self {
        Self {
            vocab_size: 37_000,
            n_encoder_layers: 6,
            n_decoder_layers: 6,
            d_model,
            d_ff: 4 * d_model,
            n_heads,
            activation: Activation::Relu,
            norm_placement: NormPlacement::Post,
            final_norm: false,
            output: OutputLayer::Tied,
            dropout,
        }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_range("vocab_size", self.vocab_size, MAX_TOKENS)?;
        check_range("n_encoder_layers", self.n_encoder_layers, MAX_BLOCKS)?;
        check_range("n_decoder_layers", self.n_decoder_layers, MAX_BLOCKS)?;
        // The queries, keys and values of a token together must still be a possible layer.
        check_range("d_model", self.d_model, 1 << 15)?;
        check_width("d_ff", self.d_ff)?;
        check_range("n_heads", self.n_heads, self.d_model)?;
        check_multiple("d_model", self.d_model, "n_heads", self.n_heads)?;
        check_probability("dropout", self.dropout)
    }

    /// The model. Matrices are drawn from Glorot's uniform distribution, embeddings from `N(0, 1 / D)`.
    ///
    /// # Errors
    /// If [`TransformerConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<Transformer, ConfigError> {
        self.validate()?;
        let d_model = self.d_model;
        let norm = || LayerNormConfig::new(d_model).with_epsilon(EPSILON).init(device);
        let final_norm = || self.final_norm.then(norm);
        let block = EncoderBlockConfig::new(d_model, self.n_heads, self.d_ff, self.norm_placement)
            .with_epsilon(EPSILON)
            .with_activation(self.activation)
            .with_dropout(self.dropout)
            .with_initializer(glorot());
        let embeddings = Initializer::Normal { mean: 0.0, std: 1.0 / (d_model as f64).sqrt() };
        Ok(Transformer {
            embedding: EmbeddingConfig::new(self.vocab_size, d_model)
                .with_initializer(embeddings)
                .init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            encoder: Encoder {
                layers: (0..self.n_encoder_layers).map(|_| block.init(device)).collect(),
                norm: final_norm(),
            },
            decoder: Decoder {
                layers: (0..self.n_decoder_layers).map(|_| self.decoder_block(device)).collect(),
                norm: final_norm(),
            },
            output: match self.output {
                OutputLayer::Tied => None,
                OutputLayer::Separate => Some(linear(d_model, self.vocab_size, device)),
            },
        })
    }

    fn decoder_block(&self, device: &Device) -> DecoderBlock {
        let d_model = self.d_model;
        let norm = || LayerNormConfig::new(d_model).with_epsilon(EPSILON).init(device);
        DecoderBlock {
            norm1: norm(),
            attn: SelfAttentionConfig::new(d_model, self.n_heads).with_initializer(glorot()).init(device),
            norm2: norm(),
            cross_attn: CrossAttention {
                query: linear(d_model, d_model, device),
                key: linear(d_model, d_model, device),
                value: linear(d_model, d_model, device),
                proj: linear(d_model, d_model, device),
                n_heads: self.n_heads,
            },
            norm3: norm(),
            mlp: FeedForwardConfig::new(d_model, self.d_ff)
                .with_activation(self.activation)
                .with_initializer(glorot())
                .init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            norm_placement: self.norm_placement,
        }
    }
}

fn glorot() -> Initializer {
    Initializer::XavierUniform { gain: 1.0 }
}

fn linear(d_input: usize, d_output: usize, device: &Device) -> Linear {
    LinearConfig::new(d_input, d_output).with_initializer(glorot()).init(device).with_zero_bias()
}

impl Architecture for TransformerConfig {
    type Model = Transformer;

    fn presets() -> Vec<Preset> {
        let preset = |name, summary, config| Preset {
            name,
            aliases: &[],
            family: "Transformer",
            summary,
            model: PresetModel::Other(ModelConfig::Transformer(config)),
        };
        vec![
            preset(
                "transformer_base",
                "encoder and decoder of six blocks each, width 512, for translation",
                Self::transformer_base(),
            ),
            preset(
                "transformer_big",
                "encoder and decoder of six blocks each, width 1024, for translation",
                Self::transformer_big(),
            ),
        ]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![PYTORCH]
    }

    /// A source and a target of 32 tokens each, about a sentence.
    fn example(&self) -> Result<Tensors, InputError> {
        Tensors::new().with_zeros::<i64, 2>("source", [1, 32])?.with_zeros::<i64, 2>("target", [1, 32])
    }

    /// Takes `source`, `[B, S]`, `target`, `[B, T]`, and if they are there `source_mask` and `target_mask` of their shapes (1
    /// for a token, 0 for padding). Puts out `memory`, `[B, S, D]`, and `logits`, `[B, T, V]`.
    fn run(&self, model: &Transformer, inputs: &Tensors) -> Result<Tensors, InputError> {
        inputs.only(&["source", "target", "source_mask", "target_mask"])?;
        let device = device_of(model);
        let source = inputs.ints::<2>("source", self.vocab_size, &device)?;
        let target = inputs.ints::<2>("target", self.vocab_size, &device)?;
        for name in ["source", "target"] {
            inputs.length_within(name, 0, 1, usize::MAX)?;
            inputs.length_within(name, 1, 1, usize::MAX)?;
        }
        inputs.length("target", 0, source.dims()[0])?;
        let mask = |name, [batch, length]: [usize; 2]| -> Result<Option<Tensor<2, Bool>>, InputError> {
            let mask = inputs.optional_ints::<2>(name, 2, &device)?;
            inputs.length(name, 0, batch)?;
            inputs.length(name, 1, length)?;
            Ok(mask.map(|mask| mask.equal_elem(1)))
        };
        let source_mask = mask("source_mask", source.dims())?;
        let target_mask = mask("target_mask", target.dims())?;
        let output = model.forward(TransformerInput { source, target, source_mask, target_mask });
        Ok(Tensors::new().with("memory", output.memory).with("logits", output.logits))
    }
}
