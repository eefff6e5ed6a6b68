//! Configuration of VGG networks.

use burn::tensor::Device;
use libellus_layers::{
    AdaptiveAvgPool2dConfig, BatchNormConfig, DropoutConfig, Initializer, LinearConfig, MaxPool2dConfig,
    Relu, ZeroBias, conv_before_norm,
};
use libellus_weights::Layout;
use serde::{Deserialize, Serialize};

use super::{Layer, TORCHVISION, Vgg};
use crate::error::{check_probability, check_range, check_width};
use crate::{ClassifierPreset, ConfigError, ImageArchitecture, InputSpec, Preset, PresetModel, named};

/// The most convolutions in a stage: four times those of the deepest published network.
const MAX_CONVOLUTIONS: usize = 16;

/// Height and width of the maps that the linear layers see.
const POOLED: usize = 7;

/// Configuration of a [`Vgg`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VggConfig {
    /// Number of classes `K`.
    #[serde(deserialize_with = "named::num_classes")]
    pub num_classes: usize,
    /// Channels `C` of the images.
    #[serde(deserialize_with = "named::in_channels")]
    pub in_channels: usize,
    /// Convolutions in each of the five stages, which a maximum pooling ends.
    #[serde(deserialize_with = "named::depths")]
    pub depths: [usize; 5],
    /// Channels of the first stage (64 in the paper); the next ones have two, four, eight and eight times as many.
    #[serde(deserialize_with = "named::width")]
    pub width: usize,
    /// Whether a batch norm follows each convolution.
    #[serde(default, deserialize_with = "named::batch_norm")]
    pub batch_norm: bool,
    /// Units `D` of the two hidden linear layers (4096 in the paper).
    #[serde(deserialize_with = "named::hidden")]
    pub hidden: usize,
    /// Probability of each hidden unit being dropped in training, in `[0, 1)` (0.5 in the paper).
    #[serde(deserialize_with = "named::dropout")]
    pub dropout: f64,
}

impl VggConfig {
    /// VGG-11, column A: 132,863,336 parameters with 1000 classes.
    pub fn vgg11(num_classes: usize) -> Self {
        Self::published(num_classes, [1, 1, 2, 2, 2])
    }

    /// VGG-13, column B: 133,047,848 parameters with 1000 classes.
    pub fn vgg13(num_classes: usize) -> Self {
        Self::published(num_classes, [2, 2, 2, 2, 2])
    }

    /// VGG-16, column D: 138,357,544 parameters with 1000 classes.
    pub fn vgg16(num_classes: usize) -> Self {
        Self::published(num_classes, [2, 2, 3, 3, 3])
    }

    /// VGG-19, column E: 143,667,240 parameters with 1000 classes.
    pub fn vgg19(num_classes: usize) -> Self {
        Self::published(num_classes, [2, 2, 4, 4, 4])
    }

    /// VGG-11 with batch norms: 132,868,840 parameters with 1000 classes.
    pub fn vgg11_bn(num_classes: usize) -> Self {
        Self { batch_norm: true, ..Self::vgg11(num_classes) }
    }

    /// VGG-13 with batch norms: 133,053,736 parameters with 1000 classes.
    pub fn vgg13_bn(num_classes: usize) -> Self {
        Self { batch_norm: true, ..Self::vgg13(num_classes) }
    }

    /// VGG-16 with batch norms: 138,365,992 parameters with 1000 classes.
    pub fn vgg16_bn(num_classes: usize) -> Self {
        Self { batch_norm: true, ..Self::vgg16(num_classes) }
    }

    /// VGG-19 with batch norms: 143,678,248 parameters with 1000 classes.
    pub fn vgg19_bn(num_classes: usize) -> Self {
        Self { batch_norm: true, ..Self::vgg19(num_classes) }
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self {
            num_classes: 5,
            in_channels: 2,
            depths: [1, 2, 1, 1, 1],
            width: 2,
            batch_norm: false,
            hidden: 11,
            dropout: 0.0,
        }
    }

    fn published(num_classes: usize, depths: [usize; 5]) -> Self {
        Self { num_classes, in_channels: 3, depths, width: 64, batch_norm: false, hidden: 4096, dropout: 0.5 }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_width("num_classes", self.num_classes)?;
        check_width("in_channels", self.in_channels)?;
        self.depths.iter().try_for_each(|&depth| check_range("depths", depth, MAX_CONVOLUTIONS))?;
        // The last stage is eight times as wide, and must still be a possible layer.
        check_range("width", self.width, 1 << 12)?;
        check_range("hidden", self.hidden, 1 << 14)?;
        check_probability("dropout", self.dropout)
    }

    /// The model.
    ///
    /// # Errors
    /// If [`VggConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<Vgg, ConfigError> {
        self.validate()?;
        let mut features = Vec::new();
        let mut channels = self.in_channels;
        for (depth, factor) in self.depths.into_iter().zip([1, 2, 4, 8, 8]) {
            let width = factor * self.width;
            for _ in 0..depth {
                let conv = conv_before_norm(channels, width, 3, 1).with_bias(true).init(device);
                features.push(Layer::Conv(conv.with_zero_bias()));
                if self.batch_norm {
                    features.push(Layer::Norm(BatchNormConfig::new(width).init(device)));
                }
                features.push(Layer::Relu(Relu::new()));
                channels = width;
            }
            features.push(Layer::Pool(MaxPool2dConfig::new([2, 2]).init()));
        }
        let linear = |inputs, outputs| {
            LinearConfig::new(inputs, outputs)
                .with_initializer(Initializer::Normal { mean: 0.0, std: 0.01 })
                .init(device)
                .with_zero_bias()
        };
        Ok(Vgg {
            features,
            avgpool: AdaptiveAvgPool2dConfig::new([POOLED; 2]).init(),
            fc1: linear(channels * POOLED * POOLED, self.hidden),
            fc2: linear(self.hidden, self.hidden),
            dropout: DropoutConfig::new(self.dropout).init(),
            head: linear(self.hidden, self.num_classes),
        })
    }
}

impl ImageArchitecture for VggConfig {
    fn presets() -> Vec<Preset> {
        let preset = |name, summary, build| Preset {
            name,
            aliases: &[],
            family: "VGG",
            summary,
            model: PresetModel::Classifier(ClassifierPreset {
                input: InputSpec::imagenet(),
                num_classes: 1000,
                build,
            }),
        };
        vec![
            preset(
                "vgg11",
                "eight convolutions and three linear layers, as in torchvision",
                |classes, in_channels| Self { in_channels, ..Self::vgg11(classes) }.into(),
            ),
            preset(
                "vgg11_bn",
                "eight convolutions with batch norms and three linear layers, as in torchvision",
                |classes, in_channels| Self { in_channels, ..Self::vgg11_bn(classes) }.into(),
            ),
            preset(
                "vgg13",
                "ten convolutions and three linear layers, as in torchvision",
                |classes, in_channels| Self { in_channels, ..Self::vgg13(classes) }.into(),
            ),
            preset(
                "vgg13_bn",
                "ten convolutions with batch norms and three linear layers, as in torchvision",
                |classes, in_channels| Self { in_channels, ..Self::vgg13_bn(classes) }.into(),
            ),
            preset(
                "vgg16",
                "thirteen convolutions and three linear layers, as in torchvision",
                |classes, in_channels| Self { in_channels, ..Self::vgg16(classes) }.into(),
            ),
            preset(
                "vgg16_bn",
                "thirteen convolutions with batch norms and three linear layers, as in torchvision",
                |classes, in_channels| Self { in_channels, ..Self::vgg16_bn(classes) }.into(),
            ),
            preset(
                "vgg19",
                "sixteen convolutions and three linear layers, as in torchvision",
                |classes, in_channels| Self { in_channels, ..Self::vgg19(classes) }.into(),
            ),
            preset(
                "vgg19_bn",
                "sixteen convolutions with batch norms and three linear layers, as in torchvision",
                |classes, in_channels| Self { in_channels, ..Self::vgg19_bn(classes) }.into(),
            ),
        ]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![TORCHVISION]
    }

    image_fields!(dropout);

    fn min_side(&self) -> usize {
        Vgg::MIN_SIDE
    }
}
