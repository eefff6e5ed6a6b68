//! Configuration of EfficientNets.

use burn::tensor::Device;
use libellus_layers::{
    Activation, AdaptiveAvgPool2dConfig, ConvNormConfig, DropoutConfig, Initializer, InvertedResidual,
    InvertedResidualConfig, LinearConfig, ZeroBias,
};
use libellus_weights::Layout;
use serde::{Deserialize, Serialize};

use super::{EfficientNet, Layer, TORCHVISION};
use crate::error::{check_probability, check_range, check_side, check_width};
use crate::{
    ClassifierPreset, ConfigError, ImageArchitecture, InputSpec, Interpolation, Preset, PresetModel, named,
};

/// The most stages, and the most blocks in one: a multiple of those of the deepest published network.
const MAX_DEPTH: usize = 64;

/// Channels of a block's input for each one that its squeeze and excitation squeezes to.
const SQUEEZE: usize = 4;

/// Configuration of an [`EfficientNet`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EfficientNetConfig {
    /// Number of classes `K`.
    #[serde(deserialize_with = "named::num_classes")]
    pub num_classes: usize,
    /// Channels `C` of the images.
    #[serde(deserialize_with = "named::in_channels")]
    pub in_channels: usize,
    /// Height and width in pixels of the images that it is scaled for (224 in B0). Others will do, too.
    #[serde(deserialize_with = "named::resolution")]
    pub resolution: usize,
    /// Channels of the first convolution, which halves the image (32 in B0).
    #[serde(deserialize_with = "named::stem_width")]
    pub stem_width: usize,
    /// The stages of inverted residual blocks.
    #[serde(deserialize_with = "named::stages")]
    pub stages: Vec<EfficientNetStage>,
    /// Expansion factor of all blocks but those of the first stage, which do not expand (6 in the paper).
    #[serde(deserialize_with = "named::expansion")]
    pub expansion: usize,
    /// Channels `D` of the last convolution (1280 in B0).
    #[serde(deserialize_with = "named::last_width")]
    pub last_width: usize,
    /// Probability of each feature being dropped in training, in `[0, 1)`.
    #[serde(deserialize_with = "named::dropout")]
    pub dropout: f64,
    /// Probability of a block being dropped in training, in `[0, 1)`, that the blocks come up to in proportion to their
    /// depth: of `L` blocks the first is never dropped, the last with `(L - 1) / L` of it.
    #[serde(default, deserialize_with = "named::drop_path")]
    pub drop_path: f64,
}

/// Blocks of one width: a row of table 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EfficientNetStage {
    /// Odd height and width of the depthwise kernels.
    #[serde(deserialize_with = "named::kernel")]
    pub kernel: usize,
    /// Stride of the first block.
    #[serde(deserialize_with = "named::stride")]
    pub stride: usize,
    /// Output channels.
    #[serde(deserialize_with = "named::channels")]
    pub channels: usize,
    /// Number of blocks.
    #[serde(deserialize_with = "named::blocks")]
    pub blocks: usize,
}

impl EfficientNetConfig {
    /// EfficientNet-B0: 5,288,548 parameters with 1000 classes.
    pub fn efficientnet_b0(num_classes: usize) -> Self {
        Self::scaled(num_classes, 1.0, 1.0, 224, 0.2)
    }

    /// EfficientNet-B1: 7,794,184 parameters with 1000 classes.
    pub fn efficientnet_b1(num_classes: usize) -> Self {
        Self::scaled(num_classes, 1.0, 1.1, 240, 0.2)
    }

    /// EfficientNet-B2: 9,109,994 parameters with 1000 classes.
    pub fn efficientnet_b2(num_classes: usize) -> Self {
        Self::scaled(num_classes, 1.1, 1.2, 288, 0.3)
    }

    /// EfficientNet-B3: 12,233,232 parameters with 1000 classes.
    pub fn efficientnet_b3(num_classes: usize) -> Self {
        Self::scaled(num_classes, 1.2, 1.4, 300, 0.3)
    }

    /// EfficientNet-B4: 19,341,616 parameters with 1000 classes.
    pub fn efficientnet_b4(num_classes: usize) -> Self {
        Self::scaled(num_classes, 1.4, 1.8, 380, 0.4)
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self {
            num_classes: 5,
            in_channels: 2,
            resolution: 37,
            stem_width: 3,
            stages: [(3, 1, 5, 2), (5, 2, 13, 2), (3, 1, 11, 1)].map(EfficientNetStage::new).to_vec(),
            expansion: 3,
            last_width: 17,
            dropout: 0.0,
            drop_path: 0.0,
        }
    }

    /// B0 with `width` times as many channels and `depth` times as many blocks (section 3.3).
    fn scaled(num_classes: usize, width: f64, depth: f64, resolution: usize, dropout: f64) -> Self {
        let stages = [
            (3, 1, 16, 1),
            (3, 2, 24, 2),
            (5, 2, 40, 2),
            (3, 2, 80, 3),
            (5, 1, 112, 3),
            (5, 2, 192, 4),
            (3, 1, 320, 1),
        ];
        let stages = stages.map(|(kernel, stride, channels, blocks)| EfficientNetStage {
            kernel,
            stride,
            channels: scale_channels(channels, width),
            blocks: (blocks as f64 * depth).ceil() as usize,
        });
        Self {
            num_classes,
            in_channels: 3,
            resolution,
            stem_width: scale_channels(32, width),
            stages: stages.to_vec(),
            expansion: 6,
            last_width: 4 * scale_channels(320, width),
            dropout,
            drop_path: 0.2,
        }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_width("num_classes", self.num_classes)?;
        check_width("in_channels", self.in_channels)?;
        check_side("resolution", self.resolution)?;
        check_range("stem_width", self.stem_width, 1 << 12)?;
        check_range("stages", self.stages.len(), MAX_DEPTH)?;
        for stage in &self.stages {
            check_range("kernel", stage.kernel, 63)?;
            if stage.kernel % 2 == 0 {
                return Err(ConfigError::EvenKernel { kernel: stage.kernel });
            }
            check_range("stride", stage.stride, 16)?;
            check_range("channels", stage.channels, 1 << 12)?;
            check_range("blocks", stage.blocks, MAX_DEPTH)?;
        }
        check_range("expansion", self.expansion, 32)?;
        check_width("last_width", self.last_width)?;
        check_probability("dropout", self.dropout)?;
        check_probability("drop_path", self.drop_path)
    }

    /// The model.
    ///
    /// # Errors
    /// If [`EfficientNetConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<EfficientNet, ConfigError> {
        self.validate()?;
        let conv_norm = |channels_in, channels_out, kernel, stride| {
            let config = ConvNormConfig::new(channels_in, channels_out, kernel)
                .with_stride(stride)
                .with_activation(Activation::Silu);
            Layer::ConvNorm(config.init(device))
        };
        let depth: usize = self.stages.iter().map(|stage| stage.blocks).sum();
        let mut blocks_before = 0;
        let mut features = vec![conv_norm(self.in_channels, self.stem_width, 3, 2)];
        let mut channels = self.stem_width;
        for (index, stage) in self.stages.iter().enumerate() {
            let block = |block: usize| -> InvertedResidual {
                let (channels_in, stride) =
                    if block == 0 { (channels, stage.stride) } else { (stage.channels, 1) };
                let expansion = if index == 0 { 1 } else { self.expansion };
                InvertedResidualConfig::new(channels_in, stage.channels, expansion)
                    .with_kernel(stage.kernel)
                    .with_stride(stride)
                    .with_activation(Activation::Silu)
                    .with_squeezed(Some((channels_in / SQUEEZE).max(1)))
                    .with_drop_path(self.drop_path * (blocks_before + block) as f64 / depth as f64)
                    .init(device)
            };
            features.push(Layer::Stage((0..stage.blocks).map(block).collect()));
            channels = stage.channels;
            blocks_before += stage.blocks;
        }
        features.push(conv_norm(channels, self.last_width, 1, 1));
        let bound = 1.0 / (self.num_classes as f64).sqrt();
        Ok(EfficientNet {
            features,
            avgpool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            dropout: DropoutConfig::new(self.dropout).init(),
            classifier: LinearConfig::new(self.last_width, self.num_classes)
                .with_initializer(Initializer::Uniform { min: -bound, max: bound })
                .init(device)
                .with_zero_bias(),
        })
    }
}

impl ImageArchitecture for EfficientNetConfig {
    fn presets() -> Vec<Preset> {
        let preset = |name, summary, [resize_to, side]: [usize; 2], build| Preset {
            name,
            aliases: &[],
            family: "EfficientNet",
            summary,
            model: PresetModel::Classifier(ClassifierPreset {
                input: InputSpec {
                    height: side,
                    width: side,
                    interpolation: Interpolation::Bicubic,
                    resize_to: Some(resize_to),
                    ..InputSpec::imagenet()
                },
                num_classes: 1000,
                build,
            }),
        };
        vec![
            preset(
                "efficientnet_b0",
                "sixteen inverted residual blocks with squeeze and excitation, as in torchvision",
                [256, 224],
                |classes, in_channels| Self { in_channels, ..Self::efficientnet_b0(classes) }.into(),
            ),
            preset(
                "efficientnet_b1",
                "twenty-three inverted residual blocks with squeeze and excitation, as in torchvision",
                [256, 240],
                |classes, in_channels| Self { in_channels, ..Self::efficientnet_b1(classes) }.into(),
            ),
            preset(
                "efficientnet_b2",
                "twenty-three wider inverted residual blocks with squeeze and excitation, as in torchvision",
                [288, 288],
                |classes, in_channels| Self { in_channels, ..Self::efficientnet_b2(classes) }.into(),
            ),
            preset(
                "efficientnet_b3",
                "twenty-six inverted residual blocks with squeeze and excitation, as in torchvision",
                [320, 300],
                |classes, in_channels| Self { in_channels, ..Self::efficientnet_b3(classes) }.into(),
            ),
            preset(
                "efficientnet_b4",
                "thirty-two inverted residual blocks with squeeze and excitation, as in torchvision",
                [384, 380],
                |classes, in_channels| Self { in_channels, ..Self::efficientnet_b4(classes) }.into(),
            ),
        ]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![TORCHVISION]
    }

    image_fields!(dropout, drop_path);

    fn native_size(&self) -> [usize; 2] {
        [self.resolution; 2]
    }
}

impl EfficientNetStage {
    fn new((kernel, stride, channels, blocks): (usize, usize, usize, usize)) -> Self {
        Self { kernel, stride, channels, blocks }
    }
}

/// The multiple of eight nearest to `channels * factor`; the next one, if it is less than nine tenths of that.
fn scale_channels(channels: usize, factor: f64) -> usize {
    let exact = channels as f64 * factor;
    let nearest = ((exact / 8.0 + 0.5).floor() * 8.0).max(8.0);
    let scaled = if nearest < 0.9 * exact { nearest + 8.0 } else { nearest };
    scaled as usize
}
