//! The keys of configurations that other projects write: of a Hugging Face `config.json`, of a GGUF file's metadata.
//!
//! Many of them say nothing about the computation (who saved the file, for which task, how to sample). Those that do are
//! read or, where not every value is supported, checked; the others are passed over.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ConfigError;

/// A configuration in another project's words, or an object in it.
#[derive(Clone, Copy)]
pub(crate) struct ForeignConfig<'a> {
    keys: &'a Value,
    architecture: &'a str,
}

impl<'a> ForeignConfig<'a> {
    /// The keys of a model of this architecture, by which errors call it.
    pub(crate) fn new(architecture: &'a str, keys: &'a Value) -> Self {
        Self { keys, architecture }
    }

    /// A Hugging Face `config.json`, if it is that of a model of type `model_type`.
    pub(crate) fn of_hugging_face(model_type: &'a str, keys: &'a Value) -> Option<Self> {
        (keys.get("model_type")?.as_str()? == model_type).then_some(Self::new(model_type, keys))
    }

    /// The value of a key that has to be there.
    pub(crate) fn required<T: DeserializeOwned>(&self, key: &'static str) -> Result<T, ConfigError> {
        self.optional(key)?.ok_or_else(|| self.malformed(format!("missing field `{key}`")))
    }

    /// The value of a key, `None` if it isn't there or is null.
    pub(crate) fn optional<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        T::deserialize(value).map(Some).map_err(|error| self.malformed(format!("`{key}`: {error}")))
    }

    /// Refuses a key whose value isn't `supported`. One that isn't there, or is null, is fine.
    pub(crate) fn only(
        &self,
        key: &'static str,
        supported: &'static str,
        is_supported: impl FnOnce(&Value) -> bool,
    ) -> Result<(), ConfigError> {
        match self.value(key) {
            Some(value) if !is_supported(value) => {
                Err(ConfigError::Unsupported { field: key, value: value.to_string(), supported })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a key whose value is the opposite of `supported`.
    pub(crate) fn only_flag(&self, key: &'static str, supported: bool) -> Result<(), ConfigError> {
        let name = if supported { "true" } else { "false" };
        self.only(key, name, |value| value.as_bool() == Some(supported))
    }

    /// The object that is the value of a key, `None` if it isn't there or is null.
    pub(crate) fn inner(&self, key: &'static str) -> Result<Option<Self>, ConfigError> {
        match self.value(key) {
            Some(keys) if !keys.is_object() => Err(self.malformed(format!("`{key}` is no object"))),
            keys => Ok(keys.map(|keys| Self { keys, ..*self })),
        }
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.keys.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn malformed(&self, reason: String) -> ConfigError {
        ConfigError::Malformed { architecture: self.architecture.to_owned(), reason }
    }
}
