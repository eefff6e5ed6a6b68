//! The saved model: weights that say what they are, and bring their tokenizer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use libellus_data::{ChatTemplate, Tokenizer};
use libellus_inspect::{Design, Loaded};
use libellus_models::{
    LanguageModel, LanguageModelConfig, Model, ModelConfig, Precision, PrepareInference, Prepared,
};
use libellus_train::{DESCRIPTION_KEY, RunDir, read_description};
use libellus_weights::{Checkpoint, Layout, LoadOptions, load, save};
use serde::{Deserialize, Serialize};

use crate::error::TextError;
use crate::gguf::open_tokenizer;
use crate::lora::{load_adapter, merge_lora};

/// The key of the tokenizer, as the text of a `tokenizer.json`.
pub(crate) const TOKENIZER: &str = "tokenizer";
/// What [`Description::task`] says of a language model.
pub(crate) const TASK: &str = "text";

/// All that using a language model takes beside its weights and its tokenizer; it travels in the same file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Always `text`.
    pub task: String,
    /// Version of Libellus that wrote it.
    pub version: String,
    /// The architecture, with all its sizes.
    pub config: LanguageModelConfig,
    /// The text it was trained on.
    pub corpus: String,
    /// Characters of a token, on average over that text.
    pub characters_per_token: f64,
}

impl Description {
    /// A loss in nats per token, in bits per character.
    pub fn bits_per_character(&self, loss: f64) -> f64 {
        loss / std::f64::consts::LN_2 / self.characters_per_token
    }

    /// Writes `model` with this description and its tokenizer, in one atomic step.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, model: &LanguageModel, tokenizer: &Tokenizer, path: &Path) -> Result<(), TextError> {
        let description = serde_json::to_string(self)
            .expect("a description is strings and numbers, with strings for its keys");
        let metadata = BTreeMap::from([
            (DESCRIPTION_KEY.to_owned(), description),
            (TOKENIZER.to_owned(), tokenizer.to_json()),
        ]);
        Ok(save(model, path, &Layout::NATIVE, &metadata)?)
    }

    /// Reads the description of a weights file; `None` when it has none, as a file from elsewhere.
    ///
    /// # Errors
    /// When there is one that can't be understood.
    pub fn of(checkpoint: &Checkpoint) -> Result<Option<Self>, TextError> {
        read_description(checkpoint, TASK)
            .map_err(|reason| TextError::BadDescription { path: checkpoint.path().into(), reason })
    }
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A run directory, or a weights file that `text train` wrote.
    Run(PathBuf),
    /// A public checkpoint.
    Public {
        /// The weights, or a folder with them.
        weights: PathBuf,
        /// A configuration file, or the name of a preset. Without it, the `config.json` beside the weights.
        config: Option<String>,
        /// The tokenizer. Without it, the one in the weights, if they are a GGUF file with one, or else beside them.
        tokenizer: Option<PathBuf>,
    },
}

/// A trained language model, ready for use.
#[derive(Debug)]
pub struct Trained {
    /// The model, prepared for inference.
    pub model: Prepared<LanguageModel>,
    /// What it reads and writes with.
    pub tokenizer: Tokenizer,
    /// How it wants conversations to be written, if its checkpoint says so.
    pub chat: Option<ChatTemplate>,
    /// What it is, if this project trained it.
    pub description: Option<Description>,
    /// The file it was read from.
    pub path: PathBuf,
    /// Where it computes.
    pub device: Device,
}

impl Trained {
    /// Reads a model, with the changes of an adapter in its weights if one is named. Its linear layers and embeddings keep their
    /// weights in `precision`.
    ///
    /// # Errors
    /// When there is none, a part of it is missing or damaged, it is no language model, or the adapter is for another one.
    pub fn open(
        origin: &Origin,
        adapter: Option<&Path>,
        device: &Device,
        precision: Precision,
    ) -> Result<Self, TextError> {
        let Base { model, tokenizer, chat, description, path, .. } = Base::open(origin, device)?;
        let model = match adapter {
            Some(folder) => merge_lora(load_adapter(model, folder, device)?.0),
            None => model,
        };
        let model = model.prepare_inference_in(precision);
        Ok(Self { model, tokenizer, chat, description, path, device: device.clone() })
    }

    /// How the model wants conversations to be written.
    ///
    /// # Errors
    /// When its checkpoint doesn't say so.
    pub fn chat_template(&self) -> Result<&ChatTemplate, TextError> {
        self.chat.as_ref().ok_or_else(|| {
            let reason = "it comes with no chat template (in chat_template.jinja, tokenizer_config.json or a GGUF file): leave \
                          --chat out";
            TextError::Incomplete { path: self.path.clone(), reason: reason.to_owned() }
        })
    }

    /// What a text begins with where nobody says: an empty line, or the first token of a tokenizer that has no line ends.
    pub fn default_prompt(&self) -> String {
        default_prompt(&self.tokenizer)
    }

    /// The tokens of a prompt; of an empty one, the token that texts end with, if there is one.
    ///
    /// # Errors
    /// When there are none, or the tokenizer doesn't know a character.
    pub fn prompt_tokens(&self, prompt: &str) -> Result<Vec<u32>, TextError> {
        prompt_tokens(&self.tokenizer, prompt)
    }
}

/// A language model as it was saved, to use or to train on.
pub(crate) struct Base {
    pub(crate) model: LanguageModel,
    pub(crate) config: LanguageModelConfig,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) chat: Option<ChatTemplate>,
    pub(crate) description: Option<Description>,
    pub(crate) path: PathBuf,
}

impl Base {
    /// # Errors
    /// When there is none, a part of it is missing or damaged, or it is no language model.
    pub(crate) fn open(origin: &Origin, device: &Device) -> Result<Self, TextError> {
        let base = match origin {
            Origin::Run(run_or_file) => Self::of_run(run_or_file, device)?,
            Origin::Public { weights, config, tokenizer } => {
                let (model, config, path) = public_model(weights, config.as_deref(), device)?;
                let model = match model {
                    Model::Gpt2(model) => LanguageModel::Gpt2(model),
                    Model::Llama(model) => LanguageModel::Llama(model),
                    Model::RnnLm(model) => LanguageModel::RnnLm(model),
                    _ => {
                        let reason =
                            "the model doesn't continue texts: GPT-2, Llama and recurrent language models do";
                        return Err(TextError::Incomplete { path, reason: reason.to_owned() });
                    }
                };
                let (tokenizer, chat) = open_tokenizer(weights, tokenizer.as_deref())?;
                Self { model, config: config.try_into()?, tokenizer, chat, description: None, path }
            }
        };
        // A checkpoint may have rows for more tokens than its tokenizer, to round them up.
        let (tokenizer, model) = (base.tokenizer.vocab_size(), base.model.vocab_size());
        if tokenizer > model {
            return Err(TextError::OtherVocabulary { path: base.path, tokenizer, model });
        }
        Ok(base)
    }

    fn of_run(run_or_file: &Path, device: &Device) -> Result<Self, TextError> {
        let path = if run_or_file.is_dir() { RunDir::model_in(run_or_file) } else { run_or_file.to_owned() };
        let checkpoint = Checkpoint::open(&path)?;
        let incomplete =
            |reason: &str| TextError::Incomplete { path: path.clone(), reason: reason.to_owned() };
        let description = Description::of(&checkpoint)?.ok_or_else(|| {
            incomplete("it does not say what it is; for a checkpoint from elsewhere, use --weights")
        })?;
        let tokenizer = checkpoint
            .metadata()
            .get(TOKENIZER)
            .ok_or_else(|| incomplete("the tokenizer is missing in it"))
            .and_then(|json| Ok(Tokenizer::from_json(json)?))?;
        let config = description.config.clone();
        let model = load(config.init(device)?, &checkpoint, &Layout::NATIVE, &LoadOptions::default())?;
        Ok(Self { model, config, tokenizer, chat: None, description: Some(description), path })
    }
}

/// See [`Trained::default_prompt`].
pub(crate) fn default_prompt(tokenizer: &Tokenizer) -> String {
    const LINE: &str = "\n";
    match tokenizer.encode(LINE) {
        Ok(tokens) if !tokens.is_empty() => LINE.to_owned(),
        _ => tokenizer.decode(&[0]).unwrap_or_default(),
    }
}

/// See [`Trained::prompt_tokens`].
pub(crate) fn prompt_tokens(tokenizer: &Tokenizer, prompt: &str) -> Result<Vec<u32>, TextError> {
    let mut tokens = tokenizer.encode(prompt)?;
    if tokens.is_empty() {
        tokens.extend(tokenizer.end_of_text());
    }
    if tokens.is_empty() { Err(TextError::EmptyPrompt) } else { Ok(tokens) }
}

/// The model of a public checkpoint, what it is, and the file it was read from.
pub(crate) fn public_model(
    weights: &Path,
    config: Option<&str>,
    device: &Device,
) -> Result<(Model, ModelConfig, PathBuf), TextError> {
    let beside = folder_of(weights).join("config.json");
    let design = match config {
        Some(name) if !Path::new(name).is_file() => Some(Design::preset(name)?),
        Some(file) => Some(Design::from_file(Path::new(file))?),
        None if beside.is_file() => Some(Design::from_file(&beside)?),
        None => None,
    };
    let checkpoint = Checkpoint::open(weights)?;
    let loaded = Loaded::open(design, &checkpoint, None, &LoadOptions::default(), device)?;
    Ok((loaded.model, loaded.design.config, checkpoint.path().to_path_buf()))
}

/// Where the other files of a public checkpoint are.
pub(crate) fn folder_of(weights: &Path) -> &Path {
    let parent = weights.parent().filter(|parent| !parent.as_os_str().is_empty());
    if weights.is_dir() { weights } else { parent.unwrap_or(Path::new(".")) }
}
