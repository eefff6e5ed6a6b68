//! The gradient of the weights, multiplied in the transformed domain.

use std::ops::Range;

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::method::{Differentiable, Map, Method};
use super::tiles::{ReadTiles, Source};
use super::{Images, Layer, Points, spaced};
use crate::finish::OfChannels;
use crate::lines::from_lines;
use crate::product::{STRIP, Start, StripRow, add_transposed_product};
use crate::scratch::with_scratch;
use crate::vector::LINE;

/// Transformed numbers of both factors that are kept at a time: 16 MB, about the third-level cache.
const MOST_TRANSFORMED: usize = 4 << 20;
/// Tiles whose products are summed in one go.
const TILES: usize = 64;

impl<M: Differentiable> Layer<M> {
    /// The gradient of the weights, `[channels_out, channels_in, kernel height, kernel width]`.
    pub(super) fn weight_gradient(&self, input: &[f32], gradient: &[f32]) -> Vec<f32> {
        const { assert!(M::IS_REVERSE) }
        let (layer, size) = (self, sums_size::<M>());
        let [rows, columns] = layer.tiles();
        let (all_rows, groups) = (layer.batch * rows, layer.channels_out.div_ceil(STRIP));
        let per_row = columns * (M::POINTS * layer.blocks() * LINE + M::ALL_SUMS * groups * STRIP);
        let most = (MOST_TRANSFORMED / per_row).max(1);
        let mut output = vec![0.0; layer.channels_out * layer.channels_in * M::TAPS];
        if all_rows <= most {
            let transformed = Transformed { layer, input, gradient, rows: 0..all_rows };
            transformed.with(|parts| {
                output.par_chunks_mut(STRIP * layer.channels_in * M::TAPS).enumerate().for_each(
                    |(group, output)| {
                        for block in 0..layer.blocks() {
                            with_scratch(size, |sums| {
                                parts.add(block, group, Start::Zero, sums);
                                AutoArch::new().dispatch(WriteKernels { layer, sums, block, output });
                            });
                        }
                    },
                );
            });
            return output;
        }
        with_scratch(layer.blocks() * groups * size, |sums| {
            for start in (0..all_rows).step_by(most) {
                let rows = start..(start + most).min(all_rows);
                Transformed { layer, input, gradient, rows }.with(|parts| {
                    let from = if start == 0 { Start::Zero } else { Start::Tile };
                    sums.par_chunks_exact_mut(size).enumerate().for_each(|(part, sums)| {
                        parts.add(part / groups, part % groups, from, sums);
                    });
                });
            }
            output.par_chunks_mut(STRIP * layer.channels_in * M::TAPS).enumerate().for_each(
                |(group, output)| {
                    for (block, sums) in sums.chunks_exact(size).skip(group).step_by(groups).enumerate() {
                        AutoArch::new().dispatch(WriteKernels { layer, sums, block, output });
                    }
                },
            );
        });
        output
    }
}

/// Some rows of tiles of both factors, to be transformed.
struct Transformed<'a, M> {
    layer: &'a Layer<M>,
    input: &'a [f32],
    gradient: &'a [f32],
    rows: Range<usize>,
}

impl<M: Differentiable> Transformed<'_, M> {
    fn with(self, f: impl FnOnce(Parts<'_>)) {
        let Self { layer, input, gradient, rows } = self;
        let count = rows.len() * layer.tiles()[1];
        let step = spaced(count);
        let (block_size, group_size) = (M::POINTS * step * LINE, M::ALL_SUMS * step * STRIP);
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
            f(Parts { points: Points::of::<M>(), count, tiles, gradients, block_size, group_size });
        });
    }
}

/// Both factors, transformed.
struct Parts<'a> {
    points: Points,
    /// Of tiles.
    count: usize,
    /// `[block, point, tile]` lines.
    tiles: &'a [f32],
    /// `[group, sum, tile]` rows.
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
        AutoArch::new().dispatch(AddProducts {
            points: self.points,
            tiles,
            gradients,
            count: self.count,
            sums,
        });
    }
}

/// Numbers of the transformed gradient of 16 x 32 kernels: `[point, channel in, 32 channels out]`.
const fn sums_size<M: Method>() -> usize {
    M::POINTS * LINE * STRIP
}

/// From the output's gradient to `[sum, tile]` rows of 32 channels.
struct ReadGradient<'a, M> {
    layer: &'a Layer<M>,
    gradient: &'a [f32],
    rows: Range<usize>,
    group: usize,
    gradients: &'a mut [f32],
}

impl<M: Differentiable> WithSimd for ReadGradient<'_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let [rows, columns] = self.layer.tiles();
        let gradients = self.gradients.as_chunks_mut::<LINE>().0;
        let step = gradients.len() / M::ALL_SUMS;
        let width = columns * M::TILE;
        let channels = self.layer.channels_out;
        let source = Source {
            numbers: self.gradient,
            images: Images::Planes,
            channels,
            size: self.layer.output,
            padding: [0, 0],
        };
        let mut lines = vec![[0.0; LINE]; M::TILE * width];
        for half in 0..STRIP / LINE {
            let block = self.group * (STRIP / LINE) + half;
            for (index, row) in self.rows.clone().enumerate() {
                if block * LINE < channels {
                    source.read_rows::<S>(row / rows, block, row % rows * M::TILE, &mut lines, width);
                } else {
                    lines.fill([0.0; LINE]);
                }
                for column in 0..columns {
                    let to = &mut gradients[(index * columns + column) * (STRIP / LINE) + half..];
                    let (from, sums) = (&lines[column * M::TILE..], M::OfGradient::TO);
                    M::OfGradient::apply::<S>(from, [width, 1], to, [sums * step, step]);
                }
            }
        }
    }
}

/// Adds the products of a block of input channels and a group of output channels, summed over tiles.
struct AddProducts<'a> {
    points: Points,
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
        let step = tiles.len() / self.points.count;
        let sums = self.sums.as_chunks_mut::<STRIP>().0.as_chunks_mut::<LINE>().0;
        for (point, sums) in sums.iter_mut().enumerate() {
            let tiles = &tiles[point * step..][..self.count];
            let (sum, _) = (self.points.sum_of)(point);
            let gradients: &[StripRow] = &gradients[sum * step..][..self.count];
            for (tiles, gradients) in tiles.chunks(TILES).zip(gradients.chunks(TILES)) {
                add_transposed_product::<S>(tiles, gradients, sums);
            }
        }
    }
}

/// From the sums of a block and a group to the weights.
struct WriteKernels<'a, M> {
    layer: &'a Layer<M>,
    sums: &'a [f32],
    block: usize,
    /// Of 32 output channels.
    output: &'a mut [f32],
}

impl<M: Differentiable> WithSimd for WriteKernels<'_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let sums = self.sums.as_chunks::<LINE>().0;
        let step = sums.len() / M::POINTS;
        let first = self.block * LINE;
        let channels = LINE.min(self.layer.channels_in - first);
        let mut kernels = vec![[0.0; LINE]; M::TAPS * LINE];
        for half in 0..STRIP / LINE {
            for (channel, kernel) in kernels.chunks_exact_mut(M::TAPS).take(channels).enumerate() {
                let from = &sums[channel * (STRIP / LINE) + half..];
                let (points, elements) = (M::ToKernel::FROM, M::ToKernel::TO);
                M::ToKernel::apply::<S>(from, [points * step, step], kernel, [elements, 1]);
            }
            let rows =
                self.output.chunks_exact_mut(self.layer.channels_in * M::TAPS).skip(half * LINE).take(LINE);
            let mut rows: Vec<&mut [f32]> = rows.collect();
            from_lines::<S>(&kernels[..M::TAPS * channels], &OfChannels::NONE, &mut rows, first * M::TAPS);
        }
    }
}
