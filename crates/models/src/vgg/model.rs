//! The module.

use burn::module::Module;
use burn::tensor::Tensor;
use libellus_layers::trace::tap;
use libellus_layers::{
    Activation, AdaptiveAvgPool2d, AfterConv, BatchNorm, Conv2d, Dropout, Linear, MaxPool2d, Relu,
};

/// A VGG network: five stages of 3x3 convolutions, each ended by a maximum pooling, average pooling to 7x7, two hidden
/// linear layers, and a linear head.
///
/// ```
/// use burn::tensor::Tensor;
/// use libellus_models::VggConfig;
///
/// let device = libellus_backend::testing::device();
/// let model = VggConfig::tiny().init(&device)?;
/// assert_eq!(model.forward(Tensor::zeros([3, 2, 37, 41], &device)).dims(), [3, 5]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct Vgg {
    /// Numbered as in torchvision, where nonlinearities and poolings count too.
    pub(super) features: Vec<Layer>,
    pub(super) avgpool: AdaptiveAvgPool2d,
    pub(super) fc1: Linear,
    pub(super) fc2: Linear,
    pub(super) dropout: Dropout,
    pub(super) head: Linear,
}

impl Vgg {
    /// Pattern of the head's parameter names.
    pub const HEAD: &'static str = "head.*";

    /// The least height and width of an image in pixels: five poolings halve it, and leave one.
    pub const MIN_SIDE: usize = 32;

    /// Class logits of a batch of images.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, K]`
    ///
    /// # Panics
    /// If the images don't have the channels of the configuration, or have less than [`Vgg::MIN_SIDE`] pixels to a side.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward_head(self.forward_features(images))
    }

    /// What the second hidden linear layer puts out.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, D]`
    ///
    /// # Panics
    /// As [`Vgg::forward`].
    pub fn forward_features(&self, images: Tensor<4>) -> Tensor<2> {
        let pooled = self.avgpool.forward(self.forward_maps(images)).flatten(1, 3);
        [&self.fc1, &self.fc2]
            .into_iter()
            .fold(pooled, |x, layer| self.dropout.forward(Activation::Relu.forward(layer.forward(x))))
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
        self.head.forward(features)
    }

    /// The last stage's maps, a thirty-second of the image's height and width, rounded down.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, C', H', W']`
    ///
    /// # Panics
    /// As [`Vgg::forward`].
    pub fn forward_maps(&self, images: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = images.dims();
        assert!(
            height.min(width) >= Self::MIN_SIDE,
            "a VGG network takes images of at least 32x32 pixels, not {height}x{width}"
        );
        let (mut maps, mut layers) = (images, self.features.as_slice());
        loop {
            (maps, layers) = match layers {
                [Layer::Conv(conv), Layer::Norm(norm), Layer::Relu(_), rest @ ..] => {
                    (conv.forward_then(maps, AfterConv::norm_relu(norm)), rest)
                }
                [Layer::Conv(conv), Layer::Relu(_), rest @ ..] => {
                    let after = AfterConv { norm: None, residual: None, activation: Activation::Relu };
                    (conv.forward_then(maps, after), rest)
                }
                [Layer::Pool(pool), rest @ ..] => {
                    let index = self.features.len() - layers.len();
                    (tap(format_args!("features.{index}"), pool.forward(maps)), rest)
                }
                [layer, rest @ ..] => (layer.forward(maps), rest),
                [] => return maps,
            };
        }
    }
}

/// One of the layers that come before the linear ones.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network holds a few dozen, and a box has no burn Module")]
pub enum Layer {
    /// A 3x3 convolution with a bias.
    Conv(Conv2d),
    /// A batch norm.
    Norm(BatchNorm),
    /// The nonlinearity.
    Relu(Relu),
    /// 2x2 maximum pooling.
    Pool(MaxPool2d),
}

impl Layer {
    /// The layer's output.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H', W']`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv(layer) => layer.forward(input),
            Self::Norm(layer) => layer.forward(input),
            Self::Relu(layer) => layer.forward(input),
            Self::Pool(layer) => layer.forward(input),
        }
    }
}
