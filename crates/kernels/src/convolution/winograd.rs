//! Convolutions of 3x3 pixels with stride 1 by Winograd's minimal filtering F(4x4, 3x3).
//!
//! Lavin and Gray 2016, *Fast Algorithms for Convolutional Neural Networks*, arXiv:1509.09308, sections 4.1 to 4.3: a tile of 4x4
//! outputs takes 36 products for each pair of channels instead of 144, at the price of transforms of tiles and kernels.
//!
//! The largest error is about 2e-6 of the largest output, in the gradient of the weights up to 5e-6, where the direct sum has 1e-6:
//! the tests allow 2e-5. An infinity or NaN in the input spreads over the tiles that it lies in: NaN in up to 4x4 outputs for
//! each of them.
//!
//! Tensors are read and written as they are, `[batch, channels, height, width]`. A thread turns some rows of 16 channels at a time
//! into lines with the channels side by side (see [`lines`](crate::lines)), where vector instructions transform 16 tiles at once.

mod bands;
mod gradient;
mod tiles;
mod transform;

use std::ops::Range;

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::shape::Shape;
use crate::finish::Finish;
use crate::fresh::{Fresh, filled};
use crate::lines::to_lines;
use crate::product::{Left, STRIP, Start, StripRow, most_rows, pieces, tile_product};
use crate::scratch::with_scratch;
use crate::vector::{LINE, fetch_lines};
use bands::{Band, Part, bands};
pub(super) use gradient::weight_gradient;
use tiles::{ReadTiles, WritePixels, WriteTiles};
use transform::{OfKernel, transform};

/// Outputs of a tile in each direction.
const TILE: usize = 4;
/// Inputs of a tile in each direction.
const WINDOW: usize = 6;
/// Products for each pair of channels.
const POINTS: usize = WINDOW * WINDOW;
/// Channels below which the transforms cost more than they save.
const FEWEST_CHANNELS: usize = 32;
/// Tiles that are multiplied with all kernels at once: their products stay in the second-level cache.
const MOST_TILES: usize = 128;
/// Tiles of a part that has all channels.
const TILES: usize = 28;
/// Of how many the number of bands is a multiple, where there are so many rows of tiles.
const EVEN: usize = 4;
/// Numbers of transformed kernels that are kept for all tiles, 4 MB. Larger ones are made anew where they are used.
const MOST_KERNELS: usize = 1 << 20;
/// Channels whose kernels are transformed at once: 36 x 64 x 32 x 4 numbers are 300 kB.
const SLICE: usize = 64;

/// Whether this is the way to compute the convolution.
pub(super) fn suits(shape: &Shape) -> bool {
    shape.kernel == [3, 3]
        && shape.stride == [1, 1]
        && shape.dilation == [1, 1]
        && shape.groups == 1
        && shape.padding.iter().all(|&padding| padding <= 2)
        && shape.channels_in.min(shape.channels_out) >= FEWEST_CHANNELS
        && shape.output.iter().all(|&size| size >= TILE)
}

/// The output, `[batch, channels_out, height, width]`.
pub(super) fn forward(shape: &Shape, input: &[f32], weight: &[f32], finish: Finish<'_>) -> Vec<f32> {
    Layer::of(shape).run(input, weight, finish)
}

/// The same of images whose [pixels](crate::channels_last) lie one after the other: `[batch, height, width, channels]`.
pub(super) fn forward_of_pixels(
    shape: &Shape,
    input: &[f32],
    weight: &[f32],
    finish: Finish<'_>,
) -> Vec<f32> {
    Layer { images: Images::Pixels, ..Layer::of(shape) }.run(input, weight, finish)
}

/// The gradient of the input: a convolution of the output's gradient with the kernels turned round.
pub(super) fn input_gradient(
    shape: &Shape,
    weight: &[f32],
    gradient: &[f32],
    finish: Finish<'_>,
) -> Vec<f32> {
    let layer = Layer {
        batch: shape.batch,
        channels_in: shape.channels_out,
        channels_out: shape.channels_in,
        input: shape.output,
        output: shape.input,
        padding: shape.padding.map(|padding| 2 - padding),
        kernels: Kernels::TurnedRound,
        images: Images::Planes,
    };
    layer.run(gradient, weight, finish)
}

/// How a layer sees the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernels {
    /// `[channels_out, channels_in, 3, 3]`.
    AsStored,
    /// `[channels_in, channels_out, 3, 3]`, each kernel from its end.
    TurnedRound,
}

/// What follows what in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Images {
    /// `[batch, channels, height, width]`.
    Planes,
    /// `[batch, height, width, channels]`.
    Pixels,
}

/// Lines from the tiles of a point to those of the next: an odd number, so that the points of a tile don't meet in few sets of the cache.
fn spaced(tiles: usize) -> usize {
    tiles | 1
}

/// A convolution as this file computes it, forwards or backwards.
#[derive(Debug, Clone, Copy)]
struct Layer {
    batch: usize,
    channels_in: usize,
    channels_out: usize,
    input: [usize; 2],
    output: [usize; 2],
    padding: [usize; 2],
    kernels: Kernels,
    images: Images,
}

impl Layer {
    /// The convolution itself.
    fn of(shape: &Shape) -> Self {
        Self {
            batch: shape.batch,
            channels_in: shape.channels_in,
            channels_out: shape.channels_out,
            input: shape.input,
            output: shape.output,
            padding: shape.padding,
            kernels: Kernels::AsStored,
            images: Images::Planes,
        }
    }

    /// Tiles in each direction of an image.
    fn tiles(&self) -> [usize; 2] {
        self.output.map(|size| size.div_ceil(TILE))
    }

    /// Blocks of 16 input channels.
    fn blocks(&self) -> usize {
        self.channels_in.div_ceil(LINE)
    }

    fn run(&self, input: &[f32], weight: &[f32], finish: Finish<'_>) -> Vec<f32> {
        let [rows, columns] = self.tiles();
        let tiles = self.batch * rows * columns;
        filled(self.batch * self.channels_out * self.output[0] * self.output[1], |output| {
            if tiles > MOST_TILES && POINTS * self.channels_in * self.channels_out <= MOST_KERNELS {
                let most = (TILES / columns).max(1);
                // As many bands for each of a few threads.
                let count = (self.batch * rows).div_ceil(most).next_multiple_of(EVEN);
                self.by_tiles(input, weight, finish, bands(self, output, count));
            } else {
                let most = (MOST_TILES / columns).max(1);
                for band in bands(self, output, (self.batch * rows).div_ceil(most)) {
                    self.by_channels(input, weight, finish, band);
                }
            }
        })
    }

    /// Each part has some tiles and all channels.
    fn by_tiles(&self, input: &[f32], weight: &[f32], finish: Finish<'_>, bands: Vec<Band<'_>>) {
        let groups = self.channels_out.div_ceil(STRIP);
        let kernel_step = self.channels_in + 1;
        with_scratch(groups * POINTS * kernel_step * STRIP, |kernels| {
            kernels.par_chunks_mut(POINTS * kernel_step * STRIP).enumerate().for_each(|(group, kernels)| {
                let channels = 0..self.channels_in;
                AutoArch::new().dispatch(TransformKernels { layer: self, weight, group, channels, kernels });
            });
            let kernels: &[f32] = kernels;
            bands.into_par_iter().for_each(|band| {
                let count = band.tiles(self);
                let step = spaced(count);
                let size = self.blocks() * POINTS * step * LINE;
                with_scratch(size + POINTS * step * STRIP, |scratch| {
                    let (tiles, products) = scratch.split_at_mut(size);
                    for (block, tiles) in tiles.chunks_exact_mut(POINTS * step * LINE).enumerate() {
                        let rows = band.rows.clone();
                        AutoArch::new().dispatch(ReadTiles { layer: self, input, rows, block, tiles });
                    }
                    let kernels = kernels.chunks_exact(POINTS * kernel_step * STRIP);
                    let rows = band.rows.clone();
                    for ((group, part), kernels) in band.groups(self).into_iter().enumerate().zip(kernels) {
                        let rows = rows.clone();
                        let channels = 0..self.channels_in;
                        Multiply { tiles, count, channels, kernels, ahead: &[], products }.run();
                        self.write(rows, group, finish, products, part);
                    }
                });
            });
        });
    }

    /// Each part has all tiles of a band and some output channels, so that each kernel is read and transformed once.
    fn by_channels(&self, input: &[f32], weight: &[f32], finish: Finish<'_>, band: Band<'_>) {
        let count = band.tiles(self);
        let step = spaced(count);
        let rows = band.rows.clone();
        with_scratch(self.blocks() * POINTS * step * LINE, |tiles| {
            tiles.par_chunks_exact_mut(POINTS * step * LINE).enumerate().for_each(|(block, tiles)| {
                let rows = rows.clone();
                AutoArch::new().dispatch(ReadTiles { layer: self, input, rows, block, tiles });
            });
            let tiles: &[f32] = tiles;
            band.groups(self).into_par_iter().enumerate().for_each(|(group, part)| {
                let size = POINTS * (SLICE + 1) * STRIP;
                with_scratch(size + POINTS * step * STRIP, |scratch| {
                    let (kernels, products) = scratch.split_at_mut(size);
                    for start in (0..self.channels_in).step_by(SLICE) {
                        let channels = start..(start + SLICE).min(self.channels_in);
                        let kernels = &mut kernels[..POINTS * (channels.len() + 1) * STRIP];
                        AutoArch::new().dispatch(TransformKernels {
                            layer: self,
                            weight,
                            group,
                            channels: channels.clone(),
                            kernels,
                        });
                        let ahead = &match channels.end {
                            end if end == self.channels_in => self.slice_of(weight, group + 1, 0),
                            end => self.slice_of(weight, group, end),
                        };
                        Multiply { tiles, count, channels, kernels, ahead, products }.run();
                    }
                    self.write(rows.clone(), group, finish, products, part);
                });
            });
        });
    }

    /// The kernels of 32 output channels, if there are as many, for a slice of the input's, which starts at `channel`.
    fn slice_of<'a>(&self, weight: &'a [f32], group: usize, channel: usize) -> Vec<&'a [f32]> {
        match self.kernels {
            Kernels::AsStored => {
                let channels = channel * 9..self.channels_in.min(channel + SLICE) * 9;
                let kernels = weight.chunks_exact(self.channels_in * 9).skip(group * STRIP).take(STRIP);
                kernels.map(|kernels| &kernels[channels.clone()]).collect()
            }
            Kernels::TurnedRound => Vec::new(),
        }
    }

    /// From the products to the output's rows of 32 channels.
    fn write(&self, rows: Range<usize>, group: usize, finish: Finish<'_>, products: &[f32], part: Part<'_>) {
        match part {
            Part::Planes(planes) => {
                let planes = &mut planes.into_iter().map(Fresh::zeroed).collect::<Vec<_>>();
                AutoArch::new().dispatch(WriteTiles { layer: self, rows, group, finish, products, planes });
            }
            Part::Pixels(pixels) => {
                AutoArch::new().dispatch(WritePixels { layer: self, rows, group, finish, products, pixels });
            }
        }
    }

    /// Pixels before a row of tiles, counted through the batch.
    fn pixels_before(&self, row: usize) -> usize {
        let ([rows, _], [height, width]) = (self.tiles(), self.output);
        (row / rows * height + row % rows * TILE) * width
    }
}

/// From the weights to `[point, channel in, 32 channels out]`, a row to spare at each point.
struct TransformKernels<'a> {
    layer: &'a Layer,
    weight: &'a [f32],
    group: usize,
    /// Of the input.
    channels: Range<usize>,
    kernels: &'a mut [f32],
}

impl WithSimd for TransformKernels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let (channels_in, channels_out) = (self.layer.channels_in, self.layer.channels_out);
        let kernels = self.kernels.as_chunks_mut::<LINE>().0;
        let step = kernels.len() / POINTS;
        let mut lines = [[0.0; LINE]; 9 * LINE];
        for half in 0..STRIP / LINE {
            let out = self.group * STRIP + half * LINE;
            let rows = channels_out.saturating_sub(out).min(LINE);
            for channel in self.channels.clone().step_by(LINE) {
                let count = LINE.min(self.channels.end - channel);
                let lines = &mut lines[..9 * count];
                match self.layer.kernels {
                    _ if rows == 0 => lines.fill([0.0; LINE]),
                    Kernels::AsStored => {
                        let source = &self.weight[(out * channels_in + channel) * 9..];
                        to_lines::<S>(source, channels_in * 9, rows, lines);
                    }
                    Kernels::TurnedRound => {
                        for (index, kernel) in lines.chunks_exact_mut(9).enumerate() {
                            let source = &self.weight[((channel + index) * channels_out + out) * 9..];
                            to_lines::<S>(source, 9, rows, kernel);
                            kernel.reverse();
                        }
                    }
                }
                for (index, kernel) in lines.chunks_exact(9).enumerate() {
                    let at = (channel - self.channels.start + index) * (STRIP / LINE) + half;
                    transform::<S, OfKernel, 3, 6>(kernel, [3, 1], &mut kernels[at..], [WINDOW * step, step]);
                }
            }
        }
    }
}

/// The products of tiles and kernels at each point, for 32 output channels, summed over some input channels.
struct Multiply<'a> {
    /// `[block, point, tile]` lines.
    tiles: &'a [f32],
    /// Of tiles, which are [`spaced`].
    count: usize,
    /// Of the input. The first start the sum, the others are added.
    channels: Range<usize>,
    kernels: &'a [f32],
    /// What is read next, which comes from memory meanwhile: as many parts as there are points at most.
    ahead: &'a [&'a [f32]],
    /// `[point, tile]` rows.
    products: &'a mut [f32],
}

impl Multiply<'_> {
    fn run(self) {
        AutoArch::new().dispatch(self);
    }
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let step = spaced(self.count);
        let block = POINTS * step;
        let tiles = &self.tiles.as_chunks::<LINE>().0[self.channels.start / LINE * block..];
        let kernels = self.kernels.as_chunks::<STRIP>().0;
        let kernels = kernels.chunks_exact(kernels.len() / POINTS);
        let products = self.products.as_chunks_mut::<STRIP>().0.chunks_exact_mut(step);
        let start = if self.channels.start == 0 { Start::Zero } else { Start::Tile };
        for (point, (kernels, products)) in kernels.zip(products).enumerate() {
            let kernels: &[StripRow] = &kernels[..self.channels.len()];
            if let Some(ahead) = self.ahead.get(point) {
                fetch_lines(ahead, ahead.len().div_ceil(LINE) + 1);
            }
            for (tile, count) in pieces(self.count, most_rows::<S>()) {
                let left = Left { lines: &tiles[point * step + tile..], block };
                tile_product::<S>(left, kernels, start, &mut products[tile..tile + count]);
            }
        }
    }
}
