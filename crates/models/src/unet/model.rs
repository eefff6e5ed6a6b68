//! The module.

use burn::module::Module;
use burn::tensor::Tensor;
use libellus_layers::trace::tap;
use libellus_layers::{Conv2d, Dropout, MaxPool2d};

use super::{DoubleConv, Up};

/// A U-Net: a way down that halves the maps level by level, a way up that doubles them again and joins what each level
/// had, and a 1x1 convolution.
///
/// ```
/// use burn::tensor::Tensor;
/// use libellus_models::UNetConfig;
///
/// let device = libellus_backend::testing::device();
/// let model = UNetConfig::tiny().init(&device)?;
/// assert_eq!(model.forward(Tensor::zeros([3, 2, 7, 11], &device)).dims(), [3, 3, 7, 11]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct UNet {
    pub(super) inc: DoubleConv,
    pub(super) pool: MaxPool2d,
    /// From the upper levels to the lower ones.
    pub(super) down: Vec<DoubleConv>,
    pub(super) dropout: Dropout,
    /// From the lower levels to the upper ones.
    pub(super) up: Vec<Up>,
    pub(super) outc: Conv2d,
}

impl UNet {
    /// Pattern of the head's parameter names.
    pub const HEAD: &'static str = "outc.*";

    /// Class logits of each pixel.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, K, H', W']`, with the size that [`UNetConfig::output_size`](super::UNetConfig::output_size) says
    ///
    /// # Panics
    /// If the images don't have the channels of the configuration, or are so small that `output_size` is `None`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        self.outc.forward(self.forward_features(images))
    }

    /// What the head looks at: the maps of the uppermost level, on the way up.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, D, H', W']`, where `D` is the configuration's `width`
    ///
    /// # Panics
    /// As [`UNet::forward`].
    pub fn forward_features(&self, images: Tensor<4>) -> Tensor<4> {
        let mut maps = tap("inc", self.inc.forward(images));
        let mut levels = Vec::with_capacity(self.down.len());
        for (index, down) in self.down.iter().enumerate() {
            levels.push(maps.clone());
            maps = tap(format_args!("down.{index}"), down.forward(self.pool.forward(maps)));
        }
        maps = self.dropout.forward(maps);
        for (index, (up, skip)) in self.up.iter().zip(levels.into_iter().rev()).enumerate() {
            maps = tap(format_args!("up.{index}"), up.forward(maps, skip));
        }
        maps
    }
}
