//! Convolutions.
//!
//! The same as burn's layers, which can't be looked on from outside (see [`trace`](crate::trace)), with symmetric
//! padding in pixels.

mod one_dimensional;
mod transposed;

pub use one_dimensional::{Conv1d, Conv1dConfig};
pub use transposed::{ConvTranspose2d, ConvTranspose2dConfig};

use std::f64::consts::SQRT_2;

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use libellus_kernels::{Epilogue, FusedConv, conv2d, conv2d_fused};

use crate::linear::fan_in;
use crate::{Activation, BatchNorm, trace};

/// A two-dimensional convolution (cross-correlation, as everywhere in the field).
///
/// Shapes: `B` batch, `C` channels, `H`/`W` size, primed for the output.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[C', C / groups, kernel height, kernel width]`.
    pub weight: Param<Tensor<4>>,
    /// `[C']`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Pixels between neighbouring positions of the kernel, in both directions.
    pub stride: [usize; 2],
    /// Zeros added on both sides of each direction.
    pub padding: [usize; 2],
    /// Pixels between neighbouring elements of the kernel.
    pub dilation: [usize; 2],
    /// Into how many groups the channels fall, each seeing nothing of the others.
    pub groups: usize,
}

impl Conv2d {
    /// The layer's output.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H', W']` with `H' = (H + 2 padding - dilation (kernel - 1) - 1) / stride + 1`, rounded down
    ///
    /// # Panics
    /// If `input` has another number of channels, or is smaller than the kernel.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.reported(input, |input| {
            conv2d(input, self.weight.val(), self.bias.as_ref().map(|bias| bias.val()), self.options())
        })
    }

    /// What `compute` makes of the input, [reported](trace::layer).
    fn reported(&self, input: Tensor<4>, compute: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
        let shape = self.output_shape(&input);
        let [_, group, kernel_height, kernel_width] = self.weight.lazy_shape().dims();
        let macs = (shape.iter().product::<usize>() * group * kernel_height * kernel_width) as u64;
        trace::layer("Conv2d", &self.weight, input, shape, macs, compute)
    }

    /// `activation(norm(conv(input)) + residual)`.
    ///
    /// In evaluation on a CPU all of it is one pass over memory. Where a gradient is asked for, or [shapes](trace::shapes) alone, one
    /// layer follows the other.
    ///
    /// # Shapes
    /// As for [`Conv2d::forward`].
    ///
    /// # Panics
    /// As [`Conv2d::forward`], and if the residual has another shape than the output.
    pub fn forward_then(&self, input: Tensor<4>, after: AfterConv<'_>) -> Tensor<4> {
        let shape = self.output_shape(&input);
        if let Some(residual) = &after.residual {
            assert_eq!(residual.dims(), shape, "a residual must have the shape of what it is added to");
        }
        if is_layer_by_layer(&input) {
            let output = self.forward(input);
            let output = match after.norm {
                Some(norm) => norm.forward(output),
                None => output,
            };
            let output = match after.residual {
                Some(residual) => output + residual,
                None => output,
            };
            return after.activation.forward(output);
        }
        let AfterConv { norm, activation, .. } = after;
        let last_step = activation.last_step();
        let FusedConv { weight, options, epilogue } = self.fused(after, &input.device());
        let output = self.reported(input, |input| conv2d_fused(input, weight, options, epilogue));
        let output = match norm {
            // Has been applied.
            Some(norm) => trace::layer("BatchNorm", &norm.gamma, output, shape, 0, |output| output),
            None => output,
        };
        match last_step {
            Some(_) => output,
            None => activation.forward(output),
        }
    }

    /// What a kernel needs to know of the layer and of what follows it, but for an activation that has to follow on its own.
    pub(crate) fn fused(&self, after: AfterConv<'_>, device: &Device) -> FusedConv {
        let epilogue = Epilogue {
            bias: self.bias.as_ref().map(|bias| bias.val()),
            norm: after.norm.map(|norm| norm.channel_norm(device)),
            residual: after.residual,
            nonlinearity: after.activation.last_step().unwrap_or_default(),
        };
        FusedConv { weight: self.weight.val(), options: self.options(), epilogue }
    }

    fn options(&self) -> ConvOptions<2> {
        ConvOptions::new(self.stride, self.padding, self.dilation, self.groups)
    }

    /// # Panics
    /// As [`Conv2d::forward`].
    fn output_shape(&self, input: &Tensor<4>) -> [usize; 4] {
        let [channels_out, group, kernel_height, kernel_width] = self.weight.lazy_shape().dims();
        let [batch, channels, height, width] = input.dims();
        assert_eq!(
            channels,
            group * self.groups,
            "a convolution of {} channels got {:?}",
            group * self.groups,
            input.dims()
        );
        let size = |axis: usize, length: usize, kernel: usize| {
            let reach = self.dilation[axis] * (kernel - 1) + 1;
            let size = windows(length, reach, self.stride[axis], self.padding[axis]);
            size.unwrap_or_else(|| panic!("a kernel that reaches over {reach} pixels got {:?}", input.dims()))
        };
        [batch, channels_out, size(0, height, kernel_height), size(1, width, kernel_width)]
    }
}

/// What follows a convolution, in this order; each may be missing.
#[derive(Debug, Clone)]
pub struct AfterConv<'a> {
    /// Over the output's channels.
    pub norm: Option<&'a BatchNorm>,
    /// Added, of the output's shape.
    pub residual: Option<Tensor<4>>,
    /// Applied to the sum.
    pub activation: Activation,
}

impl<'a> AfterConv<'a> {
    /// The convolution alone; in evaluation on a CPU its output has the channels of a pixel side by side in memory.
    pub const NOTHING: Self = Self { norm: None, residual: None, activation: Activation::Identity };

    /// A batch norm and a ReLU.
    pub fn norm_relu(norm: &'a BatchNorm) -> Self {
        Self { norm: Some(norm), residual: None, activation: Activation::Relu }
    }
}

/// Whether layers are computed one after the other: a gradient is asked for, or shapes alone.
pub(crate) fn is_layer_by_layer(input: &Tensor<4>) -> bool {
    input.device().is_autodiff() || trace::only_shapes()
}

/// How many windows that reach over `reach` pixels lie on so many; none if they are too few for one.
pub(crate) fn windows(length: usize, reach: usize, stride: usize, padding: usize) -> Option<usize> {
    (length + 2 * padding).checked_sub(reach).map(|rest| rest / stride + 1)
}

/// Configuration of [`Conv2d`].
#[derive(Config, Debug)]
pub struct Conv2dConfig {
    /// Channels of the input and of the output.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel_size: [usize; 2],
    /// Pixels between neighbouring positions of the kernel.
    #[config(default = "[1, 1]")]
    pub stride: [usize; 2],
    /// Zeros added on both sides of each direction.
    #[config(default = "[0, 0]")]
    pub padding: [usize; 2],
    /// Pixels between neighbouring elements of the kernel.
    #[config(default = "[1, 1]")]
    pub dilation: [usize; 2],
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

impl Conv2dConfig {
    /// The layer.
    ///
    /// # Panics
    /// If the groups don't divide both numbers of channels.
    pub fn init(&self, device: &Device) -> Conv2d {
        let [channels_in, channels_out] = self.channels;
        check_groups(self.groups, self.channels);
        let kernel: usize = self.kernel_size.iter().product();
        let fan_in = channels_in / self.groups * kernel;
        let fan_out = channels_out / self.groups * kernel;
        let shape = [channels_out, channels_in / self.groups, self.kernel_size[0], self.kernel_size[1]];
        let init = &self.initializer;
        Conv2d {
            weight: init.init_with(shape, Some(fan_in), Some(fan_out), device),
            bias: self.bias.then(|| init.init_with([channels_out], Some(fan_in), Some(fan_out), device)),
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
        }
    }
}

fn check_groups(groups: usize, [channels_in, channels_out]: [usize; 2]) {
    assert!(
        groups > 0 && channels_in.is_multiple_of(groups) && channels_out.is_multiple_of(groups),
        "{groups} groups don't divide {channels_in} and {channels_out} channels"
    );
}

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
    Conv2dConfig::new([channels_in, channels_out], [kernel; 2])
        .with_stride([stride; 2])
        .with_padding([kernel / 2; 2])
        .with_bias(false)
        .with_initializer(Initializer::KaimingNormal { gain: SQRT_2, fan_out_only: true })
}
