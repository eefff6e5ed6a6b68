//! Configuration of BERT.

use burn::tensor::{Bool, Device, Tensor};
use libellus_layers::{
    Activation, DropoutConfig, EmbeddingConfig, EncoderBlockConfig, Initializer, LayerNormConfig,
    LinearConfig, NormPlacement, ZeroBias,
};
use libellus_weights::Layout;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Bert, BertInput, HUGGING_FACE, HUGGING_FACE_OLD, hugging_face};
use crate::architecture::EXAMPLE_TOKENS;
use crate::error::{check_multiple, check_positive, check_probability, check_range, check_width};
use crate::{
    Architecture, ConfigError, InputError, ModelConfig, Preset, PresetModel, Tensors, device_of, named,
};

/// The most blocks: ten times those of the largest published network.
const MAX_BLOCKS: usize = 256;

/// The most tokens that a vocabulary may have, and the most positions. Far above any published model.
const MAX_TOKENS: usize = 1 << 22;

/// Configuration of a [`Bert`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BertConfig {
    /// Number of different tokens.
    #[serde(deserialize_with = "named::vocab_size")]
    pub vocab_size: usize,
    /// The most tokens in a sequence.
    #[serde(deserialize_with = "named::context")]
    pub context: usize,
    /// Number of different kinds of tokens: first and second sentence.
    #[serde(deserialize_with = "named::token_types")]
    pub token_types: usize,
    /// Width `D` of the tokens (`H` in the paper).
    #[serde(deserialize_with = "named::d_model")]
    pub d_model: usize,
    /// Number of blocks `L`.
    #[serde(deserialize_with = "named::n_layers")]
    pub n_layers: usize,
    /// Number of heads of the attention (`A` in the paper), which divides `d_model`.
    #[serde(deserialize_with = "named::n_heads")]
    pub n_heads: usize,
    /// Hidden units of the feed-forward networks.
    #[serde(deserialize_with = "named::d_ff")]
    pub d_ff: usize,
    /// The nonlinearity of the feed-forward networks.
    #[serde(deserialize_with = "named::activation")]
    pub activation: Activation,
    /// Added to the variance in the layer normalisations.
    #[serde(deserialize_with = "named::epsilon")]
    pub epsilon: f64,
    /// Whether the first token goes through one more layer, to stand for the whole sequence.
    #[serde(deserialize_with = "named::pooler")]
    pub pooler: bool,
    /// Probability of an element of the embeddings, or of what a branch of a block puts out, being dropped in training,
    /// in `[0, 1)`.
    #[serde(default, deserialize_with = "named::dropout")]
    pub dropout: f64,
    /// Probability of an attention weight being dropped in training, in `[0, 1)`.
    #[serde(default, deserialize_with = "named::attention_dropout")]
    pub attention_dropout: f64,
}

impl BertConfig {
    /// BERT-base for English in lower case: 109,482,240 parameters.
    pub fn bert_base_uncased() -> Self {
        Self::published(768, 12, 12)
    }

    /// BERT-large for English in lower case: 335,141,888 parameters.
    pub fn bert_large_uncased() -> Self {
        Self::published(1024, 24, 16)
    }

    /// The sentence encoder all-MiniLM-L6-v2: 22,713,216 parameters.
    pub fn all_minilm_l6_v2() -> Self {
        Self::published(384, 6, 12)
    }

    /// The sentence encoder all-MiniLM-L12-v2: 33,360,000 parameters.
    pub fn all_minilm_l12_v2() -> Self {
        Self::published(384, 12, 12)
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self {
            vocab_size: 23,
            context: 11,
            token_types: 2,
            d_model: 10,
            n_layers: 2,
            n_heads: 2,
            d_ff: 17,
            activation: Activation::Gelu,
            epsilon: 1e-12,
            pooler: true,
            dropout: 0.0,
            attention_dropout: 0.0,
        }
    }

    fn published(d_model: usize, n_layers: usize, n_heads: usize) -> Self {
        Self {
            vocab_size: 30_522,
            context: 512,
            token_types: 2,
            d_model,
            n_layers,
            n_heads,
            d_ff: 4 * d_model,
            activation: Activation::Gelu,
            epsilon: 1e-12,
            pooler: true,
            dropout: 0.1,
            attention_dropout: 0.1,
        }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_range("vocab_size", self.vocab_size, MAX_TOKENS)?;
        check_range("context", self.context, MAX_TOKENS)?;
        check_range("token_types", self.token_types, MAX_TOKENS)?;
        // The queries, keys and values of a token together must still be a possible layer.
        check_range("d_model", self.d_model, 1 << 15)?;
        check_range("n_layers", self.n_layers, MAX_BLOCKS)?;
        check_range("n_heads", self.n_heads, self.d_model)?;
        check_multiple("d_model", self.d_model, "n_heads", self.n_heads)?;
        check_width("d_ff", self.d_ff)?;
        check_positive("epsilon", self.epsilon)?;
        check_probability("dropout", self.dropout)?;
        check_probability("attention_dropout", self.attention_dropout)
    }

    /// The model.
    ///
    /// # Errors
    /// If [`BertConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<Bert, ConfigError> {
        self.validate()?;
        let d_model = self.d_model;
        let initializer = Initializer::Normal { mean: 0.0, std: 0.02 };
        let embedding =
            |count| EmbeddingConfig::new(count, d_model).with_initializer(initializer.clone()).init(device);
        let block = EncoderBlockConfig::new(d_model, self.n_heads, self.d_ff, NormPlacement::Post)
            .with_epsilon(self.epsilon)
            .with_activation(self.activation)
            .with_dropout(self.dropout)
            .with_attention_dropout(self.attention_dropout)
            .with_initializer(initializer.clone());
        Ok(Bert {
            token_embed: embedding(self.vocab_size),
            pos_embed: embedding(self.context),
            type_embed: embedding(self.token_types),
            norm: LayerNormConfig::new(d_model).with_epsilon(self.epsilon).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            blocks: (0..self.n_layers).map(|_| block.init(device)).collect(),
            pooler: self.pooler.then(|| {
                let config = LinearConfig::new(d_model, d_model).with_initializer(initializer.clone());
                config.init(device).with_zero_bias()
            }),
        })
    }
}

impl Architecture for BertConfig {
    type Model = Bert;

    fn presets() -> Vec<Preset> {
        let preset = |name, aliases, summary, config| Preset {
            name,
            aliases,
            family: "BERT",
            summary,
            model: PresetModel::Other(ModelConfig::Bert(config)),
        };
        vec![
            preset(
                "all-MiniLM-L6-v2",
                &["minilm-l6"],
                "sentence encoder of six blocks, width 384",
                Self::all_minilm_l6_v2(),
            ),
            preset(
                "all-MiniLM-L12-v2",
                &["minilm-l12"],
                "sentence encoder of twelve blocks, width 384",
                Self::all_minilm_l12_v2(),
            ),
            preset(
                "bert-base-uncased",
                &[],
                "encoder of English in lower case, twelve blocks of width 768",
                Self::bert_base_uncased(),
            ),
            preset(
                "bert-large-uncased",
                &[],
                "encoder of English in lower case, twenty-four blocks of width 1024",
                Self::bert_large_uncased(),
            ),
        ]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![HUGGING_FACE, HUGGING_FACE_OLD]
    }

    /// As many tokens as there are positions, none of them padding.
    fn example(&self) -> Result<Tensors, InputError> {
        Tensors::new().with_zeros::<i64, 2>("tokens", [1, self.context.min(EXAMPLE_TOKENS)])
    }

    /// Takes `tokens`, `[B, T]`, and if they are there `mask` (1 for a token, 0 for padding) and `token_types` of the same
    /// shape. Puts out `hidden`, `[B, T, D]`, and with a pooler `pooled`, `[B, D]`.
    fn run(&self, model: &Bert, inputs: &Tensors) -> Result<Tensors, InputError> {
        inputs.only(&["tokens", "mask", "token_types"])?;
        let device = device_of(model);
        let tokens = inputs.ints::<2>("tokens", self.vocab_size, &device)?;
        let [batch, length] = tokens.dims();
        inputs.length_within("tokens", 0, 1, usize::MAX)?;
        inputs.length_within("tokens", 1, 1, self.context)?;
        let mask = inputs.optional_ints::<2>("mask", 2, &device)?;
        let token_types = inputs.optional_ints::<2>("token_types", self.token_types, &device)?;
        for name in ["mask", "token_types"] {
            inputs.length(name, 0, batch)?;
            inputs.length(name, 1, length)?;
        }
        let mask = mask.map(|mask| -> Tensor<2, Bool> { mask.equal_elem(1) });
        let output = model.forward(BertInput { tokens, mask, token_types });
        let outputs = Tensors::new().with("hidden", output.hidden);
        Ok(match output.pooled {
            Some(pooled) => outputs.with("pooled", pooled),
            None => outputs,
        })
    }

    fn from_hugging_face(config: &Value) -> Option<Result<Self, ConfigError>> {
        hugging_face::read(config)
    }
}
