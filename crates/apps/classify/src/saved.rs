//! The saved model: weights that say what they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use libellus_models::{Classifier, ClassifierConfig, InputSpec, Precision, PrepareInference, Prepared};
use libellus_train::{DESCRIPTION_KEY, RunDir, read_description};
use libellus_weights::{Checkpoint, Layout, LoadOptions, load, save};
use serde::{Deserialize, Serialize};

use crate::error::ClassifyError;

/// What [`Description::task`] says of a classifier.
pub(crate) const TASK: &str = "classify";

/// All that using a classifier takes beside its weights; it travels in the same file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Always `classify`.
    pub task: String,
    /// Version of Libellus that wrote it.
    pub version: String,
    /// Name of the preset.
    pub preset: String,
    /// The architecture, with all its sizes.
    pub config: ClassifierConfig,
    /// How images become the model's input.
    pub input: InputSpec,
    /// The classes, in the order of their labels.
    pub classes: Vec<String>,
    /// The data set it was trained on.
    pub data: String,
    /// How the test images were drawn, where the data set has no given ones: measuring later draws the same ones.
    pub split: TestSplit,
}

/// How test images are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestSplit {
    /// The seed of the run.
    pub seed: u64,
    /// Share of each class.
    pub fraction: f64,
}

impl Description {
    /// Writes `model` with this description, in one atomic step.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, model: &Classifier, path: &Path) -> Result<(), ClassifyError> {
        let description = serde_json::to_string(self)
            .expect("a description is strings and numbers, with strings for its keys");
        Ok(save(model, path, &Layout::NATIVE, &BTreeMap::from([(DESCRIPTION_KEY.to_owned(), description)]))?)
    }

    /// Reads the description of a weights file; `None` when it has none, as a file from elsewhere.
    ///
    /// # Errors
    /// When there is one that can't be understood.
    pub fn of(checkpoint: &Checkpoint) -> Result<Option<Self>, ClassifyError> {
        let bad = |reason: String| ClassifyError::BadDescription { path: checkpoint.path().into(), reason };
        let Some(description) = read_description::<Self>(checkpoint, TASK).map_err(bad)? else {
            return Ok(None);
        };
        if description.classes.len() != description.config.num_classes() {
            return Err(bad(format!(
                "it names {} classes for {} outputs",
                description.classes.len(),
                description.config.num_classes()
            )));
        }
        Ok(Some(description))
    }
}

/// A trained classifier, ready for use.
#[derive(Debug)]
pub struct Trained {
    /// The model, prepared for inference.
    pub model: Prepared<Classifier>,
    /// What it is.
    pub description: Description,
    /// The file it was read from.
    pub path: PathBuf,
    /// Where it computes.
    pub device: Device,
}

impl Trained {
    /// Reads the model of a run directory, or a weights file that `classify train` wrote. Its linear layers and embeddings
    /// keep their weights in `precision`.
    ///
    /// # Errors
    /// When there is none, it is damaged, or it is no classifier.
    pub fn open(run_or_file: &Path, device: &Device, precision: Precision) -> Result<Self, ClassifyError> {
        let path =
            if run_or_file.is_dir() { RunDir::model_in(run_or_file) } else { run_or_file.to_path_buf() };
        let checkpoint = Checkpoint::open(&path)?;
        let Some(description) = Description::of(&checkpoint)? else {
            return Err(ClassifyError::NotAClassifier { path });
        };
        let model = description.config.init(device)?;
        let model = load(model, &checkpoint, &Layout::NATIVE, &LoadOptions::default())?;
        let model = model.prepare_inference_in(precision);
        Ok(Self { model, description, path, device: device.clone() })
    }
}
