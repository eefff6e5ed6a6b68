//! The module.

use burn::module::Module;
use burn::tensor::Tensor;
use libellus_layers::trace::tap;
use libellus_layers::{AdaptiveAvgPool2d, AfterConv, BasicBlock, BatchNorm, Conv2d, Linear, MaxPool2d};

use super::Bottleneck;

/// A residual network: a strided 7x7 convolution, pooling, four stages of blocks, global average pooling, and a linear
/// head. The fields are named as in torchvision.
///
/// ```
/// use burn::tensor::Tensor;
/// use libellus_models::ResNetConfig;
///
/// let device = libellus_backend::testing::device();
/// let model = ResNetConfig::tiny().init(&device)?;
/// assert_eq!(model.forward(Tensor::zeros([4, 2, 37, 41], &device)).dims(), [4, 5]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct ResNet {
    pub(super) conv1: Conv2d,
    pub(super) bn1: BatchNorm,
    pub(super) maxpool: MaxPool2d,
    pub(super) layer1: Vec<Block>,
    pub(super) layer2: Vec<Block>,
    pub(super) layer3: Vec<Block>,
    pub(super) layer4: Vec<Block>,
    pub(super) avgpool: AdaptiveAvgPool2d,
    pub(super) fc: Linear,
}

impl ResNet {
    /// Pattern of the head's parameter names.
    pub const HEAD: &'static str = "fc.*";

    /// Class logits of a batch of images.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, K]`
    ///
    /// # Panics
    /// If the images don't have the channels of the configuration.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward_head(self.forward_features(images))
    }

    /// The last stage's maps, averaged over the pixels.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, D]`
    ///
    /// # Panics
    /// As [`ResNet::forward`].
    pub fn forward_features(&self, images: Tensor<4>) -> Tensor<2> {
        self.avgpool.forward(self.forward_maps(images).layer4).flatten(1, 3)
    }

    /// The logits of features.
    ///
    /// # Shapes
    /// - `features`: `[B, D]`
    /// - output: `[B, K]`
    ///
    /// # Panics
    /// If the features have another width.
    pub fn forward_head(&self, features: Tensor<2>) -> Tensor<2> {
        self.fc.forward(features)
    }

    /// The maps after each stage, for detection and segmentation.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    ///
    /// # Panics
    /// As [`ResNet::forward`].
    pub fn forward_maps(&self, images: Tensor<4>) -> FeatureMaps {
        let stem = self.conv1.forward_then(images, AfterConv::norm_relu(&self.bn1));
        let layer1 = run("layer1", &self.layer1, self.maxpool.forward(stem));
        let layer2 = run("layer2", &self.layer2, layer1.clone());
        let layer3 = run("layer3", &self.layer3, layer2.clone());
        let layer4 = run("layer4", &self.layer4, layer3.clone());
        FeatureMaps { layer1, layer2, layer3, layer4 }
    }
}

/// What the stages of a [`ResNet`] put out, `[B, D, H', W']` each. Sizes are rounded up.
#[derive(Debug, Clone)]
pub struct FeatureMaps {
    /// A quarter of the image's height and width.
    pub layer1: Tensor<4>,
    /// An eighth.
    pub layer2: Tensor<4>,
    /// A sixteenth.
    pub layer3: Tensor<4>,
    /// A thirty-second.
    pub layer4: Tensor<4>,
}

/// A residual block of either kind.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network has one kind only, and a box has no burn Module")]
pub enum Block {
    /// Two 3x3 convolutions.
    Basic(BasicBlock),
    /// A 1x1, a 3x3 and a 1x1 convolution.
    Bottleneck(Bottleneck),
}

impl Block {
    /// The block's output.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H', W']`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Basic(block) => block.forward(input),
            Self::Bottleneck(block) => block.forward(input),
        }
    }
}

fn run(name: &str, stage: &[Block], input: Tensor<4>) -> Tensor<4> {
    stage
        .iter()
        .enumerate()
        .fold(input, |maps, (index, block)| tap(format_args!("{name}.{index}"), block.forward(maps)))
}
