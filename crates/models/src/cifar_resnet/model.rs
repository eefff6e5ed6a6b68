//! The module.

use burn::module::Module;
use burn::tensor::Tensor;
use libellus_layers::{Activation, AdaptiveAvgPool2d, BasicBlock, BatchNorm, Conv2d, Linear};

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
        self.fc.forward(self.forward_features(images))
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

    /// The last stage's maps, a quarter of what the first convolution puts out in height and width, rounded up.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, D, H', W']`
    ///
    /// # Panics
    /// As [`CifarResNet::forward`].
    pub fn forward_maps(&self, images: Tensor<4>) -> Tensor<4> {
        let stem = Activation::Relu.forward(self.bn1.forward(self.conv1.forward(images)));
        let blocks = self.layer1.iter().chain(&self.layer2).chain(&self.layer3);
        blocks.fold(stem, |maps, block| block.forward(maps))
    }
}
