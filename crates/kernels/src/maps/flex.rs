//! Feature maps on flex, whose [pixels](crate::channels_last) may lie one after the other.

use burn::tensor::TensorData;
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use crate::channels_last::{are_pixels, from_pixels, into_pixels, pixels};
use crate::fresh::filled;
use crate::memory::{CHUNK, FlexTensor, contiguous, rework, values};

pub(super) fn scale_channels(input: FlexTensor, factors: FlexTensor) -> FlexTensor {
    let factors = contiguous(factors);
    let factors = values(&factors);
    if let Some(pixels) = pixels(&input) {
        drop(input);
        let shape = pixels.layout().shape();
        let [batch, height, width, channels] = std::array::from_fn(|axis| shape[axis]);
        let factors =
            (0..batch * height).into_par_iter().map(|row| &factors[row / height * channels..][..channels]);
        return from_pixels(&rework(pixels, width * channels, factors, |row, factors| {
            AutoArch::new().dispatch(ScalePixels { row, factors });
        }));
    }
    let shape = input.layout().shape();
    let plane = shape[2] * shape[3];
    rework(input, plane, factors.par_iter(), |plane, &factor| {
        AutoArch::new().dispatch(ScalePlane { plane, factor });
    })
}

struct ScalePixels<'a> {
    row: &'a mut [f32],
    factors: &'a [f32],
}

impl WithSimd for ScalePixels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        for pixel in self.row.chunks_exact_mut(self.factors.len()) {
            for (number, factor) in pixel.iter_mut().zip(self.factors) {
                *number *= factor;
            }
        }
    }
}

struct ScalePlane<'a> {
    plane: &'a mut [f32],
    factor: f32,
}

impl WithSimd for ScalePlane<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        for number in self.plane {
            *number *= self.factor;
        }
    }
}

/// In the order of pixels where one of the maps lies in it.
pub(super) fn concat_channels(maps: Vec<FlexTensor>) -> FlexTensor {
    let shape = maps[0].layout().shape();
    let [batch, height, width] = [shape[0], shape[2], shape[3]];
    let each: Vec<usize> = maps.iter().map(|map| map.layout().shape()[1]).collect();
    let channels: usize = each.iter().sum();
    let are_pixels = maps.iter().any(are_pixels);
    let maps: Vec<FlexTensor> =
        maps.into_iter().map(if are_pixels { into_pixels } else { contiguous }).collect();
    // What is copied at once: of each map the channels of a pixel, or all planes of an image.
    let (pieces, length) = if are_pixels { (batch * height * width, 1) } else { (batch, height * width) };
    let at_a_time = (CHUNK / (channels * length).max(1)).max(1);
    let numbers = filled(pieces * channels * length, |output| {
        output.par_chunks((at_a_time * channels * length).max(1)).enumerate().for_each(|(part, output)| {
            for (index, mut output) in output.chunks(channels * length).enumerate() {
                let piece = part * at_a_time + index;
                for (map, &channels) in maps.iter().zip(&each) {
                    let (here, after) = output.split_at(channels * length);
                    here.copied(&values(map)[piece * channels * length..][..channels * length]);
                    output = after;
                }
                output.zeroed();
            }
        });
    });
    if are_pixels {
        let numbers = TensorData::new(numbers, [batch, height, width, channels]);
        return from_pixels(&FlexTensor::from_data(numbers));
    }
    FlexTensor::from_data(TensorData::new(numbers, [batch, channels, height, width]))
}
