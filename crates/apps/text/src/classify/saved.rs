//! The saved model: weights that say what they are, and bring their tokenizer.

use std::path::Path;

use burn::tensor::Device;
use libellus_data::Tokenizer;
use libellus_models::{Precision, PrepareInference, Prepared};
use serde::{Deserialize, Serialize};

use super::model::{TextClassifier, TextClassifierConfig};
use crate::described::{Described, TOKENIZER, save_described};
use crate::error::TextError;

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
        save_described(model, self, &[(TOKENIZER, tokenizer)], path)
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
        const ORIGIN: &str = "`libellus text classify train` makes files that do";
        let described: Described<Description> = Described::open(run_or_file, TASK, ORIGIN)?;
        let tokenizer = described.tokenizer(TOKENIZER)?;
        let model = described.load(described.description.config.init(device)?)?;
        let model = model.prepare_inference_in(precision);
        Ok(Self { model, tokenizer, description: described.description, device: device.clone() })
    }
}
