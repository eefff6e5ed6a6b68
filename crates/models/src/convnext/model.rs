//! The module.

use burn::module::Module;
use burn::tensor::Tensor;
use libellus_layers::trace::{tap, within};
use libellus_layers::{AdaptiveAvgPool2d, AfterConv, Conv2d, LayerNorm, Linear};

use super::ConvNeXtBlock;

/// A ConvNeXt: a convolution of 4x4 patches, four stages of blocks, global average pooling, a layer norm, and a linear
/// head.
///
/// ```
/// use burn::tensor::Tensor;
/// use libellus_models::ConvNeXtConfig;
///
/// let device = libellus_backend::testing::device();
/// let model = ConvNeXtConfig::tiny().init(&device)?;
/// assert_eq!(model.forward(Tensor::zeros([3, 2, 37, 41], &device)).dims(), [3, 5]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct ConvNeXt {
    pub(super) stem: Stem,
    pub(super) stages: Vec<ConvNeXtStage>,
    pub(super) avgpool: AdaptiveAvgPool2d,
    pub(super) norm: LayerNorm,
    pub(super) head: Linear,
}

impl ConvNeXt {
    /// Pattern of the head's parameter names.
    pub const HEAD: &'static str = "head.*";

    /// The least height and width of an image in pixels, of which a stem and three stages leave one.
    pub const MIN_SIDE: usize = 32;

    /// Class logits of a batch of images.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, K]`
    ///
    /// # Panics
    /// If the images don't have the channels of the configuration, or have less than [`ConvNeXt::MIN_SIDE`] pixels to a
    /// side.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward_head(self.forward_features(images))
    }

    /// The last stage's maps, averaged over the pixels and normalised.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, D]`
    ///
    /// # Panics
    /// As [`ConvNeXt::forward`].
    pub fn forward_features(&self, images: Tensor<4>) -> Tensor<2> {
        let [_, _, _, maps] = self.forward_maps(images);
        tap("norm", self.norm.forward(self.avgpool.forward(maps).flatten(1, 3)))
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

    /// The maps after each stage, a quarter to a thirty-second of the image's height and width, rounded down, for
    /// detection and segmentation.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, C', H', W']` each
    ///
    /// # Panics
    /// As [`ConvNeXt::forward`].
    pub fn forward_maps(&self, images: Tensor<4>) -> [Tensor<4>; 4] {
        let [_, _, height, width] = images.dims();
        assert!(
            height.min(width) >= Self::MIN_SIDE,
            "a ConvNeXt takes images of at least 32x32 pixels, not {height}x{width}"
        );
        let mut maps = tap("stem", self.stem.forward(images));
        [0, 1, 2, 3].map(|index| {
            maps = within(format_args!("stages.{index}"), || self.stages[index].forward(maps.clone()));
            maps.clone()
        })
    }
}

/// A 4x4 convolution with a stride of 4, and a layer norm.
#[derive(Module, Debug)]
pub struct Stem {
    pub(super) conv: Conv2d,
    pub(super) norm: LayerNorm,
}

impl Stem {
    /// The normalised patches.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, C', H / 4, W / 4]`, rounded down
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        normalize(&self.norm, self.conv.forward_then(images, AfterConv::NOTHING))
    }
}

/// A layer norm, and a 2x2 convolution with a stride of 2.
#[derive(Module, Debug)]
pub struct Downsample {
    pub(super) norm: LayerNorm,
    pub(super) conv: Conv2d,
}

impl Downsample {
    /// The convolution of the normalised input.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H / 2, W / 2]`, rounded down
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.conv.forward_then(normalize(&self.norm, input), AfterConv::NOTHING)
    }
}

/// Blocks of one width, and what leads to them.
#[derive(Module, Debug)]
pub struct ConvNeXtStage {
    pub(super) downsample: Option<Downsample>,
    pub(super) blocks: Vec<ConvNeXtBlock>,
}

impl ConvNeXtStage {
    /// The stage's output.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H', W']`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let maps = match &self.downsample {
            Some(downsample) => tap("downsample", downsample.forward(input)),
            None => input,
        };
        self.blocks
            .iter()
            .enumerate()
            .fold(maps, |maps, (index, block)| tap(format_args!("blocks.{index}"), block.forward(maps)))
    }
}

/// `[B, C, H, W]` as `[B, H, W, C]`.
pub(super) fn pixels_of(maps: Tensor<4>) -> Tensor<4> {
    maps.permute([0, 2, 3, 1])
}

/// `[B, H, W, C]` as `[B, C, H, W]`.
pub(super) fn maps_of(pixels: Tensor<4>) -> Tensor<4> {
    pixels.permute([0, 3, 1, 2])
}

/// Normalises each pixel over its channels, which come second in `maps`.
fn normalize(norm: &LayerNorm, maps: Tensor<4>) -> Tensor<4> {
    maps_of(norm.forward(pixels_of(maps)))
}
