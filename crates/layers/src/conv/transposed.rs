//! Convolution that enlarges.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::ops::ConvTransposeOptions;
use burn::tensor::{Device, Tensor};
use libellus_kernels::conv_transpose2d;

use super::check_groups;
use crate::linear::fan_in;
use crate::trace;

/// The transpose of a two-dimensional convolution: each pixel adds its kernel's multiple to the output.
///
/// Shapes: `B` batch, `C` channels, `H`/`W` size, primed for the output.
#[derive(Module, Debug)]
pub struct ConvTranspose2d {
    /// `[C, C' / groups, kernel height, kernel width]`.
    pub weight: Param<Tensor<4>>,
    /// `[C']`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Pixels of the output between those of neighbouring pixels of the input.
    pub stride: [usize; 2],
    /// Pixels cut off on both sides of each direction.
    pub padding: [usize; 2],
    /// Pixels added at the lower and the right side.
    pub padding_out: [usize; 2],
    /// Pixels between neighbouring elements of the kernel.
    pub dilation: [usize; 2],
    /// Into how many groups the channels fall.
    pub groups: usize,
}

impl ConvTranspose2d {
    /// The layer's output.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H', W']` with `H' = (H - 1) stride - 2 padding + dilation (kernel - 1) + padding_out + 1`
    ///
    /// # Panics
    /// If `input` has another number of channels or no pixels, or if nothing is left of the output.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [channels_in, group, kernel_height, kernel_width] = self.weight.lazy_shape().dims();
        let [batch, channels, height, width] = input.dims();
        assert_eq!(channels, channels_in, "a convolution of {channels_in} channels got {:?}", input.dims());
        assert!(height > 0 && width > 0, "a transposed convolution got {:?}", input.dims());
        let size = |axis: usize, length: usize, kernel: usize| {
            let reach = self.dilation[axis] * (kernel - 1) + 1;
            let whole = (length - 1) * self.stride[axis] + reach + self.padding_out[axis];
            assert!(whole > 2 * self.padding[axis], "nothing is left of {:?}", input.dims());
            whole - 2 * self.padding[axis]
        };
        let shape =
            [batch, group * self.groups, size(0, height, kernel_height), size(1, width, kernel_width)];
        let macs = (input.shape().num_elements() * group * kernel_height * kernel_width) as u64;
        trace::layer("ConvTranspose2d", &self.weight, input, shape, macs, |input| {
            let Self { stride, padding, padding_out, dilation, groups, .. } = *self;
            let options = ConvTransposeOptions::new(stride, padding, padding_out, dilation, groups);
            let bias = self.bias.as_ref().map(|bias| bias.val());
            conv_transpose2d(input, self.weight.val(), bias, options)
        })
    }
}

/// Configuration of [`ConvTranspose2d`].
#[derive(Config, Debug)]
pub struct ConvTranspose2dConfig {
    /// Channels of the input and of the output.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel_size: [usize; 2],
    /// Factor of enlargement.
    #[config(default = "[1, 1]")]
    pub stride: [usize; 2],
    /// Pixels cut off on both sides of each direction.
    #[config(default = "[0, 0]")]
    pub padding: [usize; 2],
    /// Pixels added at the lower and the right side, of the sizes that one convolution maps to the same.
    #[config(default = "[0, 0]")]
    pub padding_out: [usize; 2],
    /// Pixels between neighbouring elements of the kernel.
    #[config(default = "[1, 1]")]
    pub dilation: [usize; 2],
    /// Into how many groups the channels fall.
    #[config(default = 1)]
    pub groups: usize,
    /// Whether a bias is added to each channel.
    #[config(default = true)]
    pub bias: bool,
    /// What weight and bias start with; by default as in PyTorch, `U(-k, k)` with
    /// `k = 1 / sqrt(C' / groups * kernel size)`.
    #[config(default = "fan_in()")]
    pub initializer: Initializer,
}

impl ConvTranspose2dConfig {
    /// The layer.
    ///
    /// # Panics
    /// If the groups don't divide both numbers of channels, or the padding of the output is as large as stride and dilation.
    pub fn init(&self, device: &Device) -> ConvTranspose2d {
        let [channels_in, channels_out] = self.channels;
        check_groups(self.groups, self.channels);
        assert!(
            (0..2).all(|axis| self.padding_out[axis] < self.stride[axis].max(self.dilation[axis])),
            "a padding of {:?} of the output is too large for a stride of {:?}",
            self.padding_out,
            self.stride
        );
        let group = channels_out / self.groups;
        let fan_in = group * self.kernel_size.iter().product::<usize>();
        let shape = [channels_in, group, self.kernel_size[0], self.kernel_size[1]];
        let init = &self.initializer;
        ConvTranspose2d {
            weight: init.init_with(shape, Some(fan_in), None, device),
            bias: self.bias.then(|| init.init_with([channels_out], Some(fan_in), None, device)),
            stride: self.stride,
            padding: self.padding,
            padding_out: self.padding_out,
            dilation: self.dilation,
            groups: self.groups,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::shapes;
    use burn::tensor::TensorData;
    use libellus_backend::testing::{assert_close, device, read};

    /// A kernel and a bias of ones: each output pixel is one more than the sum of the inputs that reach it.
    #[test]
    fn the_padding_of_the_output_adds_a_row_and_a_column() {
        let device = device();
        let config = ConvTranspose2dConfig::new([1, 1], [3, 3]).with_stride([2, 2]).with_padding([1, 1]);
        let config = config.with_padding_out([1, 0]).with_initializer(Initializer::Ones);
        let layer = config.init(&device);
        let input = Tensor::<4>::from_data([[[[1.0f32, 10.0]]]], &device);
        let (output, _) = shapes(|| layer.forward(input.clone())).expect("small");
        assert_eq!(output.dims(), [1, 1, 2, 3]);
        let row = [2.0f32, 12.0, 11.0];
        assert_close(&read(layer.forward(input)), &TensorData::from([[[row, row]]]), 1e-6);
    }

    #[test]
    #[should_panic(expected = "a padding of [0, 2] of the output is too large for a stride of [2, 2]")]
    fn an_output_padding_as_large_as_the_stride_is_refused() {
        let config = ConvTranspose2dConfig::new([1, 1], [3, 3]).with_stride([2, 2]);
        config.with_padding_out([0, 2]).init(&device());
    }
}
