//! A convolution, a batch norm and a nonlinearity in one.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use libellus_kernels::FusedConv;

use crate::{Activation, AfterConv, BatchNorm, BatchNormConfig, Conv2d, conv_before_norm};

/// `activation(norm(conv(x)))`, the unit that most convolutional networks are made of.
///
/// Reference: `torchvision.ops.Conv2dNormActivation`, whose parts are numbered instead of named.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// `[C', C / groups, kernel, kernel]`, no bias.
    pub conv: Conv2d,
    /// Over `C'` channels.
    pub norm: BatchNorm,
    /// Applied to what the norm puts out.
    #[module(skip)]
    pub activation: Activation,
}

impl ConvNorm {
    /// The activated, normalised convolution of the input.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H', W']` with `H' = ceil(H / stride)`, `W' = ceil(W / stride)` for an odd kernel
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward_plus(input, None)
    }

    /// The same with `residual`, of the output's shape, added before the activation.
    ///
    /// # Shapes
    /// As for [`ConvNorm::forward`].
    ///
    /// # Panics
    /// If the residual has another shape.
    pub fn forward_plus(&self, input: Tensor<4>, residual: Option<Tensor<4>>) -> Tensor<4> {
        self.conv.forward_then(input, self.after(residual))
    }

    /// The layer for kernels that compute several at once, `None` if it doesn't end with a nonlinearity that they know.
    pub(crate) fn fused(&self, residual: Option<Tensor<4>>, device: &Device) -> Option<FusedConv> {
        self.activation.last_step()?;
        Some(self.conv.fused(self.after(residual), device))
    }

    fn after(&self, residual: Option<Tensor<4>>) -> AfterConv<'_> {
        AfterConv { norm: Some(&self.norm), residual, activation: self.activation }
    }
}

/// Configuration of [`ConvNorm`]; the convolution is padded and drawn as [`conv_before_norm`] does it.
#[derive(Config, Debug)]
pub struct ConvNormConfig {
    /// Channels `C` of the input.
    pub channels_in: usize,
    /// Channels `C'` of the output.
    pub channels_out: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Stride in both directions.
    #[config(default = 1)]
    pub stride: usize,
    /// Into how many groups the channels are divided, each convolved on its own.
    #[config(default = 1)]
    pub groups: usize,
    /// Applied to what the norm puts out.
    #[config(default = "Activation::Relu")]
    pub activation: Activation,
}

impl ConvNormConfig {
    /// The layer.
    ///
    /// # Panics
    /// If `groups` does not divide both numbers of channels.
    pub fn init(&self, device: &Device) -> ConvNorm {
        ConvNorm {
            conv: conv_before_norm(self.channels_in, self.channels_out, self.kernel, self.stride)
                .with_groups(self.groups)
                .init(device),
            norm: BatchNormConfig::new(self.channels_out).init(device),
            activation: self.activation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Module;
    use burn::tensor::TensorData;
    use libellus_backend::testing::{assert_close, device, read};

    #[test]
    fn sizes_are_rounded_up() {
        let device = device();
        for (kernel, stride, expected) in [(1, 1, [7, 4]), (3, 2, [4, 2]), (5, 3, [3, 2])] {
            let layer = ConvNormConfig::new(2, 3, kernel).with_stride(stride).init(&device);
            let output = layer.forward(Tensor::zeros([5, 2, 7, 4], &device));
            assert_eq!(output.dims(), [5, 3, expected[0], expected[1]]);
            assert_eq!(layer.num_params(), 2 * 3 * kernel * kernel + 2 * 3);
        }
    }

    /// Each channel has its own 1x1 kernel; the running variance of 1 is raised by the norm's 1e-5.
    #[test]
    fn groups_are_convolved_on_their_own() {
        let device = device();
        let mut layer = ConvNormConfig::new(2, 2, 1).with_groups(2).init(&device);
        let weight = Tensor::from_data([[[[3.0f32]]], [[[-5.0]]]], &device);
        layer.conv.weight = layer.conv.weight.map(|_| weight);
        let input = Tensor::from_data([[[[1.0f32, 2.0]], [[1.0, -1.0]]]], &device);
        let expected = TensorData::from([[[[3.0f32, 6.0]], [[0.0, 5.0]]]]);
        assert_close(&read(layer.forward(input)), &expected, 1e-5);
    }
}
