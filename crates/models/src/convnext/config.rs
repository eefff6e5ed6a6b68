//! Configuration of ConvNeXt.

use burn::tensor::Device;
use libellus_layers::{
    AdaptiveAvgPool2dConfig, Conv2d, Conv2dConfig, Initializer, LayerNorm, LayerNormConfig, Linear,
    LinearConfig, ZeroBias,
};
use libellus_weights::Layout;
use serde::{Deserialize, Serialize};

use super::{ConvNeXt, ConvNeXtBlock, ConvNeXtStage, Downsample, Stem, TORCHVISION};
use crate::error::{check_probability, check_range, check_width};
use crate::{ClassifierPreset, ConfigError, ImageArchitecture, InputSpec, Preset, PresetModel, named};

/// The most blocks in a stage: a multiple of those of the deepest published network.
const MAX_BLOCKS: usize = 256;

/// Added to the variance in each layer norm.
const EPSILON: f64 = 1e-6;

/// Configuration of a [`ConvNeXt`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvNeXtConfig {
    /// Number of classes `K`.
    #[serde(deserialize_with = "named::num_classes")]
    pub num_classes: usize,
    /// Channels `C` of the images.
    #[serde(deserialize_with = "named::in_channels")]
    pub in_channels: usize,
    /// Blocks `B` in each of the four stages.
    #[serde(deserialize_with = "named::depths")]
    pub depths: [usize; 4],
    /// Channels of the first stage; each later stage has twice those of the one before.
    #[serde(deserialize_with = "named::width")]
    pub width: usize,
    /// What the scale of each block's channels starts with (1e-6 in the paper).
    #[serde(deserialize_with = "named::layer_scale")]
    pub layer_scale: f64,
    /// Probability of the last block being dropped in training, in `[0, 1)`; the first is never dropped, those between
    /// them in proportion to their depth.
    #[serde(default, deserialize_with = "named::drop_path")]
    pub drop_path: f64,
}

impl ConvNeXtConfig {
    /// ConvNeXt-T: 28,589,128 parameters with 1000 classes.
    pub fn convnext_tiny(num_classes: usize) -> Self {
        Self::published(num_classes, [3, 3, 9, 3], 96, 0.1)
    }

    /// ConvNeXt-S: 50,223,688 parameters with 1000 classes.
    pub fn convnext_small(num_classes: usize) -> Self {
        Self::published(num_classes, [3, 3, 27, 3], 96, 0.4)
    }

    /// ConvNeXt-B: 88,591,464 parameters with 1000 classes.
    pub fn convnext_base(num_classes: usize) -> Self {
        Self::published(num_classes, [3, 3, 27, 3], 128, 0.5)
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self {
            num_classes: 5,
            in_channels: 2,
            depths: [1, 2, 1, 1],
            width: 3,
            layer_scale: 0.5,
            drop_path: 0.0,
        }
    }

    fn published(num_classes: usize, depths: [usize; 4], width: usize, drop_path: f64) -> Self {
        Self { num_classes, in_channels: 3, depths, width, layer_scale: 1e-6, drop_path }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_width("num_classes", self.num_classes)?;
        check_width("in_channels", self.in_channels)?;
        self.depths.iter().try_for_each(|&depth| check_range("depths", depth, MAX_BLOCKS))?;
        // The last stage's hidden layers are 32 times as wide, and must still be possible.
        check_range("width", self.width, 1 << 12)?;
        if !self.layer_scale.is_finite() {
            return Err(ConfigError::NotFinite { field: "layer_scale", value: self.layer_scale });
        }
        check_probability("drop_path", self.drop_path)
    }

    /// The model.
    ///
    /// # Errors
    /// If [`ConvNeXtConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<ConvNeXt, ConfigError> {
        self.validate()?;
        let last = self.depths.iter().sum::<usize>().saturating_sub(1).max(1);
        let mut blocks = 0;
        let mut stage = |index: usize| {
            let channels = self.width << index;
            let block = |block: usize| {
                let drop_path = self.drop_path * (blocks + block) as f64 / last as f64;
                ConvNeXtBlock::new(channels, self.layer_scale, drop_path, device)
            };
            let stage = ConvNeXtStage {
                downsample: (index > 0).then(|| Downsample {
                    norm: norm(channels / 2, device),
                    conv: conv([channels / 2, channels], 2, 2, 1, device),
                }),
                blocks: (0..self.depths[index]).map(block).collect(),
            };
            blocks += self.depths[index];
            stage
        };
        Ok(ConvNeXt {
            stem: Stem {
                conv: conv([self.in_channels, self.width], 4, 4, 1, device),
                norm: norm(self.width, device),
            },
            stages: (0..4).map(&mut stage).collect(),
            avgpool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            norm: norm(8 * self.width, device),
            head: linear(8 * self.width, self.num_classes, device),
        })
    }
}

impl ImageArchitecture for ConvNeXtConfig {
    fn presets() -> Vec<Preset> {
        let preset = |name, summary, resize_to, build| Preset {
            name,
            aliases: &[],
            family: "ConvNeXt",
            summary,
            model: PresetModel::Classifier(ClassifierPreset {
                input: InputSpec { resize_to: Some(resize_to), ..InputSpec::imagenet() },
                num_classes: 1000,
                build,
            }),
        };
        vec![
            preset("convnext_tiny", "eighteen blocks, as in torchvision", 236, |classes, in_channels| {
                Self { in_channels, ..Self::convnext_tiny(classes) }.into()
            }),
            preset("convnext_small", "thirty-six blocks, as in torchvision", 230, |classes, in_channels| {
                Self { in_channels, ..Self::convnext_small(classes) }.into()
            }),
            preset(
                "convnext_base",
                "thirty-six wider blocks, as in torchvision",
                232,
                |classes, in_channels| Self { in_channels, ..Self::convnext_base(classes) }.into(),
            ),
        ]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![TORCHVISION]
    }

    image_fields!(drop_path);

    fn min_side(&self) -> usize {
        ConvNeXt::MIN_SIDE
    }
}

pub(super) fn norm(channels: usize, device: &Device) -> LayerNorm {
    LayerNormConfig::new(channels).with_epsilon(EPSILON).init(device)
}

/// What the weights of all layers are drawn from. The paper truncates it at 2, a hundred standard deviations away.
fn initializer() -> Initializer {
    Initializer::Normal { mean: 0.0, std: 0.02 }
}

/// A convolution that leaves no pixel twice, or, with a stride of 1, is padded to keep the size.
pub(super) fn conv(
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    groups: usize,
    device: &Device,
) -> Conv2d {
    let padding = if stride == 1 { kernel / 2 } else { 0 };
    Conv2dConfig::new(channels, [kernel; 2])
        .with_stride([stride; 2])
        .with_padding([padding; 2])
        .with_groups(groups)
        .with_initializer(initializer())
        .init(device)
        .with_zero_bias()
}

pub(super) fn linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    LinearConfig::new(inputs, outputs).with_initializer(initializer()).init(device).with_zero_bias()
}
