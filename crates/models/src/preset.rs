//! Models by name.

use std::sync::LazyLock;

use crate::{ClassifierConfig, ConfigError, InputSpec, ModelConfig};

/// A model with a name.
#[derive(Debug, Clone)]
pub struct Preset {
    /// The published name.
    pub name: &'static str,
    /// Other names of the same model.
    pub aliases: &'static [&'static str],
    /// The architecture that it belongs to, as people write it.
    pub family: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Its configuration.
    pub model: PresetModel,
}

/// How a [`Preset`] is configured.
#[derive(Debug, Clone)]
pub enum PresetModel {
    /// An image classifier, for any number of classes.
    Classifier(ClassifierPreset),
    /// Anything else.
    Other(ModelConfig),
}

/// An image classifier with a name.
#[derive(Debug, Clone)]
pub struct ClassifierPreset {
    /// The images that it was made for.
    pub input: InputSpec,
    /// The number of classes that it was published with.
    pub num_classes: usize,
    /// The configuration for a number of classes and of channels.
    pub build: fn(num_classes: usize, in_channels: usize) -> ClassifierConfig,
}

impl Preset {
    /// The configuration that was published.
    pub fn config(&self) -> ModelConfig {
        match &self.model {
            PresetModel::Classifier(preset) => ModelConfig::Classifier(preset.config()),
            PresetModel::Other(config) => config.clone(),
        }
    }

    /// What there is to know if it is an image classifier.
    ///
    /// # Errors
    /// [`ConfigError::NotAClassifier`] if it isn't.
    pub fn classifier(&self) -> Result<&ClassifierPreset, ConfigError> {
        match &self.model {
            PresetModel::Classifier(preset) => Ok(preset),
            PresetModel::Other(_) => {
                Err(ConfigError::NotAClassifier { name: self.name.to_owned(), family: self.family })
            }
        }
    }

    /// Whether it goes by this name.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

impl ClassifierPreset {
    /// The configuration that was published.
    pub fn config(&self) -> ClassifierConfig {
        (self.build)(self.num_classes, self.input.channels)
    }
}

/// All presets, family by family.
pub fn presets() -> &'static [Preset] {
    static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(ModelConfig::presets);
    &PRESETS
}

/// The preset with this name.
///
/// # Errors
/// [`ConfigError::UnknownPreset`], with the known names nearest to it.
pub fn preset(name: &str) -> Result<&'static Preset, ConfigError> {
    presets()
        .iter()
        .find(|preset| preset.is_called(name))
        .ok_or_else(|| ConfigError::UnknownPreset { name: name.to_owned(), nearest: nearest(name) })
}

/// The three known names nearest to `name`, best first.
fn nearest(name: &str) -> Vec<&'static str> {
    let mut names: Vec<_> = presets()
        .iter()
        .flat_map(|preset| [preset.name].into_iter().chain(preset.aliases.iter().copied()))
        .collect();
    names.sort_by_key(|known| edits(&name.to_lowercase(), &known.to_lowercase()));
    names.truncate(3);
    names
}

/// How many characters must be inserted, deleted or replaced to turn one word into the other (Levenshtein's distance).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // The distances from what was read of `from` to each beginning of `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (read, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = read + 1;
        for (index, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[index + 1];
            row[index + 1] = replaced.min(diagonal + 1).min(row[index] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use libellus_backend::testing::device;
    use libellus_layers::trace::shapes;

    #[test]
    fn names_are_unique_and_found() {
        let mut seen = BTreeSet::new();
        for known in presets() {
            for name in [known.name].iter().chain(known.aliases) {
                assert!(seen.insert(*name), "{name} stands for two models");
                assert!(std::ptr::eq(preset(name).expect("a known name"), known));
            }
        }
    }

    #[test]
    fn every_classifier_builds_for_its_own_input() {
        for (preset, classifier) in
            presets().iter().filter_map(|preset| Some((preset, preset.classifier().ok()?)))
        {
            let input = &classifier.input;
            let config = (classifier.build)(7, input.channels);
            assert_eq!(config.validate(), Ok(()), "{}", preset.name);
            assert_eq!(config.check_input(input), Ok(()), "{}", preset.name);
            assert_eq!([config.num_classes(), config.in_channels()], [7, input.channels]);
            assert_eq!(input.mean.len(), input.channels);
        }
    }

    /// No parameter is drawn and nothing computed: only shapes are followed.
    #[test]
    fn every_model_takes_the_example_of_its_configuration() {
        for preset in presets() {
            let config = preset.config();
            let model = config.init(&device()).expect("a valid preset");
            let (outputs, events) =
                shapes(|| config.run(&model, &config.example().expect("small"))).expect("small");
            let outputs = outputs.unwrap_or_else(|error| panic!("{}: {error}", preset.name));
            assert!(outputs.iter().len() > 0 && !events.is_empty(), "{}", preset.name);
        }
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        let error = preset("Resnet-50").expect_err("no such name");
        assert_eq!(
            error.to_string(),
            "there is no model `Resnet-50`; did you mean resnet50, resnet20, resnet56?"
        );
    }

    #[test]
    fn edits_of_words() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "mlp"), 3);
        assert_eq!(edits("mlp", ""), 3);
        assert_eq!(edits("mlp", "mlp"), 0);
    }
}
