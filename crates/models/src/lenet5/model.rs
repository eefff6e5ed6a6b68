//! The module.

use burn::module::Module;
use burn::tensor::Tensor;
use libellus_layers::{Activation, AvgPool2d, Conv2d, Linear, MaxPool2d};

/// LeNet-5 with a linear output layer.
///
/// ```
/// use burn::tensor::Tensor;
/// use libellus_models::LeNet5Config;
///
/// let device = libellus_backend::testing::device();
/// let model = LeNet5Config::tiny().init(&device)?;
/// assert_eq!(model.forward(Tensor::zeros([4, 2, 13, 17], &device)).dims(), [4, 3]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct LeNet5 {
    pub(super) conv1: Conv2d,
    pub(super) conv2: Conv2d,
    pub(super) pool: Pool,
    pub(super) fc1: Linear,
    pub(super) fc2: Linear,
    pub(super) fc3: Linear,
    #[module(skip)]
    pub(super) activation: Activation,
}

/// The subsampling of [`LeNet5`], the same at both places.
#[derive(Module, Debug)]
pub(super) enum Pool {
    /// The greatest pixel of each window.
    Max(MaxPool2d),
    /// The average pixel of each window.
    Average(AvgPool2d),
}

impl LeNet5 {
    /// Pattern of the head's parameter names.
    pub const HEAD: &'static str = "fc3.*";

    /// Class logits of a batch of images.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, K]`
    ///
    /// # Panics
    /// If the images don't have the channels and the size of the configuration.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward_head(self.forward_features(images))
    }

    /// What the last hidden layer (F6 in the paper) puts out.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, 84]`
    ///
    /// # Panics
    /// As [`LeNet5::forward`].
    pub fn forward_features(&self, images: Tensor<4>) -> Tensor<2> {
        let maps = self.forward_maps(images).flatten(1, 3);
        let hidden = self.activation.forward(self.fc1.forward(maps));
        self.activation.forward(self.fc2.forward(hidden))
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
        self.fc3.forward(features)
    }

    /// The maps after the second subsampling (S4 in the paper), `[B, 16, H', W']`.
    pub(super) fn forward_maps(&self, images: Tensor<4>) -> Tensor<4> {
        let maps = self.pool.forward(self.activation.forward(self.conv1.forward(images)));
        self.pool.forward(self.activation.forward(self.conv2.forward(maps)))
    }
}

impl Pool {
    fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Max(pool) => pool.forward(maps),
            Self::Average(pool) => pool.forward(maps),
        }
    }
}
