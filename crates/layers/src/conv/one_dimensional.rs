//! The one-dimensional convolution.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use libellus_kernels::conv2d;

use super::{check_groups, windows};
use crate::linear::fan_in;
use crate::trace;

/// A one-dimensional convolution (cross-correlation), for sound and sequences.
///
/// Shapes: `B` batch, `C` channels, `T` length, primed for the output.
#[derive(Module, Debug)]
pub struct Conv1d {
    /// `[C', C / groups, kernel]`.
    pub weight: Param<Tensor<3>>,
    /// `[C']`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Steps between neighbouring positions of the kernel.
    pub stride: usize,
    /// Zeros added on both sides.
    pub padding: usize,
    /// Steps between neighbouring elements of the kernel.
    pub dilation: usize,
    /// Into how many groups the channels fall, each seeing nothing of the others.
    pub groups: usize,
}

impl Conv1d {
    /// The layer's output: a convolution of an image of one row.
    ///
    /// # Shapes
    /// - `input`: `[B, C, T]`
    /// - output: `[B, C', T']` with `T' = (T + 2 padding - dilation (kernel - 1) - 1) / stride + 1`, rounded down
    ///
    /// # Panics
    /// If `input` has another number of channels, or is shorter than the kernel.
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [channels_out, group, kernel] = self.weight.lazy_shape().dims();
        let [batch, channels, length] = input.dims();
        let expected = group * self.groups;
        assert_eq!(channels, expected, "a convolution of {expected} channels got {:?}", input.dims());
        let reach = self.dilation * (kernel - 1) + 1;
        let Some(length) = windows(length, reach, self.stride, self.padding) else {
            panic!("a kernel that reaches over {reach} steps got {:?}", input.dims());
        };
        let shape = [batch, channels_out, length];
        let macs = (shape.iter().product::<usize>() * group * kernel) as u64;
        trace::layer("Conv1d", &self.weight, input, shape, macs, |input| {
            let options =
                ConvOptions::new([1, self.stride], [0, self.padding], [1, self.dilation], self.groups);
            let bias = self.bias.as_ref().map(|bias| bias.val());
            let weight = self.weight.val().unsqueeze_dim(2);
            conv2d(input.unsqueeze_dim(2), weight, bias, options).squeeze_dim(2)
        })
    }
}

/// Configuration of [`Conv1d`].
#[derive(Config, Debug)]
pub struct Conv1dConfig {
    /// Channels of the input.
    pub channels_in: usize,
    /// Channels of the output.
    pub channels_out: usize,
    /// Length of the kernel.
    pub kernel_size: usize,
    /// Steps between neighbouring positions of the kernel.
    #[config(default = 1)]
    pub stride: usize,
    /// Zeros added on both sides.
    #[config(default = 0)]
    pub padding: usize,
    /// Steps between neighbouring elements of the kernel.
    #[config(default = 1)]
    pub dilation: usize,
    /// Into how many groups the channels fall.
    #[config(default = 1)]
    pub groups: usize,
    /// Whether a bias is added to each channel.
    #[config(default = true)]
    pub bias: bool,
    /// What weight and bias start with; by default `U(-1/sqrt(fan_in), 1/sqrt(fan_in))`, as in PyTorch.
    #[config(default = "fan_in()")]
    pub initializer: Initializer,
}

impl Conv1dConfig {
    /// The layer.
    ///
    /// # Panics
    /// If the groups don't divide both numbers of channels.
    pub fn init(&self, device: &Device) -> Conv1d {
        check_groups(self.groups, [self.channels_in, self.channels_out]);
        let group = self.channels_in / self.groups;
        let fans = [group, self.channels_out / self.groups].map(|channels| Some(channels * self.kernel_size));
        let shape = [self.channels_out, group, self.kernel_size];
        let init = &self.initializer;
        Conv1d {
            weight: init.init_with(shape, fans[0], fans[1], device),
            bias: self.bias.then(|| init.init_with([self.channels_out], fans[0], fans[1], device)),
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, module};
    use libellus_backend::testing::{assert_close, device, read};

    /// burn's operation of one dimension, forward and back.
    #[test]
    fn is_burns() {
        let device = device().autodiff();
        device.seed(3);
        for (groups, stride, padding, dilation) in [(1, 1, 1, 1), (3, 2, 2, 1), (1, 3, 0, 2)] {
            let layer = Conv1dConfig::new(6, 9, 3)
                .with_groups(groups)
                .with_stride(stride)
                .with_padding(padding)
                .with_dilation(dilation)
                .init(&device);
            let input = Tensor::<3>::random([2, 6, 23], Distribution::Default, &device).require_grad();
            let burns = |input: Tensor<3>| {
                let options = ConvOptions::new([stride], [padding], [dilation], groups);
                let bias = layer.bias.as_ref().map(|bias| bias.val());
                module::conv1d(input, layer.weight.val(), bias, options)
            };
            let results = |output: Tensor<3>| {
                let gradients = (output.clone() * output.clone()).sum().backward();
                let of_weight = layer.weight.val().grad(&gradients).expect("it takes part");
                let of_input = input.grad(&gradients).expect("it takes part");
                (read(output), read(of_weight), read(of_input))
            };
            let (output, of_weight, of_input) = results(layer.forward(input.clone()));
            let expected = results(burns(input.clone()));
            assert_close(&output, &expected.0, 1e-5);
            assert_close(&of_weight, &expected.1, 1e-5);
            assert_close(&of_input, &expected.2, 1e-5);
        }
    }

    #[test]
    #[should_panic(expected = "a kernel that reaches over 5 steps got [1, 1, 4]")]
    fn a_sequence_shorter_than_the_kernel_is_refused() {
        let device = device();
        let layer = Conv1dConfig::new(1, 1, 3).with_dilation(2).init(&device);
        layer.forward(Tensor::zeros([1, 1, 4], &device));
    }
}
