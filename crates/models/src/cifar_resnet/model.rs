//! The module.

use burn::module::Module;
use burn::tensor::Tensor;
use libellus_layers::trace::tap;
use libellus_layers::{AdaptiveAvgPool2d, AfterConv, BasicBlock, BatchNorm, Conv2d, Linear};

/// A residual network for small images: a 3x3 convolution, three stages of basic blocks, global average pooling, and a
/// linear head.
///
/// ```
/// use burn::tensor::Tensor;
/// use libellus_models::CifarResNetConfig;
///
/// let device = libellus_backend::testing::device();
/// let model = CifarResNetConfig::tiny().init(&device)?;
/// assert_eq!(model.forward(Tensor::zeros([4, 2, 7, 11], &device)).dims(), [4, 5]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct CifarResNet {
    pub(super) conv1: Conv2d,
    pub(super) bn1: BatchNorm,
    pub(super) layer1: Vec<BasicBlock>,
    pub(super) layer2: Vec<BasicBlock>,
    pub(super) layer3: Vec<BasicBlock>,
    pub(super) avgpool: AdaptiveAvgPool2d,
    pub(super) fc: Linear,
}

impl CifarResNet {
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
    /// As [`CifarResNet::forward`].
    pub fn forward_features(&self, images: Tensor<4>) -> Tensor<2> {
        self.avgpool.forward(self.forward_maps(images)).flatten(1, 3)
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

    /// The last stage's maps, a quarter of what the first convolution puts out in height and width, rounded up.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, D, H', W']`
    ///
    /// # Panics
    /// As [`CifarResNet::forward`].
    pub fn forward_maps(&self, images: Tensor<4>) -> Tensor<4> {
        let stem = self.conv1.forward_then(images, AfterConv::norm_relu(&self.bn1));
        let stages = [("layer1", &self.layer1), ("layer2", &self.layer2), ("layer3", &self.layer3)];
        stages.into_iter().fold(stem, |maps, (name, stage)| {
            stage
                .iter()
                .enumerate()
                .fold(maps, |maps, (index, block)| tap(format_args!("{name}.{index}"), block.forward(maps)))
        })
    }
}
