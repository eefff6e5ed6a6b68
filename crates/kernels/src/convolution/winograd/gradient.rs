//! The gradient of the weights, multiplied in the transformed domain.

use std::ops::Range;

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::tiles::{ReadTiles, Source};
use super::transform::{OfGradient, ToKernel, transform};
use super::{Images, Layer, POINTS, TILE, WINDOW, spaced};
use crate::convolution::shape::Shape;
use crate::lines::from_lines;
use crate::product::{STRIP, Start, StripRow, add_transposed_product};
use crate::scratch::with_scratch;
use crate::vector::LINE;

/// Transformed numbers of both factors that are kept at a time: 16 MB, about the third-level cache.
const MOST_TRANSFORMED: usize = 4 << 20;
/// Tiles whose products are summed in one go.
const TILES: usize = 64;

/// The gradient of the weights, `[channels_out, channels_in, 3, 3]`.
pub(in crate::convolution) fn weight_gradient(shape: &Shape, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    let layer = &Layer::of(shape);
    let [rows, columns] = layer.tiles();
    let (all_rows, groups) = (layer.batch * rows, layer.channels_out.div_ceil(STRIP));
    let per_row = POINTS * columns * (layer.blocks() * LINE + groups * STRIP);
    let most = (MOST_TRANSFORMED / per_row).max(1);
    let mut output = vec![0.0; layer.channels_out * layer.channels_in * 9];
    if all_rows <= most {
        let transformed = Transformed { layer, input, gradient, rows: 0..all_rows };
        transformed.with(|parts| {
            output.par_chunks_mut(STRIP * layer.channels_in * 9).enumerate().for_each(|(group, output)| {
                for block in 0..layer.blocks() {
                    with_scratch(SUMS, |sums| {
                        parts.add(block, group, Start::Zero, sums);
                        AutoArch::new().dispatch(WriteKernels { layer, sums, block, output });
                    });
                }
            });
        });
        return output;
    }
    with_scratch(layer.blocks() * groups * SUMS, |sums| {
        for start in (0..all_rows).step_by(most) {
            let rows = start..(start + most).min(all_rows);
            Transformed { layer, input, gradient, rows }.with(|parts| {
                let from = if start == 0 { Start::Zero } else { Start::Tile };
                sums.par_chunks_exact_mut(SUMS).enumerate().for_each(|(part, sums)| {
                    parts.add(part / groups, part % groups, from, sums);
                });
            });
        }
        output.par_chunks_mut(STRIP * layer.channels_in * 9).enumerate().for_each(|(group, output)| {
            for (block, sums) in sums.chunks_exact(SUMS).skip(group).step_by(groups).enumerate() {
                AutoArch::new().dispatch(WriteKernels { layer, sums, block, output });
            }
        });
    });
    output
}

/// Some rows of tiles of both factors, to be transformed.
struct Transformed<'a> {
    layer: &'a Layer,
    input: &'a [f32],
    gradient: &'a [f32],
    rows: Range<usize>,
}

impl Transformed<'_> {
    fn with(self, f: impl FnOnce(Parts<'_>)) {
        let Self { layer, input, gradient, rows } = self;
        let count = rows.len() * layer.tiles()[1];
        let step = spaced(count);
        let (block_size, group_size) = (POINTS * step * LINE, POINTS * step * STRIP);
        let size = layer.blocks() * block_size;
        with_scratch(size + layer.channels_out.div_ceil(STRIP) * group_size, |scratch| {
            let (tiles, gradients) = scratch.split_at_mut(size);
            tiles.par_chunks_exact_mut(block_size).enumerate().for_each(|(block, tiles)| {
                AutoArch::new().dispatch(ReadTiles { layer, input, rows: rows.clone(), block, tiles });
            });
            gradients.par_chunks_exact_mut(group_size).enumerate().for_each(|(group, gradients)| {
                AutoArch::new().dispatch(ReadGradient {
                    layer,
                    gradient,
                    rows: rows.clone(),
                    group,
                    gradients,
                });
            });
            f(Parts { count, tiles, gradients, block_size, group_size });
        });
    }
}

/// Both factors, transformed.
struct Parts<'a> {
    /// Of tiles.
    count: usize,
    /// `[block, point, tile]` lines.
    tiles: &'a [f32],
    /// `[group, point, tile]` rows.
    gradients: &'a [f32],
    block_size: usize,
    group_size: usize,
}

impl Parts<'_> {
    /// The products of a block of input channels and a group of output channels, summed over the tiles.
    fn add(&self, block: usize, group: usize, start: Start, sums: &mut [f32]) {
        if start == Start::Zero {
            sums.fill(0.0);
        }
        let tiles = &self.tiles[block * self.block_size..][..self.block_size];
        let gradients = &self.gradients[group * self.group_size..][..self.group_size];
        AutoArch::new().dispatch(AddProducts { tiles, gradients, count: self.count, sums });
    }
}

/// Numbers of the transformed gradient of 16 x 32 kernels: `[point, channel in, 32 channels out]`.
const SUMS: usize = POINTS * LINE * STRIP;

/// From the output's gradient to `[point, tile]` rows of 32 channels.
struct ReadGradient<'a> {
    layer: &'a Layer,
    gradient: &'a [f32],
    rows: Range<usize>,
    group: usize,
    gradients: &'a mut [f32],
}

impl WithSimd for ReadGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let [rows, columns] = self.layer.tiles();
        let gradients = self.gradients.as_chunks_mut::<LINE>().0;
        let step = gradients.len() / POINTS;
        let width = columns * TILE;
        let channels = self.layer.channels_out;
        let source = Source {
            numbers: self.gradient,
            images: Images::Planes,
            channels,
            size: self.layer.output,
            padding: [0, 0],
        };
        let mut lines = vec![[0.0; LINE]; TILE * width];
        for half in 0..STRIP / LINE {
            let block = self.group * (STRIP / LINE) + half;
            for (index, row) in self.rows.clone().enumerate() {
                if block * LINE < channels {
                    source.read_rows::<S>(row / rows, block, row % rows * TILE, &mut lines, width);
                } else {
                    lines.fill([0.0; LINE]);
                }
                for column in 0..columns {
                    let to = &mut gradients[(index * columns + column) * (STRIP / LINE) + half..];
                    transform::<S, OfGradient, 4, 6>(
                        &lines[column * TILE..],
                        [width, 1],
                        to,
                        [WINDOW * step, step],
                    );
                }
            }
        }
    }
}

/// Adds the products of a block of input channels and a group of output channels, summed over tiles.
struct AddProducts<'a> {
    tiles: &'a [f32],
    gradients: &'a [f32],
    count: usize,
    sums: &'a mut [f32],
}

impl WithSimd for AddProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let tiles = self.tiles.as_chunks::<LINE>().0;
        let gradients = self.gradients.as_chunks::<STRIP>().0;
        let step = tiles.len() / POINTS;
        let sums = self.sums.as_chunks_mut::<STRIP>().0.as_chunks_mut::<LINE>().0;
        for (point, sums) in sums.iter_mut().enumerate() {
            let tiles = &tiles[point * step..][..self.count];
            let gradients: &[StripRow] = &gradients[point * step..][..self.count];
            for (tiles, gradients) in tiles.chunks(TILES).zip(gradients.chunks(TILES)) {
                add_transposed_product::<S>(tiles, gradients, sums);
            }
        }
    }
}

/// From the sums of a block and a group to the weights.
struct WriteKernels<'a> {
    layer: &'a Layer,
    sums: &'a [f32],
    block: usize,
    /// Of 32 output channels.
    output: &'a mut [f32],
}

impl WithSimd for WriteKernels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let sums = self.sums.as_chunks::<LINE>().0;
        let step = sums.len() / POINTS;
        let first = self.block * LINE;
        let channels = LINE.min(self.layer.channels_in - first);
        let mut kernels = [[0.0; LINE]; 9 * LINE];
        for half in 0..STRIP / LINE {
            for (channel, kernel) in kernels.chunks_exact_mut(9).take(channels).enumerate() {
                let from = &sums[channel * (STRIP / LINE) + half..];
                transform::<S, ToKernel, 6, 3>(from, [WINDOW * step, step], kernel, [3, 1]);
            }
            let rows = self.output.chunks_exact_mut(self.layer.channels_in * 9).skip(half * LINE).take(LINE);
            let mut rows: Vec<&mut [f32]> = rows.collect();
            from_lines::<S>(&kernels[..9 * channels], &[1.0; LINE], &[0.0; LINE], &mut rows, first * 9);
        }
    }
}
