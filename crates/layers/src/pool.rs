//! Pooling.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::ops::MaxPoolOptions;

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
        assert!(stride.iter().all(|&stride| stride > 0), "a stride of {stride:?}");
        assert!(
            padding.iter().zip(kernel_size).all(|(&padding, kernel)| padding <= kernel / 2),
            "a padding of {padding:?} is more than half of a window of {kernel_size:?}"
        );
        MaxPool2d { kernel_size, stride, padding }
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
}
