//! Residual connections.
//!
//! He et al. 2016, *Deep Residual Learning for Image Recognition*, arXiv:1512.03385, section 3.2.
//! Shapes: `B` batch, `C` channels, `H`/`W` image size; primed where the branch changes them.

mod basic;
mod shortcut;
#[cfg(test)]
mod tests;

pub use basic::{BasicBlock, BasicBlockConfig, GammaInit};
pub use shortcut::{Projection, ShapeChange, Shortcut, Subsample};

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::conv::is_layer_by_layer;
use crate::{Activation, AfterConv, BatchNorm, Conv2d, DropPath, DropPathConfig};

/// The part of a residual block that is the same in every architecture: `y = activation(branch(x) + shortcut(x))`,
/// where stochastic depth may drop the branch.
///
/// It is a field of a block that owns the layers of its branch, so that these keep the names which the architecture
/// gives them:
///
/// ```
/// use burn::module::Module;
/// use burn::tensor::{Device, Tensor};
/// use libellus_layers::{Conv2d, Residual, ResidualConfig, conv_before_norm};
///
/// #[derive(Module, Debug)]
/// struct Block {
///     conv: Conv2d,
///     residual: Residual,
/// }
///
/// impl Block {
///     fn new(device: &Device) -> Self {
///         Self {
///             conv: conv_before_norm(3, 5, 3, 2).init(device),
///             residual: ResidualConfig::new(3, 5).with_stride(2).init(device),
///         }
///     }
///
///     fn forward(&self, images: Tensor<4>) -> Tensor<4> {
///         self.residual.forward(images, |x| self.conv.forward(x))
///     }
/// }
///
/// let device = libellus_backend::testing::device();
/// let features = Block::new(&device).forward(Tensor::zeros([2, 3, 7, 7], &device));
/// assert_eq!(features.dims(), [2, 5, 4, 4]);
/// ```
#[derive(Module, Debug)]
pub struct Residual {
    /// The way around the branch.
    pub shortcut: Shortcut,
    /// Drops the branch at random in training.
    pub drop_path: DropPath,
    /// Applied to the sum.
    #[module(skip)]
    pub activation: Activation,
}

impl Residual {
    /// The activated sum of the branch and the shortcut.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output, and what `branch` returns: `[B, C', H', W']`
    ///
    /// # Panics
    /// If the branch does not return the shape that the shortcut was configured for.
    pub fn forward(&self, input: Tensor<4>, branch: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
        let residual = self.drop_path.forward(branch(input.clone()));
        let kept = self.shortcut.forward(input);
        assert_eq!(
            residual.dims(),
            kept.dims(),
            "the branch and the shortcut of a residual block must have one shape"
        );
        self.activation.forward(residual + kept)
    }

    /// The same for a branch that ends with a convolution and its norm, which add the shortcut themselves in evaluation.
    ///
    /// # Shapes
    /// As for [`Residual::forward`].
    ///
    /// # Panics
    /// As [`Residual::forward`].
    pub fn forward_to(
        &self,
        input: Tensor<4>,
        branch: impl FnOnce(Tensor<4>) -> Tensor<4>,
        (conv, norm): (&Conv2d, &BatchNorm),
    ) -> Tensor<4> {
        if is_layer_by_layer(&input) {
            return self.forward(input, |x| norm.forward(conv.forward(branch(x))));
        }
        let kept = self.shortcut.forward(input.clone());
        let after = AfterConv { norm: Some(norm), residual: Some(kept), activation: self.activation };
        conv.forward_then(branch(input), after)
    }
}

/// Configuration of [`Residual`]. The channels, the stride and the drop probability are to be checked by the
/// architecture that computes them.
#[derive(Config, Debug)]
pub struct ResidualConfig {
    /// Channels `C` of the input.
    pub channels_in: usize,
    /// Channels `C'` of the branch's output.
    pub channels_out: usize,
    /// Factor by which the branch reduces height and width, rounding up.
    #[config(default = 1)]
    pub stride: usize,
    /// What the shortcut does where the branch changes the shape.
    #[config(default = "ShapeChange::Project")]
    pub shape_change: ShapeChange,
    /// Probability of the branch being dropped in training, in `[0, 1)`.
    #[config(default = 0.0)]
    pub drop_path: f64,
    /// Applied to the sum.
    #[config(default = "Activation::Relu")]
    pub activation: Activation,
}

impl ResidualConfig {
    /// The connection: an identity where the shape stays, else what [`ResidualConfig::shape_change`] says.
    ///
    /// # Panics
    /// If the drop probability is not in `[0, 1)`, or if channels would have to be subsampled to fewer.
    pub fn init(&self, device: &Device) -> Residual {
        let [channels_in, channels_out] = [self.channels_in, self.channels_out];
        Residual {
            shortcut: Shortcut::new(channels_in, channels_out, self.stride, self.shape_change, device),
            drop_path: DropPathConfig::new(self.drop_path).init(),
            activation: self.activation,
        }
    }
}
