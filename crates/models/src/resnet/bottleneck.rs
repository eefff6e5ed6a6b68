//! The bottleneck block.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use libellus_layers::{
    AfterConv, BatchNorm, BatchNormConfig, Conv2d, GammaInit, Residual, ResidualConfig, conv_before_norm,
};

/// A 1x1 convolution to fewer channels, a 3x3, and a 1x1 to four times as many, each with a batch norm, beside a
/// shortcut.
///
/// He et al. 2016, figure 5, right; the stride is on the 3x3 convolution. With groups it is the block of ResNeXt (Xie et
/// al. 2017, figure 3c).
#[derive(Module, Debug)]
pub struct Bottleneck {
    pub(super) conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Conv2d,
    bn3: BatchNorm,
    pub(super) residual: Residual,
}

impl Bottleneck {
    /// Output channels for each channel of the stage's width.
    pub const EXPANSION: usize = 4;

    /// A block from `channels_in` channels to `EXPANSION` times `width`, with `inner` channels in the 3x3 convolution.
    pub(super) fn new(
        [channels_in, inner, width]: [usize; 3],
        groups: usize,
        stride: usize,
        drop_path: f64,
        last_gamma: GammaInit,
        device: &Device,
    ) -> Self {
        let channels_out = Self::EXPANSION * width;
        Self {
            conv1: conv_before_norm(channels_in, inner, 1, 1).init(device),
            bn1: BatchNormConfig::new(inner).init(device),
            conv2: conv_before_norm(inner, inner, 3, stride).with_groups(groups).init(device),
            bn2: BatchNormConfig::new(inner).init(device),
            conv3: conv_before_norm(inner, channels_out, 1, 1).init(device),
            bn3: BatchNormConfig::new(channels_out).with_gamma(last_gamma.initializer()).init(device),
            residual: ResidualConfig::new(channels_in, channels_out)
                .with_stride(stride)
                .with_drop_path(drop_path)
                .init(device),
        }
    }

    /// The block's output.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H', W']` with `H' = ceil(H / stride)`, `W' = ceil(W / stride)`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let branch = |x| {
            let x = self.conv1.forward_then(x, AfterConv::norm_relu(&self.bn1));
            self.conv2.forward_then(x, AfterConv::norm_relu(&self.bn2))
        };
        self.residual.forward_to(input, branch, (&self.conv3, &self.bn3))
    }
}
