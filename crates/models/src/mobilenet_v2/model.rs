//! The module.

use burn::module::Module;
use burn::tensor::Tensor;
use libellus_layers::trace::tap;
use libellus_layers::{AdaptiveAvgPool2d, ConvNorm, Dropout, InvertedResidual, Linear};

/// MobileNetV2: a strided 3x3 convolution, inverted residual blocks, a 1x1 convolution, global average pooling, and a
/// linear head.
///
/// ```
/// use burn::tensor::Tensor;
/// use libellus_models::MobileNetV2Config;
///
/// let device = libellus_backend::testing::device();
/// let model = MobileNetV2Config::tiny().init(&device)?;
/// assert_eq!(model.forward(Tensor::zeros([3, 2, 37, 41], &device)).dims(), [3, 5]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct MobileNetV2 {
    /// Numbered as in torchvision.
    pub(super) features: Vec<Layer>,
    pub(super) avgpool: AdaptiveAvgPool2d,
    pub(super) dropout: Dropout,
    pub(super) classifier: Linear,
}

impl MobileNetV2 {
    /// Pattern of the head's parameter names.
    pub const HEAD: &'static str = "classifier.*";

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

    /// The last maps, averaged over the pixels.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, D]`
    ///
    /// # Panics
    /// As [`MobileNetV2::forward`].
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
        self.classifier.forward(self.dropout.forward(features))
    }

    /// The maps of the last convolution, in published networks a thirty-second of the image's height and width, rounded
    /// up.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, D, H', W']`
    ///
    /// # Panics
    /// As [`MobileNetV2::forward`].
    pub fn forward_maps(&self, images: Tensor<4>) -> Tensor<4> {
        self.features
            .iter()
            .enumerate()
            .fold(images, |maps, (index, layer)| tap(format_args!("features.{index}"), layer.forward(maps)))
    }
}

/// A part of a [`MobileNetV2`].
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network holds a few dozen, and a box has no burn Module")]
pub enum Layer {
    /// The first or the last convolution.
    ConvNorm(ConvNorm),
    /// What is between them.
    Block(InvertedResidual),
}

impl Layer {
    /// The part's output.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H', W']`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        match self {
            Self::ConvNorm(layer) => layer.forward(input),
            Self::Block(block) => block.forward(input),
        }
    }
}
