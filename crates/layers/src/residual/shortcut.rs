//! The way around a residual branch.

use burn::module::Module;
use burn::nn::Identity;
use burn::tensor::{Device, Tensor, s};
use libellus_kernels::concat_channels;
use serde::{Deserialize, Serialize};

use crate::{Activation, AfterConv, BatchNorm, BatchNormConfig, Conv2d, conv_before_norm};

/// How the input of a residual block reaches its sum.
///
/// He et al. 2016, section 3.3, options A and B.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network holds a few dozen, and a box has no burn Module")]
pub enum Shortcut {
    /// As it is.
    Identity(Identity),
    /// Through a strided 1x1 convolution and a batch norm (option B).
    Projection(Projection),
    /// Every `stride`-th pixel, with channels of zeros added (option A). It has no parameters.
    Subsample(Subsample),
}

/// What a [`Shortcut`] does where the branch changes the shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShapeChange {
    /// [`Shortcut::Projection`], option B of the paper.
    Project,
    /// [`Shortcut::Subsample`], option A of the paper.
    Subsample,
}

impl Shortcut {
    /// An identity if the stride is 1 and the channels stay, else what `shape_change` says.
    ///
    /// # Panics
    /// If channels would have to be subsampled to fewer.
    pub fn new(
        channels_in: usize,
        channels_out: usize,
        stride: usize,
        shape_change: ShapeChange,
        device: &Device,
    ) -> Self {
        if stride == 1 && channels_in == channels_out {
            return Self::Identity(Identity::new());
        }
        match shape_change {
            ShapeChange::Project => Self::Projection(Projection {
                conv: conv_before_norm(channels_in, channels_out, 1, stride).init(device),
                norm: BatchNormConfig::new(channels_out).init(device),
            }),
            ShapeChange::Subsample => Self::Subsample(Subsample::new(channels_in, channels_out, stride)),
        }
    }

    /// Brings the block's input to the shape of the branch's output.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H', W']`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Identity(identity) => identity.forward(input),
            Self::Projection(projection) => projection.forward(input),
            Self::Subsample(subsample) => subsample.forward(input),
        }
    }
}

/// A strided 1x1 convolution and a batch norm.
#[derive(Module, Debug)]
pub struct Projection {
    /// `[C', C, 1, 1]`, no bias.
    pub conv: Conv2d,
    /// Over `C'` channels.
    pub norm: BatchNorm,
}

impl Projection {
    /// The normalised convolution of the input.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H', W']`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let norm = Some(&self.norm);
        self.conv.forward_then(input, AfterConv { norm, residual: None, activation: Activation::Identity })
    }
}

/// Every `stride`-th pixel in both directions, and zeros for the channels that the input lacks.
///
/// The paper does not say where the zeros go. Here the input's channels are in the middle, with one zero channel more
/// behind than before them if the difference is odd, as in the reimplementation that published the parameter counts of
/// section 4.2 (Y. Idelbayev, *pytorch_resnet_cifar10*).
#[derive(Module, Debug)]
pub struct Subsample {
    stride: usize,
    zeros_before: usize,
    zeros_behind: usize,
}

impl Subsample {
    /// A shortcut from `channels_in` to `channels_out` channels.
    ///
    /// # Panics
    /// If `channels_out` is less than `channels_in`.
    pub fn new(channels_in: usize, channels_out: usize, stride: usize) -> Self {
        assert!(
            channels_out >= channels_in,
            "a parameter-free shortcut can't lead from {channels_in} to {channels_out} channels"
        );
        let zeros_before = (channels_out - channels_in) / 2;
        Self { stride, zeros_before, zeros_behind: channels_out - channels_in - zeros_before }
    }

    /// The kept pixels, between the added channels.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H', W']`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let stride = self.stride as isize;
        let pixels = match stride {
            1 => input,
            _ => input.slice(s![.., .., ..;stride, ..;stride]),
        };
        let [batch, _, height, width] = pixels.dims();
        let options = (&pixels.device(), pixels.dtype());
        let zeros =
            |channels| (channels > 0).then(|| Tensor::zeros([batch, channels, height, width], options));
        let maps = [zeros(self.zeros_before), Some(pixels), zeros(self.zeros_behind)];
        concat_channels(maps.into_iter().flatten().collect())
    }
}
