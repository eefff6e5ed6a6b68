//! Configuration of MobileNetV2.

use burn::tensor::Device;
use libellus_layers::{
    Activation, AdaptiveAvgPool2dConfig, ConvNormConfig, DropoutConfig, Initializer, InvertedResidualConfig,
    LinearConfig, ZeroBias,
};
use libellus_weights::Layout;
use serde::{Deserialize, Serialize};

use super::{Layer, MobileNetV2, TORCHVISION};
use crate::error::{check_probability, check_range, check_width};
use crate::{ClassifierPreset, ConfigError, ImageArchitecture, InputSpec, Preset, PresetModel, named};

/// The most stages, and the most blocks in one: a multiple of those of the paper.
const MAX_DEPTH: usize = 64;

/// Configuration of a [`MobileNetV2`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MobileNetV2Config {
    /// Number of classes `K`.
    #[serde(deserialize_with = "named::num_classes")]
    pub num_classes: usize,
    /// Channels `C` of the images.
    #[serde(deserialize_with = "named::in_channels")]
    pub in_channels: usize,
    /// Channels of the first convolution, which halves the image (32 in the paper).
    #[serde(deserialize_with = "named::stem_width")]
    pub stem_width: usize,
    /// The stages of inverted residual blocks.
    #[serde(deserialize_with = "named::stages")]
    pub stages: Vec<MobileNetV2Stage>,
    /// Expansion factor `t` of all blocks but the first, which does not expand (6 in the paper).
    #[serde(deserialize_with = "named::expansion")]
    pub expansion: usize,
    /// Channels `D` of the last convolution (1280 in the paper).
    #[serde(deserialize_with = "named::last_width")]
    pub last_width: usize,
    /// Probability of each feature being dropped in training, in `[0, 1)`.
    #[serde(deserialize_with = "named::dropout")]
    pub dropout: f64,
}

/// Blocks of one width: a row of table 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MobileNetV2Stage {
    /// Output channels `c`.
    #[serde(deserialize_with = "named::channels")]
    pub channels: usize,
    /// Number of blocks `n`.
    #[serde(deserialize_with = "named::blocks")]
    pub blocks: usize,
    /// Stride `s` of the first block.
    #[serde(deserialize_with = "named::stride")]
    pub stride: usize,
}

impl MobileNetV2Config {
    /// MobileNetV2 of width 1: 3,504,872 parameters with 1000 classes.
    pub fn mobilenet_v2(num_classes: usize) -> Self {
        let stages = [(16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)];
        Self {
            num_classes,
            in_channels: 3,
            stem_width: 32,
            stages: stages.map(MobileNetV2Stage::new).to_vec(),
            expansion: 6,
            last_width: 1280,
            dropout: 0.2,
        }
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self {
            num_classes: 5,
            in_channels: 2,
            stem_width: 3,
            stages: [(5, 1, 1), (7, 2, 2), (11, 2, 1)].map(MobileNetV2Stage::new).to_vec(),
            expansion: 3,
            last_width: 13,
            dropout: 0.0,
        }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_width("num_classes", self.num_classes)?;
        check_width("in_channels", self.in_channels)?;
        check_range("stem_width", self.stem_width, 1 << 12)?;
        check_range("stages", self.stages.len(), MAX_DEPTH)?;
        for stage in &self.stages {
            check_range("channels", stage.channels, 1 << 12)?;
            check_range("blocks", stage.blocks, MAX_DEPTH)?;
            check_range("stride", stage.stride, 16)?;
        }
        check_range("expansion", self.expansion, 32)?;
        check_width("last_width", self.last_width)?;
        check_probability("dropout", self.dropout)
    }

    /// The model.
    ///
    /// # Errors
    /// If [`MobileNetV2Config::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<MobileNetV2, ConfigError> {
        self.validate()?;
        let conv_norm = |channels_in, channels_out, kernel, stride| {
            let config = ConvNormConfig::new(channels_in, channels_out, kernel)
                .with_stride(stride)
                .with_activation(Activation::Relu6);
            Layer::ConvNorm(config.init(device))
        };
        let mut features = vec![conv_norm(self.in_channels, self.stem_width, 3, 2)];
        let mut channels = self.stem_width;
        for stage in &self.stages {
            for block in 0..stage.blocks {
                let expansion = if features.len() == 1 { 1 } else { self.expansion };
                let config = InvertedResidualConfig::new(channels, stage.channels, expansion)
                    .with_stride(if block == 0 { stage.stride } else { 1 });
                features.push(Layer::Block(config.init(device)));
                channels = stage.channels;
            }
        }
        features.push(conv_norm(channels, self.last_width, 1, 1));
        Ok(MobileNetV2 {
            features,
            avgpool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            dropout: DropoutConfig::new(self.dropout).init(),
            classifier: LinearConfig::new(self.last_width, self.num_classes)
                .with_initializer(Initializer::Normal { mean: 0.0, std: 0.01 })
                .init(device)
                .with_zero_bias(),
        })
    }
}

impl ImageArchitecture for MobileNetV2Config {
    fn presets() -> Vec<Preset> {
        let preset = |name, summary, build| Preset {
            name,
            aliases: &[],
            family: "MobileNetV2",
            summary,
            model: PresetModel::Classifier(ClassifierPreset {
                input: InputSpec::imagenet(),
                num_classes: 1000,
                build,
            }),
        };
        vec![preset(
            "mobilenet_v2",
            "seventeen inverted residual blocks, as in torchvision",
            |classes, in_channels| Self { in_channels, ..Self::mobilenet_v2(classes) }.into(),
        )]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![TORCHVISION]
    }

    image_fields!(dropout);
}

impl MobileNetV2Stage {
    fn new((channels, blocks, stride): (usize, usize, usize)) -> Self {
        Self { channels, blocks, stride }
    }
}
