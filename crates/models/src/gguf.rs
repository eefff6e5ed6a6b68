//! The sizes of a model among the metadata of a GGUF file.
//!
//! Format: `docs/gguf.md` of ggml, section on the keys of architectures.

use libellus_weights::Checkpoint;
use serde_json::Value;

use crate::foreign_config::ForeignConfig;
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

/// The keys of an architecture, without its name before them; `None` if the file's model is of another one.
pub(crate) fn keys(architecture: &str, checkpoint: &Checkpoint) -> Option<Value> {
    let metadata = checkpoint.metadata();
    if metadata.get(ARCHITECTURE)? != architecture {
        return None;
    }
    let keys = metadata.iter().filter_map(|(key, text)| {
        let key = key.strip_prefix(architecture)?.strip_prefix('.')?;
        // Numbers and truth values are written out as JSON has them.
        let value =
            serde_json::from_str(text).ok().filter(|value: &Value| value.is_number() || value.is_boolean());
        Some((key.to_owned(), value.unwrap_or_else(|| text.as_str().into())))
    });
    Some(Value::Object(keys.collect()))
}

/// The number of tokens, which the embedding has.
pub(crate) fn vocab_size(keys: &ForeignConfig, checkpoint: &Checkpoint) -> Result<usize, ConfigError> {
    const EMBEDDING: &str = "token_embd.weight";
    let rows = checkpoint.info(EMBEDDING).and_then(|info| info.shape.first());
    rows.copied().ok_or_else(|| keys.malformed(format!("tensor `{EMBEDDING}` is missing")))
}
