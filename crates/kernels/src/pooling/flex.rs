//! Pooling on flex: plane by plane, pixels side by side in registers.

use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::TensorData;
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::extension::{PoolingGradient, PoolingOps};
use super::pixelwise;
use crate::channels_last::{from_pixels, pixels};
use crate::convolution::{Layout, Shape};
use crate::fresh::filled;
use crate::memory::{FlexTensor, contiguous, values};
use crate::scratch::with_scratch;
use crate::vector::{LINE, Line};

impl PoolingOps for Flex {
    fn max_pool(input: FloatTensor<Self>, shape: Shape) -> FloatTensor<Self> {
        if let Some(pixels) = pixels(&input).filter(|_| shape.channels_in >= LINE) {
            let output = pixelwise::max_pool(&shape, values(&pixels));
            let [batch, channels, height, width] = shape.of_output();
            let output = TensorData::new(output, [batch, height, width, channels]);
            return from_pixels(&FlexTensor::from_data(output));
        }
        let input = contiguous(input);
        let layout = &Layout::of_whole_lines(&shape);
        let planes = values(&input).par_chunks_exact(shape.pixels_in().max(1));
        let output = filled(shape.of_output().iter().product(), |output| {
            output.par_chunks(shape.pixels_out()).zip(planes).for_each(|(output, plane)| {
                let output = output.zeroed();
                with_scratch(layout.len(), |padded| {
                    layout.fill(plane, f32::NEG_INFINITY, padded);
                    AutoArch::new().dispatch(MaxPool { layout, padded, output });
                });
            });
        });
        FlexTensor::from_data(TensorData::new(output, shape.of_output()))
    }
}

impl PoolingGradient for Flex {
    fn max_pool_gradient(
        input: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        shape: Shape,
    ) -> FloatTensor<Self> {
        let (input, gradient) = (contiguous(input), contiguous(gradient));
        let layout = &Layout::of_whole_lines(&shape);
        let planes = values(&input).par_chunks_exact(shape.pixels_in().max(1));
        let gradients = values(&gradient).par_chunks_exact(shape.pixels_out());
        let output = filled(shape.batch * shape.channels_in * shape.pixels_in(), |output| {
            let pieces = output.par_chunks(shape.pixels_in().max(1)).zip(planes.zip(gradients));
            pieces.for_each(|(output, (plane, gradient))| {
                with_scratch(2 * layout.len(), |scratch| {
                    let (padded, sums) = scratch.split_at_mut(layout.len());
                    layout.fill(plane, f32::NEG_INFINITY, padded);
                    sums.fill(0.0);
                    AutoArch::new().dispatch(MaxPoolGradient { layout, padded, gradient, sums });
                    layout.unfill(sums, output.zeroed());
                });
            });
        });
        let [height, width] = shape.input;
        FlexTensor::from_data(TensorData::new(output, [shape.batch, shape.channels_in, height, width]))
    }
}

struct MaxPool<'a> {
    layout: &'a Layout<'a>,
    padded: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for MaxPool<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let windows = RowsOfWindows::new(self.layout);
        for (row, output) in self.output.chunks_exact_mut(self.layout.shape.output[1]).enumerate() {
            let padded = &self.padded[self.layout.pixel(row, 0)..];
            for (part, output) in output.chunks_mut(LINE).enumerate() {
                let most = windows.most(&padded[part * LINE..]);
                output.copy_from_slice(&most[..output.len()]);
            }
        }
    }
}

struct MaxPoolGradient<'a> {
    layout: &'a Layout<'a>,
    padded: &'a [f32],
    gradient: &'a [f32],
    /// Of the padded plane; is added to.
    sums: &'a mut [f32],
}

impl WithSimd for MaxPoolGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let windows = RowsOfWindows::new(self.layout);
        for (row, gradient) in self.gradient.chunks_exact(self.layout.shape.output[1]).enumerate() {
            let start = self.layout.pixel(row, 0);
            for (part, gradient) in gradient.chunks(LINE).enumerate() {
                let mut gradients = [0.0; LINE];
                gradients[..gradient.len()].copy_from_slice(gradient);
                let start = start + part * LINE;
                windows.pass_back(&self.padded[start..], &gradients, &mut self.sums[start..]);
            }
        }
    }
}

/// Elements of a window at most, as [`Shape::is_depthwise`] allows.
const TAPS: usize = 49;

/// The windows of 16 neighbouring output pixels.
struct RowsOfWindows {
    /// Where the elements of a window lie, seen from its first.
    taps: [usize; TAPS],
    count: usize,
}

impl RowsOfWindows {
    #[inline(always)]
    fn new(layout: &Layout<'_>) -> Self {
        let count = layout.shape.taps();
        let mut taps = [0; TAPS];
        for (index, tap) in taps[..count].iter_mut().enumerate() {
            *tap = layout.tap(index);
        }
        Self { taps, count }
    }

    #[inline(always)]
    fn most(&self, padded: &[f32]) -> Line {
        let mut most = [f32::NEG_INFINITY; LINE];
        for &tap in &self.taps[..self.count] {
            for (most, &number) in most.iter_mut().zip(line(padded, tap)) {
                *most = if number > *most || number.is_nan() { number } else { *most };
            }
        }
        most
    }

    /// Adds each gradient to the first of the largest elements of its window.
    #[inline(always)]
    fn pass_back(&self, padded: &[f32], gradients: &Line, sums: &mut [f32]) {
        let most = self.most(padded);
        let mut left = *gradients;
        for &tap in &self.taps[..self.count] {
            let numbers = line(padded, tap);
            let sums = sums[tap..].first_chunk_mut::<LINE>().expect("whole lines");
            for lane in 0..LINE {
                let found = numbers[lane] == most[lane] || numbers[lane].is_nan();
                sums[lane] += if found { left[lane] } else { 0.0 };
                left[lane] = if found { 0.0 } else { left[lane] };
            }
        }
    }
}

#[inline(always)]
fn line(numbers: &[f32], start: usize) -> &Line {
    numbers[start..].first_chunk().expect("layouts have whole lines")
}
