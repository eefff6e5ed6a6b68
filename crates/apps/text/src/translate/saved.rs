//! The saved model: weights that say what they are, and bring their tokenizers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use libellus_data::Tokenizer;
use libellus_models::{Precision, PrepareInference, Prepared};
use libellus_train::{DESCRIPTION_KEY, RunDir, read_description};
use libellus_weights::{Checkpoint, Layout, LoadOptions, load, save};
use serde::{Deserialize, Serialize};

use super::model::{Translator, TranslatorConfig};
use super::vocabulary::Vocabulary;
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
        let description = serde_json::to_string(self)
            .expect("a description is strings and numbers, with strings for its keys");
        let (source, target) = vocabulary.to_json();
        let mut metadata =
            BTreeMap::from([(DESCRIPTION_KEY.to_owned(), description), (SOURCE.to_owned(), source)]);
        metadata.extend(target.map(|target| (TARGET.to_owned(), target)));
        Ok(save(model, path, &Layout::NATIVE, &metadata)?)
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
        let path: PathBuf =
            if run_or_file.is_dir() { RunDir::model_in(run_or_file) } else { run_or_file.to_owned() };
        let checkpoint = Checkpoint::open(&path)?;
        let incomplete =
            |reason: &str| TextError::Incomplete { path: path.clone(), reason: reason.to_owned() };
        let description: Option<Description> = read_description(&checkpoint, TASK)
            .map_err(|reason| TextError::BadDescription { path: path.clone(), reason })?;
        let description =
            description.ok_or_else(|| incomplete("it is no model of `libellus text translate train`"))?;
        let tokenizer = |key: &str| checkpoint.metadata().get(key).map(|json| Tokenizer::from_json(json));
        let source = tokenizer(SOURCE).ok_or_else(|| incomplete("the tokenizer is missing in it"))??;
        let vocabulary = Vocabulary::new(source, tokenizer(TARGET).transpose()?);
        if vocabulary.len() != description.config.vocab_size() {
            return Err(TextError::OtherVocabulary {
                path,
                tokenizer: vocabulary.len(),
                model: description.config.vocab_size(),
            });
        }
        let model = description.config.init(device)?;
        let model = load(model, &checkpoint, &Layout::NATIVE, &LoadOptions::default())?;
        let model = model.prepare_inference_in(precision);
        Ok(Self { model, vocabulary, description, device: device.clone() })
    }
}
