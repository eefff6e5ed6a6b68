//! From maps to pixels with their channels side by side, and back.

use burn::tensor::Tensor;
use libellus_layers::{Activation, AfterConv, Conv2d};

/// `[B, C, H, W]` as `[B, H, W, C]`.
pub(super) fn pixels_of(maps: Tensor<4>) -> Tensor<4> {
    maps.permute([0, 2, 3, 1])
}

/// `[B, H, W, C]` as `[B, C, H, W]`.
pub(super) fn maps_of(pixels: Tensor<4>) -> Tensor<4> {
    pixels.permute([0, 3, 1, 2])
}

/// The convolution of maps, in evaluation with the channels of a pixel side by side in memory, as the layers after it take them.
pub(super) fn convolve(conv: &Conv2d, maps: Tensor<4>) -> Tensor<4> {
    conv.forward_then(maps, AfterConv { norm: None, residual: None, activation: Activation::Identity })
}
