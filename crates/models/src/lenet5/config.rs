//! Configuration of LeNet-5.

use burn::tensor::Device;
use libellus_layers::{Activation, AvgPool2dConfig, Conv2dConfig, LinearConfig, MaxPool2dConfig};
use libellus_weights::Layout;
use serde::{Deserialize, Serialize};

use super::model::Pool;
use super::{LeNet5, PYTORCH};
use crate::error::{check_side, check_width};
use crate::{ClassifierPreset, ConfigError, ImageArchitecture, InputSpec, Preset, PresetModel, named};

/// Configuration of a [`LeNet5`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeNet5Config {
    /// Number of classes `K`.
    #[serde(deserialize_with = "named::num_classes")]
    pub num_classes: usize,
    /// Channels `C` of the images.
    #[serde(deserialize_with = "named::in_channels")]
    pub in_channels: usize,
    /// Height and width of the images, in pixels; at least 12x12. The first convolution pads by 2 if either is below 32.
    #[serde(deserialize_with = "named::input_size")]
    pub input_size: [usize; 2],
    /// The nonlinearity: `relu`, or `tanh` as in the paper.
    #[serde(default, deserialize_with = "named::activation")]
    pub activation: Activation,
    /// What the 2x2 subsampling takes of its pixels.
    #[serde(default, deserialize_with = "named::pooling")]
    pub pooling: Pooling,
}

/// What a subsampling layer takes of the pixels in its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The greatest.
    #[default]
    Max,
    /// The average, as in the paper but for its trainable scale.
    Average,
}

impl LeNet5Config {
    /// The network with ReLU and maximum pooling, for grey images of 28x28 pixels: 61,706 parameters with 10 classes.
    pub fn mnist(num_classes: usize) -> Self {
        Self {
            num_classes,
            in_channels: 1,
            input_size: [28, 28],
            activation: Activation::Relu,
            pooling: Pooling::Max,
        }
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self {
            num_classes: 3,
            in_channels: 2,
            input_size: [13, 17],
            activation: Activation::Tanh,
            pooling: Pooling::Average,
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
        let [height, width] = self.input_size;
        match self.features_size().contains(&0) {
            true => Err(ConfigError::InputTooSmall { height, width, min: 12 }),
            false => Ok(()),
        }
    }

    /// The model.
    ///
    /// # Errors
    /// If [`LeNet5Config::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<LeNet5, ConfigError> {
        self.validate()?;
        let padding = self.padding();
        let [height, width] = self.features_size();
        Ok(LeNet5 {
            conv1: Conv2dConfig::new([self.in_channels, 6], [5, 5]).with_padding([padding; 2]).init(device),
            conv2: Conv2dConfig::new([6, 16], [5, 5]).init(device),
            pool: match self.pooling {
                Pooling::Max => Pool::Max(MaxPool2dConfig::new([2, 2]).init()),
                Pooling::Average => Pool::Average(AvgPool2dConfig::new([2, 2]).init()),
            },
            fc1: LinearConfig::new(16 * height * width, 120).init(device),
            fc2: LinearConfig::new(120, 84).init(device),
            fc3: LinearConfig::new(84, self.num_classes).init(device),
            activation: self.activation,
        })
    }

    /// Pixels by which the first convolution pads on each side.
    fn padding(&self) -> usize {
        if self.input_size.iter().any(|&side| side < 32) { 2 } else { 0 }
    }

    /// Height and width of the maps that reach the first linear layer; 0 where nothing is left.
    fn features_size(&self) -> [usize; 2] {
        let padded = 2 * self.padding();
        self.input_size.map(|side| ((side + padded).saturating_sub(4) / 2).saturating_sub(4) / 2)
    }
}

impl ImageArchitecture for LeNet5Config {
    fn presets() -> Vec<Preset> {
        vec![Preset {
            name: "lenet5",
            aliases: &[],
            family: "LeNet-5",
            summary: "two convolutions and three linear layers, with ReLU and maximum pooling",
            model: PresetModel::Classifier(ClassifierPreset {
                input: InputSpec::mnist(),
                num_classes: 10,
                build: |classes, in_channels| Self { in_channels, ..Self::mnist(classes) }.into(),
            }),
        }]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![PYTORCH]
    }

    image_fields!(input_size);
}
