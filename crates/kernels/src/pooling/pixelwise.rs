//! Pooling of images whose [pixels](crate::channels_last) lie one after the other: 16 channels side by side.

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use crate::channels_last::blocks;
use crate::convolution::Shape;
use crate::fresh::filled;
use crate::vector::LINE;

/// The largest of each window, `[batch, height, width, channels]` as the input, at least 16 of them.
pub(super) fn max_pool(shape: &Shape, input: &[f32]) -> Vec<f32> {
    let row = shape.output[1] * shape.channels_out;
    filled(shape.of_output().iter().product(), |output| {
        output.par_chunks(row).enumerate().for_each(|(index, output)| {
            AutoArch::new().dispatch(MaxRow { shape, input, index, output: output.full(f32::NEG_INFINITY) });
        });
    })
}

/// A row of pixels.
struct MaxRow<'a> {
    shape: &'a Shape,
    input: &'a [f32],
    /// Counted through the batch.
    index: usize,
    /// Numbers that are larger become the result.
    output: &'a mut [f32],
}

impl WithSimd for MaxRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { shape, input, index, output } = self;
        let (channels, [height, width]) = (shape.channels_out, shape.input);
        let (rows, first_row) = shape.met(0, index % shape.output[0]);
        let first_row = index / shape.output[0] * height + first_row;
        for (column, output) in output.chunks_exact_mut(channels).enumerate() {
            let (columns, first_column) = shape.met(1, column);
            for channel in blocks(channels) {
                let most = output[channel..].first_chunk_mut::<LINE>().expect("a whole block");
                for row in 0..rows.len() {
                    let row = first_row + row * shape.dilation[0];
                    for column in 0..columns.len() {
                        let pixel = row * width + first_column + column * shape.dilation[1];
                        let numbers = input[pixel * channels + channel..].first_chunk::<LINE>();
                        for (most, &number) in most.iter_mut().zip(numbers.expect("a whole block")) {
                            *most = if number > *most || number.is_nan() { number } else { *most };
                        }
                    }
                }
            }
        }
    }
}
