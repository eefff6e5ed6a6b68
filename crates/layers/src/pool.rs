//! Pooling.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};

use crate::conv::windows;
use crate::trace;

/// The largest number of each window of an image.
///
/// Shapes: `B` batch, `C` channels, `H`/`W` size, primed for the output.
#[derive(Module, Debug)]
pub struct MaxPool2d {
    /// Height and width of a window.
    pub kernel_size: [usize; 2],
    /// Pixels from a window to the next.
    pub stride: [usize; 2],
    /// Pixels by which windows reach over each edge.
    pub padding: [usize; 2],
}

impl MaxPool2d {
    /// The layer's output.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C, H', W']` with `H' = (H + 2 padding - kernel) / stride + 1`, rounded down
    ///
    /// # Panics
    /// If `input` is smaller than a window.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = input.dims();
        let size = |axis: usize, length: usize| {
            let size = windows(length, self.kernel_size[axis], self.stride[axis], self.padding[axis]);
            size.unwrap_or_else(|| panic!("a window of {:?} pixels got {:?}", self.kernel_size, input.dims()))
        };
        let shape = [batch, channels, size(0, height), size(1, width)];
        if trace::only_shapes() {
            return Tensor::zeros(shape, &input.device());
        }
        let options = MaxPoolOptions {
            kernel_size: self.kernel_size,
            stride: self.stride,
            padding: self.padding.map(|padding| (padding, padding)),
            dilation: [1, 1],
            ceil_mode: false,
        };
        libellus_kernels::max_pool2d(input, options)
    }
}

/// Configuration of [`MaxPool2d`].
#[derive(Config, Debug)]
pub struct MaxPool2dConfig {
    /// Height and width of a window.
    pub kernel_size: [usize; 2],
    /// Pixels from a window to the next.
    #[config(default = "kernel_size")]
    pub stride: [usize; 2],
    /// Pixels by which windows reach over each edge.
    #[config(default = "[0, 0]")]
    pub padding: [usize; 2],
}

impl MaxPool2dConfig {
    /// The layer.
    ///
    /// # Panics
    /// If the stride is zero, or the padding is more than half of a window.
    pub fn init(&self) -> MaxPool2d {
        let Self { kernel_size, stride, padding } = *self;
        check_windows(kernel_size, stride, padding);
        MaxPool2d { kernel_size, stride, padding }
    }
}

/// The mean of each window of an image.
///
/// Shapes: `B` batch, `C` channels, `H`/`W` size, primed for the output.
#[derive(Module, Debug)]
pub struct AvgPool2d {
    /// Height and width of a window.
    pub kernel_size: [usize; 2],
    /// Pixels from a window to the next.
    pub stride: [usize; 2],
    /// Pixels by which windows reach over each edge.
    pub padding: [usize; 2],
    /// Whether the padding counts, as zeros.
    pub count_include_pad: bool,
    /// Whether a last window may reach over the padding.
    pub ceil_mode: bool,
}

impl AvgPool2d {
    /// The layer's output.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C, H', W']` with `H' = (H + 2 padding - kernel) / stride + 1`, rounded down; in ceil mode up, unless
    ///   the last window would start in the padding
    ///
    /// # Panics
    /// If `input` is smaller than a window.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [batch, channels, ..] = input.dims();
        let shape = [batch, channels, self.windows(0, &input), self.windows(1, &input)];
        if trace::only_shapes() {
            return Tensor::zeros(shape, &input.device());
        }
        let options = AvgPoolOptions {
            kernel_size: self.kernel_size,
            stride: self.stride,
            padding: self.padding.map(|padding| (padding, padding)),
            count_include_pad: self.count_include_pad,
            ceil_mode: self.ceil_mode,
        };
        libellus_kernels::avg_pool2d(input, options)
    }

    /// # Panics
    /// As [`AvgPool2d::forward`].
    fn windows(&self, axis: usize, input: &Tensor<4>) -> usize {
        let (length, stride, padding) = (input.dims()[2 + axis], self.stride[axis], self.padding[axis]);
        let count = windows(length, self.kernel_size[axis], stride, padding);
        let count = count
            .unwrap_or_else(|| panic!("a window of {:?} pixels got {:?}", self.kernel_size, input.dims()));
        let next = count * stride;
        // Where another one starts within the image, and pixels are left over for it.
        let more = next < length + padding && next + self.kernel_size[axis] - stride < length + 2 * padding;
        count + usize::from(self.ceil_mode && more)
    }
}

/// Configuration of [`AvgPool2d`].
#[derive(Config, Debug)]
pub struct AvgPool2dConfig {
    /// Height and width of a window.
    pub kernel_size: [usize; 2],
    /// Pixels from a window to the next.
    #[config(default = "kernel_size")]
    pub stride: [usize; 2],
    /// Pixels by which windows reach over each edge.
    #[config(default = "[0, 0]")]
    pub padding: [usize; 2],
    /// Whether the padding counts, as zeros.
    #[config(default = true)]
    pub count_include_pad: bool,
    /// Whether a last window may reach over the padding.
    #[config(default = false)]
    pub ceil_mode: bool,
}

impl AvgPool2dConfig {
    /// The layer.
    ///
    /// # Panics
    /// If the stride is zero, or the padding is more than half of a window.
    pub fn init(&self) -> AvgPool2d {
        let Self { kernel_size, stride, padding, count_include_pad, ceil_mode } = *self;
        check_windows(kernel_size, stride, padding);
        AvgPool2d { kernel_size, stride, padding, count_include_pad, ceil_mode }
    }
}

fn check_windows(kernel_size: [usize; 2], stride: [usize; 2], padding: [usize; 2]) {
    assert!(stride.iter().all(|&stride| stride > 0), "a stride of {stride:?}");
    assert!(
        padding.iter().zip(kernel_size).all(|(&padding, kernel)| padding <= kernel / 2),
        "a padding of {padding:?} is more than half of a window of {kernel_size:?}"
    );
}

/// The mean of each of so many windows that share an image evenly.
///
/// Shapes: `B` batch, `C` channels, `H`/`W` size, primed for the output.
#[derive(Module, Debug)]
pub struct AdaptiveAvgPool2d {
    /// Height and width of the output.
    pub output_size: [usize; 2],
}

impl AdaptiveAvgPool2d {
    /// The layer's output.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C, H', W']`, as the output's size says
    ///
    /// # Panics
    /// If `input` has no pixels.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = input.dims();
        assert!(height > 0 && width > 0, "a mean of {:?}", input.dims());
        if trace::only_shapes() {
            let [height, width] = self.output_size;
            return Tensor::zeros([batch, channels, height, width], &input.device());
        }
        libellus_kernels::adaptive_avg_pool2d(input, self.output_size)
    }
}

/// Configuration of [`AdaptiveAvgPool2d`].
#[derive(Config, Debug)]
pub struct AdaptiveAvgPool2dConfig {
    /// Height and width of the output.
    pub output_size: [usize; 2],
}

impl AdaptiveAvgPool2dConfig {
    /// The layer.
    ///
    /// # Panics
    /// If a size is zero.
    pub fn init(&self) -> AdaptiveAvgPool2d {
        let Self { output_size } = *self;
        assert!(output_size.iter().all(|&size| size > 0), "an output of {output_size:?} pixels");
        AdaptiveAvgPool2d { output_size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use libellus_backend::testing::{assert_close, device, read};

    #[test]
    fn windows_lie_side_by_side_unless_told_otherwise() {
        let image =
            Tensor::<4>::from_data([[[[1.0f32, 2.0, -3.0], [0.0, -1.0, 9.0], [4.0, 3.0, -5.0]]]], &device());
        let pool = MaxPool2dConfig::new([2, 2]).init();
        assert_close(&read(pool.forward(image.clone())), &TensorData::from([[[[2.0f32]]]]), 0.0);
        let pool = MaxPool2dConfig::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]).init();
        let expected = TensorData::from([[[[2.0f32, 9.0], [4.0, 9.0]]]]);
        assert_close(&read(pool.forward(image)), &expected, 0.0);
    }

    #[test]
    #[should_panic(expected = "more than half of a window")]
    fn windows_of_padding_alone_are_refused() {
        MaxPool2dConfig::new([2, 2]).with_padding([2, 0]).init();
    }

    #[test]
    #[should_panic(expected = "a window of [3, 3] pixels got [1, 1, 2, 5]")]
    fn an_image_smaller_than_a_window_is_refused() {
        MaxPool2dConfig::new([3, 3]).init().forward(Tensor::zeros([1, 1, 2, 5], &device()));
    }

    /// 1 to 12 in three rows.
    fn rows() -> Tensor<4> {
        let pixels: Vec<f32> = (1..13).map(|pixel| pixel as f32).collect();
        Tensor::from_data(TensorData::new(pixels, [1, 1, 3, 4]), &device())
    }

    #[test]
    fn means_of_windows() {
        let pool = AvgPool2dConfig::new([2, 2]).init();
        assert_close(&read(pool.forward(rows())), &TensorData::from([[[[3.5f32, 5.5]]]]), 1e-6);
        let pool = AvgPool2dConfig::new([2, 2]).with_ceil_mode(true).init();
        let expected = [[[[3.5f32, 5.5], [9.5, 11.5]]]];
        assert_close(&read(pool.forward(rows())), &TensorData::from(expected), 1e-6);
        let pool = AvgPool2dConfig::new([3, 4]).with_padding([1, 0]).with_count_include_pad(false).init();
        assert_close(&read(pool.forward(rows())), &TensorData::from([[[[4.5f32]]]]), 1e-6);
    }

    #[test]
    fn means_of_shares() {
        let pool = AdaptiveAvgPool2dConfig::new([1, 1]).init();
        assert_close(&read(pool.forward(rows())), &TensorData::from([[[[6.5f32]]]]), 1e-6);
        let pool = AdaptiveAvgPool2dConfig::new([2, 2]).init();
        let expected = [[[[3.5f32, 5.5], [7.5, 9.5]]]];
        assert_close(&read(pool.forward(rows())), &TensorData::from(expected), 1e-6);
    }

    #[test]
    fn shapes_are_known_without_computing() {
        let adaptive = AdaptiveAvgPool2dConfig::new([3, 5]).init();
        for kernel in 1..5 {
            for stride in 1..5 {
                for padding in 0..=kernel / 2 {
                    for up in [false, true] {
                        let config = AvgPool2dConfig::new([kernel, 2]).with_stride([stride, 1]);
                        let pool = config.with_padding([padding, 0]).with_ceil_mode(up).init();
                        let pooled = || pool.forward(Tensor::ones([2, 3, 7, 11], &device())).dims();
                        assert_eq!(trace::shapes(pooled).expect("small").0, pooled(), "{pool:?}");
                    }
                }
            }
        }
        let pooled = || adaptive.forward(Tensor::ones([2, 3, 7, 11], &device())).dims();
        assert_eq!(trace::shapes(pooled).expect("small").0, pooled());
    }
}
