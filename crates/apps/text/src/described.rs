//! Weights files that say what they are, and bring their tokenizers.

use std::path::{Path, PathBuf};

use burn::module::Module;
use libellus_data::Tokenizer;
use libellus_train::{DESCRIPTION_KEY, RunDir, read_description};
use libellus_weights::{Checkpoint, Layout, LoadOptions, load, save};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::TextError;

/// The key of a model's only tokenizer.
pub(crate) const TOKENIZER: &str = "tokenizer";

/// Writes `model` with what it is, and its tokenizers by their keys, in one atomic step.
pub(crate) fn save_described<M: Module, D: Serialize>(
    model: &M,
    description: &D,
    tokenizers: &[(&str, &Tokenizer)],
    path: &Path,
) -> Result<(), TextError> {
    let description = serde_json::to_string(description)
        .expect("a description is strings and numbers, with strings for its keys");
    let tokenizers = tokenizers.iter().map(|(key, tokenizer)| ((*key).to_owned(), tokenizer.to_json()));
    let metadata = tokenizers.chain([(DESCRIPTION_KEY.to_owned(), description)]).collect();
    Ok(save(model, path, &Layout::NATIVE, &metadata)?)
}

/// An opened file of [`save_described`].
pub(crate) struct Described<D> {
    pub(crate) path: PathBuf,
    pub(crate) description: D,
    checkpoint: Checkpoint,
}

impl<D: DeserializeOwned> Described<D> {
    /// Opens the weights of a run directory, or a file, that are for `task`; `origin` says, in an error, where such come from.
    pub(crate) fn open(run_or_file: &Path, task: &str, origin: &str) -> Result<Self, TextError> {
        let path = if run_or_file.is_dir() { RunDir::model_in(run_or_file) } else { run_or_file.to_owned() };
        let checkpoint = Checkpoint::open(&path)?;
        let description = read_description(&checkpoint, task)
            .map_err(|reason| TextError::BadDescription { path: path.clone(), reason })?;
        match description {
            Some(description) => Ok(Self { path, description, checkpoint }),
            None => {
                let reason = format!("it does not say what it is; {origin}");
                Err(TextError::Incomplete { path, reason })
            }
        }
    }

    /// The tokenizer of this key.
    pub(crate) fn tokenizer(&self, key: &str) -> Result<Tokenizer, TextError> {
        self.optional_tokenizer(key)?.ok_or_else(|| TextError::Incomplete {
            path: self.path.clone(),
            reason: "the tokenizer is missing in it".to_owned(),
        })
    }

    /// The tokenizer of this key, if there is one.
    pub(crate) fn optional_tokenizer(&self, key: &str) -> Result<Option<Tokenizer>, TextError> {
        Ok(self.checkpoint.metadata().get(key).map(|json| Tokenizer::from_json(json)).transpose()?)
    }

    /// `model` with the weights of the file.
    pub(crate) fn load<M: Module>(&self, model: M) -> Result<M, TextError> {
        Ok(load(model, &self.checkpoint, &Layout::NATIVE, &LoadOptions::default())?)
    }
}
