//! The block.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use libellus_layers::{
    Activation, AfterConv, Conv2d, DropPath, DropPathConfig, Initializer, LayerNorm, Linear,
};

use super::config::{conv, linear, norm};
use super::model::{maps_of, pixels_of};

/// Units of the hidden layer for each channel.
const EXPANSION: usize = 4;

/// A depthwise 7x7 convolution, a layer norm over the channels, and a multilayer perceptron of two layers at each pixel,
/// scaled channel by channel and added to the input.
///
/// Figure 4, right.
#[derive(Module, Debug)]
pub struct ConvNeXtBlock {
    pub(super) conv: Conv2d,
    norm: LayerNorm,
    pub(super) expand: Linear,
    project: Linear,
    /// `[C, 1, 1]`.
    pub(super) layer_scale: Param<Tensor<3>>,
    pub(super) drop_path: DropPath,
}

impl ConvNeXtBlock {
    pub(super) fn new(channels: usize, layer_scale: f64, drop_path: f64, device: &Device) -> Self {
        Self {
            conv: conv([channels, channels], 7, 1, channels, device),
            norm: norm(channels, device),
            expand: linear(channels, EXPANSION * channels, device),
            project: linear(EXPANSION * channels, channels, device),
            layer_scale: Initializer::Constant { value: layer_scale }.init([channels, 1, 1], device),
            drop_path: DropPathConfig::new(drop_path).init(),
        }
    }

    /// The block's output.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: as `input`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [_, channels, _, _] = input.dims();
        let pixels = pixels_of(self.conv.forward_then(input.clone(), AfterConv::NOTHING));
        let hidden = Activation::Gelu.forward(self.expand.forward(self.norm.forward(pixels)));
        let branch = self.project.forward(hidden) * self.layer_scale.val().reshape([1, 1, 1, channels]);
        maps_of(self.drop_path.forward(branch) + pixels_of(input))
    }
}
