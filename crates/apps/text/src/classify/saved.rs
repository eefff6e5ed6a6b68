//! The saved model: weights that say what they are, and bring their tokenizer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use libellus_data::Tokenizer;
use libellus_models::{Precision, PrepareInference, Prepared};
use libellus_train::{DESCRIPTION_KEY, RunDir, read_description};
use libellus_weights::{Checkpoint, Layout, LoadOptions, load, save};
use serde::{Deserialize, Serialize};

use super::model::{TextClassifier, TextClassifierConfig};
use crate::error::TextError;
use crate::saved::TOKENIZER;

/// What [`Description::task`] says of a model that classifies texts.
pub(super) const TASK: &str = "text-classify";

/// All that classifying takes beside weights and tokenizer; it travels in the same file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Always `text-classify`.
    pub task: String,
    /// Version of Libellus that wrote it.
    pub version: String,
    /// The architecture, with all its sizes.
    pub config: TextClassifierConfig,
    /// The names of the classes, in the order of the outputs.
    pub classes: Vec<String>,
    /// The most tokens of a text that are read.
    pub longest: usize,
    /// What it was trained on.
    pub data: String,
}

impl Description {
    /// Writes `model` with this description and its tokenizer, in one atomic step.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, model: &TextClassifier, tokenizer: &Tokenizer, path: &Path) -> Result<(), TextError> {
        let description = serde_json::to_string(self)
            .expect("a description is strings and numbers, with strings for its keys");
        let metadata = BTreeMap::from([
            (DESCRIPTION_KEY.to_owned(), description),
            (TOKENIZER.to_owned(), tokenizer.to_json()),
        ]);
        Ok(save(model, path, &Layout::NATIVE, &metadata)?)
    }
}

/// A trained model that classifies texts, ready for use.
#[derive(Debug)]
pub struct TrainedTextClassifier {
    /// The model, prepared for inference.
    pub model: Prepared<TextClassifier>,
    /// What it reads with.
    pub tokenizer: Tokenizer,
    /// What it is.
    pub description: Description,
    /// Where it computes.
    pub device: Device,
}

impl TrainedTextClassifier {
    /// Reads the model of a run directory, or a weights file that `text classify train` wrote.
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
            description.ok_or_else(|| incomplete("it is no model of `libellus text classify train`"))?;
        let tokenizer = checkpoint.metadata().get(TOKENIZER);
        let tokenizer =
            Tokenizer::from_json(tokenizer.ok_or_else(|| incomplete("the tokenizer is missing in it"))?)?;
        let model = description.config.init(device)?;
        let model = load(model, &checkpoint, &Layout::NATIVE, &LoadOptions::default())?;
        let model = model.prepare_inference_in(precision);
        Ok(Self { model, tokenizer, description, device: device.clone() })
    }
}
