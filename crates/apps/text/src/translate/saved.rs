//! The saved model: weights that say what they are, and bring their tokenizers.

use std::path::Path;

use burn::tensor::Device;
use libellus_models::{Precision, PrepareInference, Prepared};
use serde::{Deserialize, Serialize};

use super::model::{Translator, TranslatorConfig};
use super::vocabulary::Vocabulary;
use crate::described::{Described, save_described};
use crate::error::TextError;

/// The keys of the tokenizers, as the texts of `tokenizer.json` files. Without a target's, both sides share one.
const SOURCE: &str = "source_tokenizer";
const TARGET: &str = "target_tokenizer";
/// What [`Description::task`] says of a model that translates.
pub(super) const TASK: &str = "translate";

/// All that translating takes beside weights and tokenizers; it travels in the same file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Always `translate`.
    pub task: String,
    /// Version of Libellus that wrote it.
    pub version: String,
    /// The architecture, with all its sizes.
    pub config: TranslatorConfig,
    /// What it was trained on.
    pub data: String,
    /// Whether that is a pronouncing dictionary, and translations are the sounds of words.
    pub is_dictionary: bool,
}

impl Description {
    /// Writes `model` with this description and its tokenizers, in one atomic step.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, model: &Translator, vocabulary: &Vocabulary, path: &Path) -> Result<(), TextError> {
        let (source, target) = vocabulary.tokenizers();
        let tokenizers = [Some((SOURCE, source)), target.map(|target| (TARGET, target))];
        let tokenizers: Vec<_> = tokenizers.into_iter().flatten().collect();
        save_described(model, self, &tokenizers, path)
    }
}

/// A trained model that translates, ready for use.
#[derive(Debug)]
pub struct TrainedTranslator {
    /// The model, prepared for inference.
    pub model: Prepared<Translator>,
    /// What it reads and writes with.
    pub vocabulary: Vocabulary,
    /// What it is.
    pub description: Description,
    /// Where it computes.
    pub device: Device,
}

impl TrainedTranslator {
    /// Reads the model of a run directory, or a weights file that `text translate train` wrote.
    ///
    /// # Errors
    /// When there is none, or a part of it is missing or damaged.
    pub fn open(run_or_file: &Path, device: &Device, precision: Precision) -> Result<Self, TextError> {
        const ORIGIN: &str = "`libellus text translate train` makes files that do";
        let described: Described<Description> = Described::open(run_or_file, TASK, ORIGIN)?;
        let vocabulary = Vocabulary::new(described.tokenizer(SOURCE)?, described.optional_tokenizer(TARGET)?);
        let config = &described.description.config;
        if vocabulary.len() != config.vocab_size() {
            let (tokenizer, model) = (vocabulary.len(), config.vocab_size());
            return Err(TextError::OtherVocabulary { path: described.path, tokenizer, model });
        }
        let model = described.load(config.init(device)?)?;
        let model = model.prepare_inference_in(precision);
        Ok(Self { model, vocabulary, description: described.description, device: device.clone() })
    }
}
