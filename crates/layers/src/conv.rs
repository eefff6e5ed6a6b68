//! The convolution that a normalisation follows.

use std::f64::consts::SQRT_2;

use burn::nn::conv::Conv2dConfig;
use burn::nn::{Initializer, PaddingConfig2d};

/// A square convolution that a normalisation follows: no bias, padded by `kernel / 2` so that a stride of 1 keeps the
/// size of odd kernels' inputs, and drawn from He's normal distribution over the outgoing connections,
/// `N(0, 2 / (kernel^2 channels_out))`.
///
/// He et al. 2015, *Delving Deep into Rectifiers*, arXiv:1502.01852, section 2.2; the same as torchvision's
/// `kaiming_normal_(mode="fan_out", nonlinearity="relu")`.
pub fn conv_before_norm(
    channels_in: usize,
    channels_out: usize,
    kernel: usize,
    stride: usize,
) -> Conv2dConfig {
    let padding = kernel / 2;
    Conv2dConfig::new([channels_in, channels_out], [kernel; 2])
        .with_stride([stride; 2])
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
        .with_bias(false)
        .with_initializer(Initializer::KaimingNormal { gain: SQRT_2, fan_out_only: true })
}
