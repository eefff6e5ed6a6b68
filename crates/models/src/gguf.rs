//! The sizes of a model among the metadata of a GGUF file.
//!
//! Format: `docs/gguf.md` of ggml, section on the keys of architectures.

use std::fmt::Display;
use std::str::FromStr;

use libellus_weights::Checkpoint;

use crate::{ConfigError, ModelConfig};

/// The key that names the architecture. No other format has it.
const ARCHITECTURE: &str = "general.architecture";

impl ModelConfig {
    /// The configuration that the metadata of a GGUF file describe; `None` for any other file.
    ///
    /// # Errors
    /// If the architecture isn't known, a size is missing or wrong, or the model computes what isn't supported here.
    pub fn from_gguf(checkpoint: &Checkpoint) -> Option<Result<Self, ConfigError>> {
        let name = checkpoint.metadata().get(ARCHITECTURE)?;
        Some(Self::of_gguf(checkpoint).unwrap_or_else(|| {
            Err(ConfigError::UnknownArchitecture { key: ARCHITECTURE, name: name.clone(), known: Vec::new() })
        }))
    }
}

/// A GGUF file with a model of a known architecture.
#[derive(Clone, Copy)]
pub(crate) struct GgufConfig<'a> {
    architecture: &'static str,
    pub(crate) checkpoint: &'a Checkpoint,
}

impl<'a> GgufConfig<'a> {
    /// The file, if its model is of this architecture.
    pub(crate) fn of(architecture: &'static str, checkpoint: &'a Checkpoint) -> Option<Self> {
        (checkpoint.metadata().get(ARCHITECTURE)? == architecture)
            .then_some(Self { architecture, checkpoint })
    }

    /// The value of a key that has to be there; the key without the architecture before it.
    pub(crate) fn required<T: FromStr<Err: Display>>(&self, key: &str) -> Result<T, ConfigError> {
        let missing = || self.malformed(format!("`{}.{key}` is missing", self.architecture));
        self.optional(key)?.ok_or_else(missing)
    }

    /// The value of a key, `None` if it isn't there.
    pub(crate) fn optional<T: FromStr<Err: Display>>(&self, key: &str) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let wrong = |error| self.malformed(format!("`{}.{key}` = {text}: {error}", self.architecture));
        text.parse().map(Some).map_err(wrong)
    }

    /// Refuses a key whose value isn't `supported`. One that isn't there is fine.
    pub(crate) fn only(
        &self,
        key: &'static str,
        supported: &'static str,
        is_supported: impl FnOnce(&str) -> bool,
    ) -> Result<(), ConfigError> {
        match self.text(key) {
            Some(text) if !is_supported(text) => {
                Err(ConfigError::Unsupported { field: key, value: text.to_owned(), supported })
            }
            _ => Ok(()),
        }
    }

    /// The number of tokens, which the embedding has.
    pub(crate) fn vocab_size(&self) -> Result<usize, ConfigError> {
        const EMBEDDING: &str = "token_embd.weight";
        let rows = self.checkpoint.info(EMBEDDING).and_then(|info| info.shape.first());
        rows.copied().ok_or_else(|| self.malformed(format!("tensor `{EMBEDDING}` is missing")))
    }

    pub(crate) fn malformed(&self, reason: String) -> ConfigError {
        ConfigError::Malformed { architecture: self.architecture.to_owned(), reason }
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.checkpoint.metadata().get(&format!("{}.{key}", self.architecture)).map(String::as_str)
    }
}
