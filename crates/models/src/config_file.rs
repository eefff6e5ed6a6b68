//! Configurations as they stand in files.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{ClassifierConfig, ConfigError, ModelConfig};

impl ModelConfig {
    /// The configuration in `value`: either this project's own, whose key `architecture` says which one it is, or the
    /// content of a Hugging Face `config.json`, which has `model_type`.
    ///
    /// # Errors
    /// If neither key is there or known, a field is unknown, missing or of the wrong type, or no model fits it.
    pub fn from_value(value: Value) -> Result<Self, ConfigError> {
        let config = match value.get("architecture").and_then(Value::as_str).map(str::to_owned) {
            Some(architecture) => Self::from_ours(&architecture, value)?,
            None => Self::from_hugging_face_config(&value).unwrap_or_else(|| {
                Err(match value.get("model_type").and_then(Value::as_str) {
                    Some(model_type) => ConfigError::UnknownArchitecture {
                        key: "model_type",
                        name: model_type.to_owned(),
                        known: Vec::new(),
                    },
                    None => ConfigError::NoArchitecture,
                })
            })?,
        };
        config.validate()?;
        Ok(config)
    }

    fn from_ours(architecture: &str, mut value: Value) -> Result<Self, ConfigError> {
        if ClassifierConfig::ARCHITECTURES.contains(&architecture) {
            return parse(architecture, value).map(Self::Classifier);
        }
        if let Some(fields) = value.as_object_mut() {
            fields.remove("architecture");
        }
        Self::from_parts(architecture, value).unwrap_or_else(|| {
            let known = ClassifierConfig::ARCHITECTURES.iter().chain(Self::ARCHITECTURES);
            Err(ConfigError::UnknownArchitecture {
                key: "architecture",
                name: architecture.to_owned(),
                known: known.copied().collect(),
            })
        })
    }

    /// What [`ModelConfig::from_value`] reads.
    pub fn to_value(&self) -> Value {
        let (architecture, fields) = self.to_parts();
        let mut value = fields.expect("a configuration is plain data");
        if let (Some(architecture), Some(fields)) = (architecture, value.as_object_mut()) {
            fields.insert("architecture".to_owned(), architecture.into());
        }
        value
    }
}

/// The fields of a configuration.
pub(crate) fn parse<T: DeserializeOwned>(architecture: &str, fields: Value) -> Result<T, ConfigError> {
    serde_json::from_value(fields).map_err(|error| ConfigError::Malformed {
        architecture: architecture.to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::presets;

    #[test]
    fn every_preset_survives_a_file() {
        for preset in presets() {
            let config = preset.config();
            assert_eq!(ModelConfig::from_value(config.to_value()), Ok(config), "{}", preset.name);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |value| ModelConfig::from_value(value).expect_err("a wrong configuration").to_string();
        assert_eq!(
            error(json!({ "width": 3 })),
            "the configuration has neither the key `architecture` nor Hugging Face's `model_type`"
        );
        assert!(
            error(json!({ "architecture": "mpl" }))
                .starts_with("there is no architecture `mpl`, only mlp, lenet5,")
        );
        assert_eq!(
            error(json!({ "model_type": "mamba" })),
            "models with `model_type` `mamba` aren't supported"
        );
        assert!(error(json!({ "architecture": "mlp", "heads": 3 })).contains("unknown field `heads`"));
    }
}
