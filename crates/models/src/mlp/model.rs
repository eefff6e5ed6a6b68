//! The module.

use burn::module::Module;
use burn::tensor::Tensor;
use libellus_layers::trace::tap;
use libellus_layers::{Activation, Dropout, Linear};

/// Linear layers with a nonlinearity and dropout behind each but the last.
///
/// ```
/// use burn::tensor::Tensor;
/// use libellus_models::MlpConfig;
///
/// let device = libellus_backend::testing::device();
/// let model = MlpConfig::tiny().init(&device)?;
/// assert_eq!(model.forward(Tensor::zeros([4, 2, 5, 7], &device)).dims(), [4, 3]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct Mlp {
    pub(super) hidden: Vec<Linear>,
    #[module(skip)]
    pub(super) activation: Activation,
    pub(super) dropout: Dropout,
    pub(super) head: Linear,
}

impl Mlp {
    /// Pattern of the head's parameter names.
    pub const HEAD: &'static str = "head.*";

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

    /// What the last hidden layer puts out, or the pixels if there is none.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, D]`
    ///
    /// # Panics
    /// As [`Mlp::forward`].
    pub fn forward_features(&self, images: Tensor<4>) -> Tensor<2> {
        self.hidden.iter().enumerate().fold(images.flatten(1, 3), |features, (index, layer)| {
            let hidden = self.activation.forward(layer.forward(features));
            self.dropout.forward(tap(format_args!("hidden.{index}"), hidden))
        })
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
}
