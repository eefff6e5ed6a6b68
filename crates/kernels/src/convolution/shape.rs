//! The sizes of a convolution.

use std::ops::Range;

use burn::tensor::ops::ConvOptions;

/// What a convolution works on; every function of this module takes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) batch: usize,
    /// In all groups together.
    pub(crate) channels_in: usize,
    /// In all groups together.
    pub(crate) channels_out: usize,
    pub(crate) groups: usize,
    /// Height and width, here and below.
    pub(crate) input: [usize; 2],
    pub(crate) output: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    pub(crate) dilation: [usize; 2],
}

impl Shape {
    /// The sizes of a convolution with the same padding on both sides, or nothing where shapes and options
    /// don't fit, or an image has no pixels.
    pub(crate) fn new(input: [usize; 4], weight: [usize; 4], options: &ConvOptions<2>) -> Option<Self> {
        let [batch, channels_in, height, width] = input;
        let [channels_out, group_in, kernel_height, kernel_width] = weight;
        let (groups, input, kernel) = (options.groups, [height, width], [kernel_height, kernel_width]);
        let fits = groups > 0
            && height > 0
            && width > 0
            && group_in > 0
            && channels_out > 0
            && group_in * groups == channels_in
            && channels_out.is_multiple_of(groups)
            && options.padding.iter().all(|(before, after)| before == after);
        if !fits {
            return None;
        }
        let padding = options.padding.map(|(before, _)| before);
        let size = |axis: usize| {
            let reach = options.dilation[axis] * kernel[axis].checked_sub(1)? + 1;
            Some((input[axis] + 2 * padding[axis]).checked_sub(reach)? / options.stride[axis] + 1)
        };
        let output = [size(0)?, size(1)?];
        let (stride, dilation) = (options.stride, options.dilation);
        Some(Self {
            batch,
            channels_in,
            channels_out,
            groups,
            input,
            output,
            kernel,
            stride,
            padding,
            dilation,
        })
    }

    /// Whether the kernels of this crate are faster than burn's.
    pub(crate) fn is_fast(&self) -> bool {
        self.groups == 1 || self.is_depthwise() || self.group_in().min(self.group_out()) >= 8
    }

    /// Whether each channel has a kernel of its own, no larger than 7x7.
    pub(crate) fn is_depthwise(&self) -> bool {
        self.groups == self.channels_in && self.channels_out == self.channels_in && self.taps() <= 49
    }

    /// `[batch, channels, height, width]`.
    pub(crate) fn of_output(&self) -> [usize; 4] {
        [self.batch, self.channels_out, self.output[0], self.output[1]]
    }

    /// Pixels of an output channel.
    pub(crate) fn pixels_out(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Pixels of an input channel.
    pub(crate) fn pixels_in(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Input channels of a group.
    pub(crate) fn group_in(&self) -> usize {
        self.channels_in / self.groups
    }

    /// Output channels of a group.
    pub(crate) fn group_out(&self) -> usize {
        self.channels_out / self.groups
    }

    /// Of the kernel's elements along an axis, those that meet the image, seen from an output; and where the first of them lies. If
    /// there are none, that is anywhere up to the image's end.
    #[inline(always)]
    pub(crate) fn met(&self, axis: usize, output: usize) -> (Range<usize>, usize) {
        let (padding, dilation, kernel) = (self.padding[axis], self.dilation[axis], self.kernel[axis]);
        let start = output * self.stride[axis];
        let first = padding.saturating_sub(start).div_ceil(dilation).min(kernel);
        let end = (self.input[axis] + padding).saturating_sub(start).div_ceil(dilation).min(kernel);
        let place = (start + first * dilation).saturating_sub(padding);
        (first..end.max(first), place.min(self.input[axis]))
    }

    /// Elements of a channel's kernel.
    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Products in the sum of an output element.
    pub(crate) fn depth(&self) -> usize {
        self.group_in() * self.taps()
    }

    /// Whether every input pixel meets every weight once, at the same place.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }

    /// Whether output pixels are sums over the channels of one input pixel each, and other input pixels mean nothing.
    pub(crate) fn is_sampling(&self) -> bool {
        self.kernel == [1, 1] && self.padding == [0, 0] && self.stride != [1, 1]
    }

    /// The same convolution of those pixels that mean something, in one row where rows mean nothing.
    pub(crate) fn reduced(self) -> Self {
        if self.is_pointwise() || self.is_sampling() {
            let size = [1, self.pixels_out()];
            Self { input: size, output: size, stride: [1, 1], ..self }
        } else {
            self
        }
    }
}
