//! Finding a configuration.

use std::fs;
use std::path::Path;

use libellus_models::{ModelConfig, preset};
use libellus_weights::{Checkpoint, Layout};
use serde_json::Value;

use crate::InspectError;

/// Under which key of a weights file's metadata a model says what it is, as [`convert`](crate::convert) writes it.
pub(crate) const CONFIG_KEY: &str = "config";

/// Under which key `libellus`' applications describe a trained model; its field `config` is the configuration.
const DESCRIPTION_KEY: &str = "libellus";

/// A model's configuration, and what to call it.
#[derive(Debug, Clone, PartialEq)]
pub struct Design {
    /// The preset's name, or the file that it was read from.
    pub name: String,
    /// The configuration.
    pub config: ModelConfig,
}

impl Design {
    /// The preset with this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn preset(name: &str) -> Result<Self, InspectError> {
        let preset = preset(name)?;
        Ok(Self { name: preset.name.to_owned(), config: preset.config() })
    }

    /// The configuration in a JSON or TOML file: this project's own, with the key `architecture`, or a Hugging Face
    /// `config.json`.
    ///
    /// # Errors
    /// If the file can't be read or parsed, or describes no model.
    pub fn from_file(path: &Path) -> Result<Self, InspectError> {
        let text = fs::read_to_string(path).map_err(|source| InspectError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let value = parse(&text).map_err(|reason| InspectError::Syntax { path: path.to_owned(), reason })?;
        let config = ModelConfig::from_value(value)
            .map_err(|source| InspectError::ConfigFile { path: path.to_owned(), source })?;
        Ok(Self { name: path.display().to_string(), config })
    }

    /// The configuration that a weights file carries in its metadata, if it is one that this project wrote, or a GGUF file.
    ///
    /// # Errors
    /// If what it carries describes no model.
    pub fn of(checkpoint: &Checkpoint) -> Result<Option<Self>, InspectError> {
        let metadata = checkpoint.metadata();
        let own = metadata.get(CONFIG_KEY).and_then(|text| serde_json::from_str::<Value>(text).ok());
        let described = metadata
            .get(DESCRIPTION_KEY)
            .and_then(|text| serde_json::from_str::<Value>(text).ok())
            .and_then(|mut description| Some(description.get_mut("config")?.take()));
        let path = checkpoint.path();
        let config = match own.or(described) {
            Some(value) => Some(ModelConfig::from_value(value)),
            None => ModelConfig::from_gguf(checkpoint),
        };
        let Some(config) = config else { return Ok(None) };
        let config = config.map_err(|source| InspectError::ConfigFile { path: path.to_owned(), source })?;
        Ok(Some(Self { name: path.display().to_string(), config }))
    }

    /// Every layout that the model's checkpoints can have, this project's own first.
    pub fn layouts(&self) -> Vec<Layout> {
        [Layout::NATIVE].into_iter().chain(self.config.layouts()).collect()
    }

    /// The layout with this name.
    ///
    /// # Errors
    /// [`InspectError::UnknownLayout`] with the names that there are.
    pub fn layout(&self, name: &str) -> Result<Layout, InspectError> {
        let layouts = self.layouts();
        let known = layouts.iter().map(|layout| layout.name).collect();
        layouts.into_iter().find(|layout| layout.name == name).ok_or_else(|| InspectError::UnknownLayout {
            name: name.to_owned(),
            architecture: self.name.clone(),
            known,
        })
    }
}

/// JSON if it looks like it, TOML otherwise.
fn parse(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| error.to_string())
    } else {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_syntaxes_say_the_same() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [toml, json] = ["config.toml", "config.json"].map(|name| folder.path().join(name));
        fs::write(&toml, "architecture = \"cifar_resnet\"\nnum_classes = 7\nin_channels = 2\ndepth = 14\nwidth = 3\nstem_stride = 1\n")
            .expect("a writable folder");
        fs::write(
            &json,
            r#"{"architecture": "cifar_resnet", "num_classes": 7, "in_channels": 2, "depth": 14, "width": 3, "stem_stride": 1}"#,
        )
        .expect("a writable folder");
        let [toml, json] = [toml, json].map(|path| Design::from_file(&path).expect("a configuration").config);
        assert_eq!(toml, json);
    }

    #[test]
    fn what_is_wrong_is_named_with_the_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("config.json");
        for (text, says) in [
            ("{", "is neither JSON nor TOML"),
            ("{}", "neither the key `architecture` nor"),
            (r#"{"architecture": "mlp", "num_classes": -1}"#, "`num_classes`"),
            (
                r#"{"architecture": "cifar_resnet", "num_classes": 7, "in_channels": 2, "depth": 15, "width": 3, "stem_stride": 1}"#,
                "`depth` must be 6n + 2",
            ),
        ] {
            fs::write(&path, text).expect("a writable folder");
            let error = Design::from_file(&path).expect_err(text).to_string();
            assert!(error.contains("config.json") && error.contains(says), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        let error =
            Design::preset("resnet18").expect("a preset").layout("timm2").expect_err("no such layout");
        assert_eq!(error.to_string(), "there is no layout `timm2` for resnet18, only native, torchvision");
    }
}
