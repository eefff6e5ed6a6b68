//! Configuration of residual networks.

use burn::tensor::Device;
use libellus_layers::{
    AdaptiveAvgPool2dConfig, BasicBlockConfig, BatchNormConfig, GammaInit, LinearConfig, MaxPool2dConfig,
    conv_before_norm, linear_decay,
};
use libellus_weights::Layout;
use serde::{Deserialize, Serialize};

use super::model::{Block, ResNet};
use super::{Bottleneck, TORCHVISION};
use crate::error::{check_probability, check_range, check_width};
use crate::{ClassifierPreset, ConfigError, ImageArchitecture, InputSpec, Preset, PresetModel, named};

/// The most blocks in a stage: four times those of the deepest published network.
const MAX_BLOCKS: usize = 256;

/// The width of the first stage of all published networks, which `width_per_group` is counted in.
const BASE: usize = 64;

fn one() -> usize {
    1
}

fn base() -> usize {
    BASE
}

/// Configuration of a [`ResNet`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// Number of classes `K`.
    #[serde(deserialize_with = "named::num_classes")]
    pub num_classes: usize,
    /// Channels `C` of the images.
    #[serde(deserialize_with = "named::in_channels")]
    pub in_channels: usize,
    /// The kind of all blocks.
    #[serde(deserialize_with = "named::block")]
    pub block: BlockKind,
    /// Blocks in each of the four stages (conv2_x to conv5_x in table 1).
    #[serde(deserialize_with = "named::depths")]
    pub depths: [usize; 4],
    /// Width of the first stage: the channels of the first convolution and, without groups, of the stage's 3x3
    /// convolutions. Each later stage has twice that of the one before.
    #[serde(deserialize_with = "named::width")]
    pub width: usize,
    /// Groups into which the channels of a bottleneck's 3x3 convolution are divided (ResNeXt's cardinality).
    #[serde(default = "one", deserialize_with = "named::groups")]
    pub groups: usize,
    /// Channels in each group of a bottleneck's 3x3 convolution for every 64 of the stage's width, rounded down.
    #[serde(default = "base", deserialize_with = "named::width_per_group")]
    pub width_per_group: usize,
    /// Probability of the last block being dropped in training, in `[0, 1)`; those before it are dropped in proportion
    /// to their depth.
    #[serde(default, deserialize_with = "named::drop_path")]
    pub drop_path: f64,
    /// What the scale of the last batch norm in each block starts with.
    #[serde(default, deserialize_with = "named::last_gamma")]
    pub last_gamma: GammaInit,
}

/// The kind of a residual block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// Two 3x3 convolutions.
    Basic,
    /// A 1x1, a 3x3 and a 1x1 convolution.
    Bottleneck,
}

impl ResNetConfig {
    /// ResNet-18: 11,689,512 parameters with 1000 classes.
    pub fn resnet18(num_classes: usize) -> Self {
        Self::published(num_classes, BlockKind::Basic, [2, 2, 2, 2])
    }

    /// ResNet-34: 21,797,672 parameters with 1000 classes.
    pub fn resnet34(num_classes: usize) -> Self {
        Self::published(num_classes, BlockKind::Basic, [3, 4, 6, 3])
    }

    /// ResNet-50: 25,557,032 parameters with 1000 classes.
    pub fn resnet50(num_classes: usize) -> Self {
        Self::published(num_classes, BlockKind::Bottleneck, [3, 4, 6, 3])
    }

    /// ResNet-101: 44,549,160 parameters with 1000 classes.
    pub fn resnet101(num_classes: usize) -> Self {
        Self::published(num_classes, BlockKind::Bottleneck, [3, 4, 23, 3])
    }

    /// ResNet-152: 60,192,808 parameters with 1000 classes.
    pub fn resnet152(num_classes: usize) -> Self {
        Self::published(num_classes, BlockKind::Bottleneck, [3, 8, 36, 3])
    }

    /// ResNeXt-50, 32 groups of 4 channels: 25,028,904 parameters with 1000 classes.
    pub fn resnext50_32x4d(num_classes: usize) -> Self {
        Self { groups: 32, width_per_group: 4, ..Self::resnet50(num_classes) }
    }

    /// Wide ResNet-50 with twice the channels in the 3x3 convolutions: 68,883,240 parameters with 1000 classes.
    pub fn wide_resnet50_2(num_classes: usize) -> Self {
        Self { width_per_group: 2 * BASE, ..Self::resnet50(num_classes) }
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self {
            num_classes: 5,
            in_channels: 2,
            block: BlockKind::Basic,
            depths: [1, 2, 1, 1],
            width: 3,
            groups: 1,
            width_per_group: BASE,
            drop_path: 0.0,
            last_gamma: GammaInit::One,
        }
    }

    fn published(num_classes: usize, block: BlockKind, depths: [usize; 4]) -> Self {
        Self {
            num_classes,
            in_channels: 3,
            block,
            depths,
            width: 64,
            groups: 1,
            width_per_group: BASE,
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
        self.depths.iter().try_for_each(|&depth| check_range("depths", depth, MAX_BLOCKS))?;
        // The last stage is 32 times as wide, and must still be a possible layer.
        check_range("width", self.width, 1 << 12)?;
        check_range("groups", self.groups, 1 << 12)?;
        check_range("width_per_group", self.width_per_group, 1 << 12)?;
        match self.block {
            BlockKind::Basic if (self.groups, self.width_per_group) != (1, BASE) => {
                return Err(ConfigError::GroupsWithoutBottleneck);
            }
            // The last stage has the most channels, the first may have none.
            BlockKind::Bottleneck => {
                [self.width, 8 * self.width]
                    .into_iter()
                    .try_for_each(|width| check_width("width_per_group", self.inner(width)))?;
            }
            BlockKind::Basic => {}
        }
        check_probability("drop_path", self.drop_path)
    }

    /// The model.
    ///
    /// # Errors
    /// If [`ResNetConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<ResNet, ConfigError> {
        self.validate()?;
        let mut drops = linear_decay(self.drop_path, self.depths.iter().sum());
        let mut channels = self.width;
        let mut stage = |index: usize| -> Vec<Block> {
            let width = self.width << index;
            (0..self.depths[index])
                .map(|block| {
                    let stride = if index > 0 && block == 0 { 2 } else { 1 };
                    // The iterator yields as many values as there are blocks in all.
                    let drop_path = drops.next().unwrap_or(self.drop_path);
                    let block = self.block(channels, width, stride, drop_path, device);
                    channels = self.block.channels_out(width);
                    block
                })
                .collect()
        };
        Ok(ResNet {
            conv1: conv_before_norm(self.in_channels, self.width, 7, 2).init(device),
            bn1: BatchNormConfig::new(self.width).init(device),
            maxpool: MaxPool2dConfig::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]).init(),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            layer4: stage(3),
            avgpool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            fc: LinearConfig::new(self.block.channels_out(8 * self.width), self.num_classes).init(device),
        })
    }

    /// Channels of a bottleneck's 3x3 convolution in a stage of this width.
    fn inner(&self, width: usize) -> usize {
        width * self.width_per_group / BASE * self.groups
    }

    fn block(&self, channels: usize, width: usize, stride: usize, drop_path: f64, device: &Device) -> Block {
        match self.block {
            BlockKind::Basic => Block::Basic(
                BasicBlockConfig::new(channels, width)
                    .with_stride(stride)
                    .with_drop_path(drop_path)
                    .with_last_gamma(self.last_gamma)
                    .init(device),
            ),
            BlockKind::Bottleneck => Block::Bottleneck(Bottleneck::new(
                [channels, self.inner(width), width],
                self.groups,
                stride,
                drop_path,
                self.last_gamma,
                device,
            )),
        }
    }
}

impl BlockKind {
    /// Output channels of a block whose 3x3 convolutions have `width`.
    fn channels_out(self, width: usize) -> usize {
        match self {
            Self::Basic => width,
            Self::Bottleneck => Bottleneck::EXPANSION * width,
        }
    }
}

impl ImageArchitecture for ResNetConfig {
    fn presets() -> Vec<Preset> {
        let preset = |name, summary, build| Preset {
            name,
            aliases: &[],
            family: "ResNet",
            summary,
            model: PresetModel::Classifier(ClassifierPreset {
                input: InputSpec::imagenet(),
                num_classes: 1000,
                build,
            }),
        };
        vec![
            preset("resnet18", "eight basic blocks, as in torchvision", |classes, in_channels| {
                Self { in_channels, ..Self::resnet18(classes) }.into()
            }),
            preset("resnet34", "sixteen basic blocks, as in torchvision", |classes, in_channels| {
                Self { in_channels, ..Self::resnet34(classes) }.into()
            }),
            preset("resnet50", "sixteen bottleneck blocks, as in torchvision", |classes, in_channels| {
                Self { in_channels, ..Self::resnet50(classes) }.into()
            }),
            preset(
                "resnet101",
                "thirty-three bottleneck blocks, as in torchvision",
                |classes, in_channels| Self { in_channels, ..Self::resnet101(classes) }.into(),
            ),
            preset("resnet152", "fifty bottleneck blocks, as in torchvision", |classes, in_channels| {
                Self { in_channels, ..Self::resnet152(classes) }.into()
            }),
            preset(
                "resnext50_32x4d",
                "sixteen bottleneck blocks of 32 groups, as in torchvision",
                |classes, in_channels| Self { in_channels, ..Self::resnext50_32x4d(classes) }.into(),
            ),
            preset(
                "wide_resnet50_2",
                "sixteen bottleneck blocks twice as wide, as in torchvision",
                |classes, in_channels| Self { in_channels, ..Self::wide_resnet50_2(classes) }.into(),
            ),
        ]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![TORCHVISION]
    }

    image_fields!(drop_path);
}
