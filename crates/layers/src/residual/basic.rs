//! The basic block of residual networks.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{Residual, ResidualConfig, ShapeChange};
use crate::{AfterConv, BatchNorm, BatchNormConfig, Conv2d, conv_before_norm};

/// Two 3x3 convolutions with batch norms beside a shortcut.
///
/// He et al. 2016, figure 5, left. The fields are named as in torchvision's `BasicBlock`.
#[derive(Module, Debug)]
pub struct BasicBlock {
    /// `[C', C, 3, 3]`, carries the stride.
    pub conv1: Conv2d,
    /// Over `C'` channels.
    pub bn1: BatchNorm,
    /// `[C', C', 3, 3]`.
    pub conv2: Conv2d,
    /// Over `C'` channels.
    pub bn2: BatchNorm,
    /// The sum and what follows it.
    pub residual: Residual,
}

impl BasicBlock {
    /// The block's output.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H', W']` with `H' = ceil(H / stride)`, `W' = ceil(W / stride)`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let branch = |x| self.conv1.forward_then(x, AfterConv::norm_relu(&self.bn1));
        self.residual.forward_to(input, branch, (&self.conv2, &self.bn2))
    }
}

/// What the scale of the last batch norm of a residual branch starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GammaInit {
    /// One, as for every other batch norm.
    #[default]
    One,
    /// Zero: each block starts as its shortcut, which eases the training of deep networks (Goyal et al. 2017,
    /// *Accurate, Large Minibatch SGD*, arXiv:1706.02677, section 5.1).
    Zero,
}

impl GammaInit {
    /// The initialiser of `gamma`.
    pub fn initializer(self) -> Initializer {
        match self {
            Self::One => Initializer::Ones,
            Self::Zero => Initializer::Zeros,
        }
    }
}

/// Configuration of [`BasicBlock`].
#[derive(Config, Debug)]
pub struct BasicBlockConfig {
    /// Channels `C` of the input.
    pub channels_in: usize,
    /// Channels `C'` of the output.
    pub channels_out: usize,
    /// Stride of the first convolution.
    #[config(default = 1)]
    pub stride: usize,
    /// What the shortcut does where the shape changes.
    #[config(default = "ShapeChange::Project")]
    pub shape_change: ShapeChange,
    /// Probability of the branch being dropped in training, in `[0, 1)`.
    #[config(default = 0.0)]
    pub drop_path: f64,
    /// What `bn2.gamma` starts with.
    #[config(default = "GammaInit::One")]
    pub last_gamma: GammaInit,
}

impl BasicBlockConfig {
    /// The block.
    ///
    /// # Panics
    /// As [`ResidualConfig::init`].
    pub fn init(&self, device: &Device) -> BasicBlock {
        let [input, output] = [self.channels_in, self.channels_out];
        BasicBlock {
            conv1: conv_before_norm(input, output, 3, self.stride).init(device),
            bn1: BatchNormConfig::new(output).init(device),
            conv2: conv_before_norm(output, output, 3, 1).init(device),
            bn2: BatchNormConfig::new(output).with_gamma(self.last_gamma.initializer()).init(device),
            residual: ResidualConfig::new(input, output)
                .with_stride(self.stride)
                .with_shape_change(self.shape_change)
                .with_drop_path(self.drop_path)
                .init(device),
        }
    }
}
