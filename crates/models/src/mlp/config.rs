//! Configuration of the multilayer perceptron.

use burn::tensor::Device;
use libellus_layers::{Activation, DropoutConfig, LinearConfig};
use libellus_weights::Layout;
use serde::{Deserialize, Serialize};

use super::{Mlp, PYTORCH};
use crate::error::{check_probability, check_side, check_width};
use crate::{ClassifierPreset, ConfigError, ImageArchitecture, InputSpec, Preset, PresetModel, named};

/// Configuration of an [`Mlp`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpConfig {
    /// Number of classes `K`.
    #[serde(deserialize_with = "named::num_classes")]
    pub num_classes: usize,
    /// Channels `C` of the images.
    #[serde(deserialize_with = "named::in_channels")]
    pub in_channels: usize,
    /// Height and width of the images, in pixels.
    #[serde(deserialize_with = "named::input_size")]
    pub input_size: [usize; 2],
    /// Units of each hidden layer, first to last; none makes it a linear classifier.
    #[serde(deserialize_with = "named::hidden")]
    pub hidden: Vec<usize>,
    /// The nonlinearity behind each hidden layer.
    #[serde(default, deserialize_with = "named::activation")]
    pub activation: Activation,
    /// Probability of a hidden unit being dropped in training, in `[0, 1)`.
    #[serde(default, deserialize_with = "named::dropout")]
    pub dropout: f64,
}

impl MlpConfig {
    /// Two hidden layers of 128 units, for grey images of 8x8 pixels: 26,122 parameters with 10 classes.
    pub fn digits(num_classes: usize) -> Self {
        Self {
            num_classes,
            in_channels: 1,
            input_size: [8, 8],
            hidden: vec![128, 128],
            activation: Activation::Relu,
            dropout: 0.0,
        }
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self {
            num_classes: 3,
            in_channels: 2,
            input_size: [5, 7],
            hidden: vec![13, 11],
            activation: Activation::Tanh,
            dropout: 0.5,
        }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_width("num_classes", self.num_classes)?;
        check_width("in_channels", self.in_channels)?;
        self.input_size.iter().try_for_each(|&side| check_side("input_size", side))?;
        self.hidden.iter().try_for_each(|&width| check_width("hidden", width))?;
        check_probability("dropout", self.dropout)
    }

    /// The model.
    ///
    /// # Errors
    /// If [`MlpConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<Mlp, ConfigError> {
        self.validate()?;
        let [height, width] = self.input_size;
        let mut units = self.in_channels * height * width;
        let mut hidden = Vec::with_capacity(self.hidden.len());
        for &next in &self.hidden {
            hidden.push(LinearConfig::new(units, next).init(device));
            units = next;
        }
        Ok(Mlp {
            hidden,
            activation: self.activation,
            dropout: DropoutConfig::new(self.dropout).init(),
            head: LinearConfig::new(units, self.num_classes).init(device),
        })
    }
}

impl ImageArchitecture for MlpConfig {
    fn presets() -> Vec<Preset> {
        vec![Preset {
            name: "mlp",
            aliases: &[],
            family: "MLP",
            summary: "two hidden layers of 128 units",
            model: PresetModel::Classifier(ClassifierPreset {
                input: InputSpec::digits(),
                num_classes: 10,
                build: |classes, in_channels| Self { in_channels, ..Self::digits(classes) }.into(),
            }),
        }]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![PYTORCH]
    }

    image_fields!(dropout, input_size);
}
