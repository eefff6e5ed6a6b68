//! Language models of any architecture, to train and to sample from.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use libellus_layers::{KvCache, Linear};
use libellus_weights::Layout;
use serde::{Deserialize, Serialize};

use crate::rnn::{RnnFeatures, RnnState};
use crate::{
    Architecture, CausalLm, ConfigError, Gpt2, Gpt2Config, Llama, LlamaConfig, ModelConfig, RnnLm,
    RnnLmConfig,
};

/// A language model that reads from left to right, of any architecture.
///
/// Shapes: `B` sequences, `T` tokens, `D` width of the features, `V` vocabulary.
///
/// ```
/// use burn::tensor::{Int, Tensor};
/// use libellus_models::{LanguageModelConfig, RnnLmConfig};
///
/// let device = libellus_backend::testing::device();
/// let model = LanguageModelConfig::from(RnnLmConfig::tiny()).init(&device)?;
/// let tokens = Tensor::<2, Int>::zeros([1, 7], &device);
/// assert_eq!(model.forward(tokens.clone()).dims(), [1, 7, 29]);
///
/// // One prompt, three continuations of it, and their next token.
/// let mut state = model.new_state(1, 11);
/// model.read(tokens, &mut state);
/// state.select(&[0, 0, 0]);
/// let features = model.read(Tensor::zeros([3, 1], &device), &mut state);
/// assert_eq!(model.logits(features).dims(), [3, 1, 29]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a program holds a few, and a box has no burn Module")]
pub enum LanguageModel {
    /// A GPT-2.
    Gpt2(Gpt2),
    /// A Llama.
    Llama(Llama),
    /// A recurrent one.
    RnnLm(RnnLm),
}

/// The configuration of a [`LanguageModel`]. In a file, the key `architecture` says which one it is.
///
/// A preset, and a Hugging Face `config.json`, are read as a [`ModelConfig`] and turned into this one.
///
/// ```
/// use libellus_models::{Gpt2Config, LanguageModelConfig, preset};
///
/// let config: LanguageModelConfig = preset("gpt2")?.config().try_into()?;
/// assert_eq!(config, Gpt2Config::gpt2().into());
/// assert_eq!((config.vocab_size(), config.context()), (50_257, Some(1024)));
/// assert_eq!(
///     LanguageModelConfig::try_from(preset("resnet18")?.config()).unwrap_err().to_string(),
///     "`resnet` is no language model; those are gpt2, llama, rnn_lm"
/// );
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "architecture")]
pub enum LanguageModelConfig {
    /// `architecture = "gpt2"`
    #[serde(rename = "gpt2")]
    Gpt2(Gpt2Config),
    /// `architecture = "llama"`
    #[serde(rename = "llama")]
    Llama(LlamaConfig),
    /// `architecture = "rnn_lm"`
    #[serde(rename = "rnn_lm")]
    RnnLm(RnnLmConfig),
}

/// What sequences have left behind in a [`LanguageModel`] that reads on: the keys and values of all their tokens, or the
/// state of recurrent layers.
#[derive(Debug, Clone)]
pub struct LanguageState(Memory);

#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a program holds a few")]
enum Memory {
    Cache(KvCache),
    Recurrent {
        /// `None` before the first token.
        state: Option<RnnState>,
        batch: usize,
        len: usize,
    },
}

/// The same for each architecture.
macro_rules! each {
    ($enum:ident, $value:expr, $inner:ident => $result:expr) => {
        match $value {
            $enum::Gpt2($inner) => $result,
            $enum::Llama($inner) => $result,
            $enum::RnnLm($inner) => $result,
        }
    };
}

impl LanguageModel {
    /// The linear layers that can be adapted, under the names of `transformers`; a recurrent model has none.
    pub fn linears_mut(&mut self) -> Vec<(String, &mut Linear)> {
        match self {
            Self::Gpt2(model) => model.linears_mut(),
            Self::Llama(model) => model.linears_mut(),
            Self::RnnLm(_) => Vec::new(),
        }
    }

    /// Number of tokens `V` in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        each!(Self, self, model => model.vocab_size())
    }

    /// The most tokens that the model can read; `None` if any number will do.
    pub fn context(&self) -> Option<usize> {
        match self {
            Self::Gpt2(model) => Some(model.context()),
            Self::Llama(model) => Some(model.context()),
            Self::RnnLm(_) => None,
        }
    }

    /// Logits of the token after each token.
    ///
    /// # Shapes
    /// - `tokens`: `[B, T]`, each less than `V`
    /// - output: `[B, T, V]`
    ///
    /// # Panics
    /// If there are no tokens, or more than the context.
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        each!(Self, self, model => model.forward(tokens))
    }

    /// The features of all tokens, which [`logits`](Self::logits) are made of.
    ///
    /// # Shapes
    /// - `tokens`: `[B, T]`, each less than `V`
    /// - output: `[B, T, D]`
    ///
    /// # Panics
    /// If there are no tokens, or more than the context.
    pub fn forward_features(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        match self {
            Self::Gpt2(model) => model.forward_features(tokens, None),
            Self::Llama(model) => model.forward_features(tokens, None),
            Self::RnnLm(model) => model.forward_features(tokens, None).output,
        }
    }

    /// The state of `batch` sequences of which nothing has been read, and up to `capacity` tokens will be. A recurrent
    /// model needs no capacity and has no limit.
    ///
    /// # Panics
    /// If `capacity` exceeds the [`context`](Self::context).
    pub fn new_state(&self, batch: usize, capacity: usize) -> LanguageState {
        LanguageState(match self {
            Self::Gpt2(model) => Memory::Cache(model.new_cache(batch, capacity)),
            Self::Llama(model) => Memory::Cache(model.new_cache(batch, capacity)),
            Self::RnnLm(_) => Memory::Recurrent { state: None, batch, len: 0 },
        })
    }

    /// The features of tokens that follow those that `state` has read; it has read them as well then.
    ///
    /// Meant for inference. Under autodiff it works, but gradients reach back through all that was read.
    ///
    /// # Shapes
    /// - `tokens`: `[B, T]`, each less than `V`
    /// - output: `[B, T, D]`
    ///
    /// # Panics
    /// If there are no tokens or fewer [remain](LanguageState::remaining), or the state is of another number of sequences or
    /// another model's.
    pub fn read(&self, tokens: Tensor<2, Int>, state: &mut LanguageState) -> Tensor<3> {
        match (self, &mut state.0) {
            (Self::Gpt2(model), Memory::Cache(cache)) => model.forward_cached(tokens, None, cache),
            (Self::Llama(model), Memory::Cache(cache)) => model.forward_cached(tokens, None, cache),
            (Self::RnnLm(model), Memory::Recurrent { state, batch, len }) => {
                let [sequences, length] = tokens.dims();
                assert_eq!(
                    sequences, *batch,
                    "tokens of other sequences than the state's (actual, expected)"
                );
                let RnnFeatures { output, state: last } = model.forward_features(tokens, state.take());
                *state = Some(last);
                *len += length;
                output
            }
            _ => panic!("the state is that of another kind of model"),
        }
    }

    /// Logits of the next token. To generate, compute them for the last token alone: those of a long prompt take a lot of
    /// memory.
    ///
    /// # Shapes
    /// - `features`: `[B, T, D]`
    /// - output: `[B, T, V]`
    ///
    /// # Panics
    /// If the features have another width.
    pub fn logits(&self, features: Tensor<3>) -> Tensor<3> {
        each!(Self, self, model => model.logits(features))
    }
}

impl LanguageModelConfig {
    /// The values that the key `architecture` can have.
    pub const ARCHITECTURES: &'static [&'static str] = &["gpt2", "llama", "rnn_lm"];

    /// The model, on `device`. Its parameters are drawn when they are first used.
    ///
    /// # Errors
    /// If [`LanguageModelConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<LanguageModel, ConfigError> {
        match self {
            Self::Gpt2(config) => config.init(device).map(LanguageModel::Gpt2),
            Self::Llama(config) => config.init(device).map(LanguageModel::Llama),
            Self::RnnLm(config) => config.init(device).map(LanguageModel::RnnLm),
        }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        each!(Self, self, config => config.validate())
    }

    /// The public checkpoints that it can exchange weights with, besides this project's own.
    pub fn layouts(&self) -> Vec<Layout> {
        each!(Self, self, config => config.layouts())
    }

    /// Number of tokens `V` in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        each!(Self, self, config => config.vocab_size)
    }

    /// Takes another number of tokens in the vocabulary.
    pub fn set_vocab_size(&mut self, vocab_size: usize) {
        each!(Self, self, config => config.vocab_size = vocab_size);
    }

    /// The most tokens that the model can read; `None` if any number will do.
    pub fn context(&self) -> Option<usize> {
        match self {
            Self::Gpt2(config) => Some(config.context),
            Self::Llama(config) => Some(config.context),
            Self::RnnLm(_) => None,
        }
    }

    /// Takes another probability of an element being dropped in training, in `[0, 1)`.
    pub fn set_dropout(&mut self, dropout: f64) {
        each!(Self, self, config => config.dropout = dropout);
    }
}

impl TryFrom<ModelConfig> for LanguageModelConfig {
    type Error = ConfigError;

    /// # Errors
    /// [`ConfigError::NotALanguageModel`] if it is none.
    fn try_from(config: ModelConfig) -> Result<Self, ConfigError> {
        match config {
            ModelConfig::Gpt2(config) => Ok(Self::Gpt2(config)),
            ModelConfig::Llama(config) => Ok(Self::Llama(config)),
            ModelConfig::RnnLm(config) => Ok(Self::RnnLm(config)),
            other => Err(ConfigError::NotALanguageModel {
                architecture: other.to_value()["architecture"].as_str().unwrap_or_default().to_owned(),
                known: Self::ARCHITECTURES,
            }),
        }
    }
}

impl From<LanguageModelConfig> for ModelConfig {
    fn from(config: LanguageModelConfig) -> Self {
        each!(LanguageModelConfig, config, config => config.into())
    }
}

impl From<Gpt2Config> for LanguageModelConfig {
    fn from(config: Gpt2Config) -> Self {
        Self::Gpt2(config)
    }
}

impl From<LlamaConfig> for LanguageModelConfig {
    fn from(config: LlamaConfig) -> Self {
        Self::Llama(config)
    }
}

impl From<RnnLmConfig> for LanguageModelConfig {
    fn from(config: RnnLmConfig) -> Self {
        Self::RnnLm(config)
    }
}

impl LanguageState {
    /// Number of sequences.
    pub fn batch(&self) -> usize {
        match &self.0 {
            Memory::Cache(cache) => cache.batch(),
            Memory::Recurrent { batch, .. } => *batch,
        }
    }

    /// Tokens that have been read of each sequence.
    pub fn len(&self) -> usize {
        match &self.0 {
            Memory::Cache(cache) => cache.len(),
            Memory::Recurrent { len, .. } => *len,
        }
    }

    /// Whether nothing has been read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many more tokens can be read; `None` if any number can.
    pub fn remaining(&self) -> Option<usize> {
        match &self.0 {
            Memory::Cache(cache) => Some(cache.remaining()),
            Memory::Recurrent { .. } => None,
        }
    }

    /// Makes sequence `rows[i]` sequence `i`, for each of `rows`: the beams that go on (in any order, some twice, some
    /// not at all), or a prompt that is to have several continuations.
    ///
    /// # Panics
    /// If a row isn't less than [`batch`](Self::batch).
    pub fn select(&mut self, rows: &[usize]) {
        match &mut self.0 {
            Memory::Cache(cache) => cache.select(rows),
            Memory::Recurrent { state, batch, .. } => {
                assert!(rows.iter().all(|row| row < batch), "rows {rows:?} of a state of {batch} sequences");
                *state = state.take().map(|state| state.select(rows));
                *batch = rows.len();
            }
        }
    }
}
