//! Configuration of residual networks for small images.

use burn::tensor::Device;
use libellus_layers::{
    AdaptiveAvgPool2dConfig, BasicBlock, BasicBlockConfig, BatchNormConfig, GammaInit, LinearConfig,
    ShapeChange, conv_before_norm, linear_decay,
};
use libellus_weights::Layout;
use serde::{Deserialize, Serialize};

use super::{CifarResNet, IDELBAYEV};
use crate::error::{check_probability, check_range, check_width};
use crate::{ClassifierPreset, ConfigError, ImageArchitecture, InputSpec, Preset, PresetModel, named};

/// The deepest one of the paper.
const MAX_DEPTH: usize = 1202;

/// Configuration of a [`CifarResNet`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CifarResNetConfig {
    /// Number of classes `K`.
    #[serde(deserialize_with = "named::num_classes")]
    pub num_classes: usize,
    /// Channels `C` of the images.
    #[serde(deserialize_with = "named::in_channels")]
    pub in_channels: usize,
    /// Layers with weights on the longest path: `6n + 2` with `n` blocks in each stage.
    #[serde(deserialize_with = "named::depth")]
    pub depth: usize,
    /// Channels of the first stage (16 in the paper); the second has twice, the third four times as many.
    #[serde(deserialize_with = "named::width")]
    pub width: usize,
    /// Stride of the first convolution (1 in the paper).
    #[serde(deserialize_with = "named::stem_stride")]
    pub stem_stride: usize,
    /// Probability of the last block being dropped in training, in `[0, 1)`; those before it are dropped in proportion
    /// to their depth.
    #[serde(default, deserialize_with = "named::drop_path")]
    pub drop_path: f64,
    /// What the scale of the last batch norm in each block starts with.
    #[serde(default, deserialize_with = "named::last_gamma")]
    pub last_gamma: GammaInit,
}

impl CifarResNetConfig {
    /// ResNet-20: 269,722 parameters with 10 classes.
    pub fn resnet20(num_classes: usize) -> Self {
        Self::published(num_classes, 20)
    }

    /// ResNet-32: 464,154 parameters with 10 classes.
    pub fn resnet32(num_classes: usize) -> Self {
        Self::published(num_classes, 32)
    }

    /// ResNet-44: 658,586 parameters with 10 classes.
    pub fn resnet44(num_classes: usize) -> Self {
        Self::published(num_classes, 44)
    }

    /// ResNet-56: 853,018 parameters with 10 classes.
    pub fn resnet56(num_classes: usize) -> Self {
        Self::published(num_classes, 56)
    }

    /// ResNet-8, one block in each stage, for grey images of 8x8 pixels: 75,002 parameters with 10 classes.
    pub fn resnet8_digits(num_classes: usize) -> Self {
        Self { in_channels: 1, ..Self::published(num_classes, 8) }
    }

    /// ResNet-8 for grey images of 28x28 pixels on a slow machine, which halves the image in its first convolution.
    pub fn resnet8_mnist(num_classes: usize) -> Self {
        Self { in_channels: 1, stem_stride: 2, ..Self::published(num_classes, 8) }
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self { in_channels: 2, width: 3, ..Self::published(5, 14) }
    }

    fn published(num_classes: usize, depth: usize) -> Self {
        Self {
            num_classes,
            in_channels: 3,
            depth,
            width: 16,
            stem_stride: 1,
            drop_path: 0.0,
            last_gamma: GammaInit::One,
        }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_width("num_classes", self.num_classes)?;
        check_width("in_channels", self.in_channels)?;
        if self.depth < 8 || self.depth > MAX_DEPTH || self.depth % 6 != 2 {
            return Err(ConfigError::Depth { depth: self.depth });
        }
        check_range("width", self.width, 1 << 12)?;
        check_range("stem_stride", self.stem_stride, 16)?;
        check_probability("drop_path", self.drop_path)
    }

    /// The model.
    ///
    /// # Errors
    /// If [`CifarResNetConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<CifarResNet, ConfigError> {
        self.validate()?;
        let blocks = (self.depth - 2) / 6;
        let mut drops = linear_decay(self.drop_path, 3 * blocks);
        let mut channels = self.width;
        let mut stage = |index: usize| -> Vec<BasicBlock> {
            let width = self.width << index;
            (0..blocks)
                .map(|block| {
                    let stride = if index > 0 && block == 0 { 2 } else { 1 };
                    let block = BasicBlockConfig::new(channels, width)
                        .with_stride(stride)
                        .with_shape_change(ShapeChange::Subsample)
                        // The iterator yields as many values as there are blocks in all.
                        .with_drop_path(drops.next().unwrap_or(self.drop_path))
                        .with_last_gamma(self.last_gamma)
                        .init(device);
                    channels = width;
                    block
                })
                .collect()
        };
        Ok(CifarResNet {
            conv1: conv_before_norm(self.in_channels, self.width, 3, self.stem_stride).init(device),
            bn1: BatchNormConfig::new(self.width).init(device),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            avgpool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            fc: LinearConfig::new(4 * self.width, self.num_classes).init(device),
        })
    }
}

impl ImageArchitecture for CifarResNetConfig {
    fn presets() -> Vec<Preset> {
        let preset = |name, summary, input, build| Preset {
            name,
            aliases: &[],
            family: "CIFAR ResNet",
            summary,
            model: PresetModel::Classifier(ClassifierPreset { input, num_classes: 10, build }),
        };
        vec![
            preset(
                "resnet8_digits",
                "three residual blocks, for images of 8x8 pixels",
                InputSpec::digits(),
                |classes, in_channels| Self { in_channels, ..Self::resnet8_digits(classes) }.into(),
            ),
            preset(
                "resnet8_mnist",
                "three residual blocks at half the size, for a slow machine",
                InputSpec::mnist(),
                |classes, in_channels| Self { in_channels, ..Self::resnet8_mnist(classes) }.into(),
            ),
            preset("resnet20", "nine residual blocks", InputSpec::cifar(), |classes, in_channels| {
                Self { in_channels, ..Self::resnet20(classes) }.into()
            }),
            preset("resnet32", "fifteen residual blocks", InputSpec::cifar(), |classes, in_channels| {
                Self { in_channels, ..Self::resnet32(classes) }.into()
            }),
            preset("resnet44", "twenty-one residual blocks", InputSpec::cifar(), |classes, in_channels| {
                Self { in_channels, ..Self::resnet44(classes) }.into()
            }),
            preset("resnet56", "twenty-seven residual blocks", InputSpec::cifar(), |classes, in_channels| {
                Self { in_channels, ..Self::resnet56(classes) }.into()
            }),
        ]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![IDELBAYEV]
    }

    image_fields!(drop_path);

    fn native_size(&self) -> [usize; 2] {
        [32, 32]
    }
}
