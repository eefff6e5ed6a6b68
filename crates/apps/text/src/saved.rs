//! The saved model: weights that say what they are, and bring their tokenizer.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use libellus_data::{ChatTemplate, SpecialTokens, Tokenizer};
use libellus_inspect::{Design, Loaded};
use libellus_models::{
    LanguageModel, LanguageModelConfig, Model, ModelConfig, Precision, PrepareInference, Prepared,
};
use libellus_weights::{Checkpoint, LoadOptions};
use serde::{Deserialize, Serialize};

use crate::described::{Described, TOKENIZER, save_described};
use crate::error::TextError;
use crate::gguf::open_tokenizer;
use crate::lora::{load_adapter, merge_lora};

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
    /// How conversations are written, if the model was trained further from one that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatTemplate>,
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
        save_described(model, self, &[(TOKENIZER, tokenizer)], path)
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
        /// A configuration file, or the name of a preset. Without it, what the weights say themselves, or else the
        /// `config.json` beside them.
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
    /// weights in `precision`, in 32-bit floats only once (see [`PrepareInference::prepare_generation_in`]).
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
        let model = model.prepare_generation_in(precision);
        Ok(Self { model, tokenizer, chat, description, path, device: device.clone() })
    }

    /// How the model wants conversations to be written.
    ///
    /// # Errors
    /// When its checkpoint doesn't say so.
    pub fn chat_template(&self) -> Result<&ChatTemplate, TextError> {
        chat_template(self.chat.as_ref(), &self.path, "leave --chat out")
    }

    /// The tokens that end a text: those that its checkpoint names along with a chat template, and the tokenizer's end of text.
    pub fn ends(&self) -> Vec<u32> {
        match &self.chat {
            Some(template) => template.ends(&self.tokenizer),
            None => self.tokenizer.end_of_text().into_iter().collect(),
        }
    }

    /// What a text begins with where nobody says: an empty line, or the first token of a tokenizer that has no line ends.
    pub fn default_prompt(&self) -> String {
        default_prompt(&self.tokenizer)
    }

    /// The tokens of a prompt, with those that the model expects before a text unless a chat template has written them; of an empty one
    /// without any, the token that texts end with, if there is one.
    ///
    /// # Errors
    /// When there are none, or the tokenizer doesn't know a character.
    pub fn prompt_tokens(&self, prompt: &str, special: SpecialTokens) -> Result<Vec<u32>, TextError> {
        prompt_tokens(&self.tokenizer, prompt, special)
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
        const ORIGIN: &str =
            "`libellus text train` makes files that do; for a checkpoint from elsewhere, use --weights";
        let described: Described<Description> = Described::open(run_or_file, TASK, ORIGIN)?;
        let tokenizer = described.tokenizer(TOKENIZER)?;
        let config = described.description.config.clone();
        let model = described.load(config.init(device)?)?;
        let Described { path, description, .. } = described;
        let chat = description.chat.clone().map(|template| template.from_file(&path));
        Ok(Self { model, config, tokenizer, chat, description: Some(description), path })
    }
}

/// The template of the checkpoint at `path`; the error says what to do `instead` where there is none.
pub(crate) fn chat_template<'a>(
    template: Option<&'a ChatTemplate>,
    path: &Path,
    instead: &str,
) -> Result<&'a ChatTemplate, TextError> {
    template.ok_or_else(|| {
        let places = "in chat_template.jinja, tokenizer_config.json or a GGUF file";
        let reason = format!("it comes with no chat template ({places}): {instead}");
        TextError::Incomplete { path: path.to_owned(), reason }
    })
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
pub(crate) fn prompt_tokens(
    tokenizer: &Tokenizer,
    prompt: &str,
    special: SpecialTokens,
) -> Result<Vec<u32>, TextError> {
    let begin = if special == SpecialTokens::Add { tokenizer.begin_of_text() } else { &[] };
    let mut tokens = [begin, &tokenizer.encode(prompt)?].concat();
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
    let named = match config {
        Some(name) if !Path::new(name).is_file() => Some(Design::preset(name)?),
        Some(file) => Some(Design::from_file(Path::new(file))?),
        None => None,
    };
    let checkpoint = Checkpoint::open(weights)?;
    let design = match named {
        Some(design) => Some(design),
        // What is beside a GGUF file often says less than the file, or is another model's.
        None => match Design::of(&checkpoint)? {
            None if beside.is_file() => Some(Design::from_file(&beside)?),
            said => said,
        },
    };
    let loaded = Loaded::open(design, &checkpoint, None, &LoadOptions::default(), device)?;
    Ok((loaded.model, loaded.design.config, checkpoint.path().to_path_buf()))
}

/// Where the other files of a public checkpoint are.
pub(crate) fn folder_of(weights: &Path) -> &Path {
    let parent = weights.parent().filter(|parent| !parent.as_os_str().is_empty());
    if weights.is_dir() { weights } else { parent.unwrap_or(Path::new(".")) }
}
