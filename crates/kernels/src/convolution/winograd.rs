//! Convolutions by Winograd's minimal filtering: fewer products, at the price of transforms of tiles and kernels.
//!
//! Lavin and Gray 2016, *Fast Algorithms for Convolutional Neural Networks*, arXiv:1509.09308, sections 4.1 to 4.3.
//!
//! | kernel, stride | outputs of a tile | products for each pair of channels, of | where |
//! |---|---|---|---|
//! | 3x3, 1 | 4x4 | 36 of 144 | F(4x4, 3x3) |
//! | 3x3, 2 | 2x2 | 25 of 36 | F(2, 2) for every other pixel, the pixels between them as they are |
//! | 4x4, 2 | 2x2 | 36 of 64 | F(2, 2) for every other pixel, and for those between them |
//!
//! The largest error with stride 1 is about 2e-6 of the largest output, in the gradient of the weights up to 5e-6, where the direct sum has 1e-6:
//! the tests allow 2e-5, and an infinity or NaN in the input spreads over the tiles that it lies in: NaN in up to 4x4 outputs for each of
//! them. With stride 2 nothing but sums and differences is transformed: the error is that of the direct sum, and what isn't finite reaches the outputs
//! that see it (where an infinity can become NaN).
//!
//! Tensors are read and written as they are, `[batch, channels, height, width]`. A thread turns some rows of 16 channels at a time
//! into lines with the channels side by side (see [`lines`](crate::lines)), where vector instructions transform 16 tiles at once.

mod bands;
mod gradient;
mod method;
mod tiles;
mod transform;

use std::marker::PhantomData;
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
use method::{Map, Method, Spread3, Spread4, Strided3, Strided4, Unstrided};
use tiles::{ReadTiles, WritePixels, WriteTiles};

/// Channels below which the transforms cost more than they save.
const FEWEST_CHANNELS: usize = 32;
/// Outputs in each direction below which tiles are mostly empty.
const FEWEST_OUTPUTS: usize = 4;
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

/// A convolution that has a method.
#[derive(Debug, Clone, Copy)]
pub(super) enum Winograd<'a> {
    Unstrided(&'a Shape),
    Strided3(&'a Shape),
    Strided4(&'a Shape),
}

impl<'a> Winograd<'a> {
    /// If this is the way to compute the convolution.
    pub(super) fn of(shape: &'a Shape) -> Option<Self> {
        let fits = shape.dilation == [1, 1]
            && shape.groups == 1
            && shape.channels_in.min(shape.channels_out) >= FEWEST_CHANNELS
            && shape.output.iter().all(|&size| size >= FEWEST_OUTPUTS);
        match (shape.kernel, shape.stride, shape.padding) {
            _ if !fits => None,
            ([3, 3], [1, 1], [..=2, ..=2]) => Some(Self::Unstrided(shape)),
            ([3, 3], [2, 2], [1, 1]) => Some(Self::Strided3(shape)),
            ([4, 4], [2, 2], [1, 1]) => Some(Self::Strided4(shape)),
            _ => None,
        }
    }

    /// Whether it is also faster than the product with a weight that is [kept](crate::prepared) in the order for it, as floats or in
    /// a narrow type that the processor multiplies.
    pub(super) fn beats_kept(self, is_narrow: bool) -> bool {
        let (shape, points, tile) = match self {
            Self::Unstrided(_) => return true,
            Self::Strided3(shape) => (shape, Strided3::POINTS, Strided3::TILE),
            Self::Strided4(shape) => (shape, Strided4::POINTS, Strided4::TILE),
        };
        let tiles = shape.batch * shape.output.map(|size| size.div_ceil(tile)).iter().product::<usize>();
        // In measurements, transforming a kernel cost as much as a few tiles, and a tile a fourth more than its products.
        let cost = (tiles + 5) * points * 5 / 4;
        !is_narrow && cost < shape.batch * shape.pixels_out() * shape.taps()
    }

    /// The output, `[batch, channels_out, height, width]`.
    pub(super) fn forward(self, input: &[f32], weight: &[f32], finish: Finish<'_>) -> Vec<f32> {
        self.forward_of(Images::Planes, input, weight, finish)
    }

    /// The same of images whose [pixels](crate::channels_last) lie one after the other: `[batch, height, width, channels]`.
    pub(super) fn forward_of_pixels(self, input: &[f32], weight: &[f32], finish: Finish<'_>) -> Vec<f32> {
        self.forward_of(Images::Pixels, input, weight, finish)
    }

    fn forward_of(self, images: Images, input: &[f32], weight: &[f32], finish: Finish<'_>) -> Vec<f32> {
        match self {
            Self::Unstrided(shape) => Layer::<Unstrided>::of(shape, images).run(input, weight, finish),
            Self::Strided3(shape) => Layer::<Strided3>::of(shape, images).run(input, weight, finish),
            Self::Strided4(shape) => Layer::<Strided4>::of(shape, images).run(input, weight, finish),
        }
    }

    /// The gradient of the input: a convolution of the output's gradient with the kernels turned round.
    pub(super) fn input_gradient(self, weight: &[f32], gradient: &[f32], finish: Finish<'_>) -> Vec<f32> {
        match self {
            Self::Unstrided(shape) => {
                let padding = shape.padding.map(|padding| 2 - padding);
                Layer::<Unstrided>::back(shape, padding).run(gradient, weight, finish)
            }
            Self::Strided3(shape) => Layer::<Spread3>::back(shape, [0, 0]).run(gradient, weight, finish),
            Self::Strided4(shape) => Layer::<Spread4>::back(shape, [1, 1]).run(gradient, weight, finish),
        }
    }

    /// The gradient of the weights, `[channels_out, channels_in, kernel height, kernel width]`.
    pub(super) fn weight_gradient(self, input: &[f32], gradient: &[f32]) -> Vec<f32> {
        match self {
            Self::Unstrided(shape) => {
                Layer::<Unstrided>::of(shape, Images::Planes).weight_gradient(input, gradient)
            }
            Self::Strided3(shape) => {
                Layer::<Strided3>::of(shape, Images::Planes).weight_gradient(input, gradient)
            }
            Self::Strided4(shape) => {
                Layer::<Strided4>::of(shape, Images::Planes).weight_gradient(input, gradient)
            }
        }
    }
}

/// How a layer sees the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernels {
    /// `[channels_out, channels_in, height, width]`.
    AsStored,
    /// `[channels_in, channels_out, height, width]`, each kernel from its end.
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
struct Layer<M> {
    batch: usize,
    channels_in: usize,
    channels_out: usize,
    input: [usize; 2],
    output: [usize; 2],
    padding: [usize; 2],
    kernels: Kernels,
    images: Images,
    method: PhantomData<M>,
}

impl<M: Method> Layer<M> {
    /// The convolution itself.
    fn of(shape: &Shape, images: Images) -> Self {
        Self {
            batch: shape.batch,
            channels_in: shape.channels_in,
            channels_out: shape.channels_out,
            input: shape.input,
            output: shape.output,
            padding: shape.padding,
            kernels: Kernels::AsStored,
            images,
            method: PhantomData,
        }
    }

    /// The way back from the output's gradient to the input's.
    fn back(shape: &Shape, padding: [usize; 2]) -> Self {
        Self {
            batch: shape.batch,
            channels_in: shape.channels_out,
            channels_out: shape.channels_in,
            input: shape.output,
            output: shape.input,
            padding,
            kernels: Kernels::TurnedRound,
            images: Images::Planes,
            method: PhantomData,
        }
    }

    /// Tiles in each direction of an image.
    fn tiles(&self) -> [usize; 2] {
        self.output.map(|size| size.div_ceil(M::TILE))
    }

    /// Blocks of 16 input channels.
    fn blocks(&self) -> usize {
        self.channels_in.div_ceil(LINE)
    }

    fn run(&self, input: &[f32], weight: &[f32], finish: Finish<'_>) -> Vec<f32> {
        const { assert!(M::IS_CONSISTENT) }
        let [rows, columns] = self.tiles();
        let tiles = self.batch * rows * columns;
        filled(self.batch * self.channels_out * self.output[0] * self.output[1], |output| {
            if tiles > MOST_TILES && M::POINTS * self.channels_in * self.channels_out <= MOST_KERNELS {
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
        let (groups, points) = (self.channels_out.div_ceil(STRIP), Points::of::<M>());
        let kernel_step = self.channels_in + 1;
        with_scratch(groups * M::POINTS * kernel_step * STRIP, |kernels| {
            kernels.par_chunks_mut(M::POINTS * kernel_step * STRIP).enumerate().for_each(
                |(group, kernels)| {
                    let channels = 0..self.channels_in;
                    AutoArch::new().dispatch(TransformKernels {
                        layer: self,
                        weight,
                        group,
                        channels,
                        kernels,
                    });
                },
            );
            let kernels: &[f32] = kernels;
            bands.into_par_iter().for_each(|band| {
                let count = band.tiles(self);
                let step = spaced(count);
                let size = self.blocks() * M::POINTS * step * LINE;
                with_scratch(size + M::ALL_SUMS * step * STRIP, |scratch| {
                    let (tiles, products) = scratch.split_at_mut(size);
                    for (block, tiles) in tiles.chunks_exact_mut(M::POINTS * step * LINE).enumerate() {
                        let rows = band.rows.clone();
                        AutoArch::new().dispatch(ReadTiles { layer: self, input, rows, block, tiles });
                    }
                    let kernels = kernels.chunks_exact(M::POINTS * kernel_step * STRIP);
                    let rows = band.rows.clone();
                    for ((group, part), kernels) in band.groups(self).into_iter().enumerate().zip(kernels) {
                        let rows = rows.clone();
                        let channels = 0..self.channels_in;
                        Multiply { points, tiles, count, channels, kernels, ahead: &[], products }.run();
                        self.write(rows, group, finish, products, part);
                    }
                });
            });
        });
    }

    /// Each part has all tiles of a band and some output channels, so that each kernel is read and transformed once.
    fn by_channels(&self, input: &[f32], weight: &[f32], finish: Finish<'_>, band: Band<'_>) {
        let (count, points) = (band.tiles(self), Points::of::<M>());
        let step = spaced(count);
        let rows = band.rows.clone();
        with_scratch(self.blocks() * M::POINTS * step * LINE, |tiles| {
            tiles.par_chunks_exact_mut(M::POINTS * step * LINE).enumerate().for_each(|(block, tiles)| {
                let rows = rows.clone();
                AutoArch::new().dispatch(ReadTiles { layer: self, input, rows, block, tiles });
            });
            let tiles: &[f32] = tiles;
            band.groups(self).into_par_iter().enumerate().for_each(|(group, part)| {
                let size = M::POINTS * (SLICE + 1) * STRIP;
                with_scratch(size + M::ALL_SUMS * step * STRIP, |scratch| {
                    let (kernels, products) = scratch.split_at_mut(size);
                    for start in (0..self.channels_in).step_by(SLICE) {
                        let channels = start..(start + SLICE).min(self.channels_in);
                        let kernels = &mut kernels[..M::POINTS * (channels.len() + 1) * STRIP];
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
                        Multiply { points, tiles, count, channels, kernels, ahead, products }.run();
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
                let channels = channel * M::TAPS..self.channels_in.min(channel + SLICE) * M::TAPS;
                let kernels = weight.chunks_exact(self.channels_in * M::TAPS).skip(group * STRIP).take(STRIP);
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
        (row / rows * height + row % rows * M::TILE) * width
    }
}

/// From the weights to `[point, channel in, 32 channels out]`, a row to spare at each point.
struct TransformKernels<'a, M> {
    layer: &'a Layer<M>,
    weight: &'a [f32],
    group: usize,
    /// Of the input.
    channels: Range<usize>,
    kernels: &'a mut [f32],
}

impl<M: Method> WithSimd for TransformKernels<'_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let (channels_in, channels_out) = (self.layer.channels_in, self.layer.channels_out);
        let kernels = self.kernels.as_chunks_mut::<LINE>().0;
        let step = kernels.len() / M::POINTS;
        let mut lines = vec![[0.0; LINE]; M::TAPS * LINE];
        for half in 0..STRIP / LINE {
            let out = self.group * STRIP + half * LINE;
            let rows = channels_out.saturating_sub(out).min(LINE);
            for channel in self.channels.clone().step_by(LINE) {
                let count = LINE.min(self.channels.end - channel);
                let lines = &mut lines[..M::TAPS * count];
                match self.layer.kernels {
                    _ if rows == 0 => lines.fill([0.0; LINE]),
                    Kernels::AsStored => {
                        let source = &self.weight[(out * channels_in + channel) * M::TAPS..];
                        to_lines::<S>(source, channels_in * M::TAPS, rows, lines);
                    }
                    Kernels::TurnedRound => {
                        for (index, kernel) in lines.chunks_exact_mut(M::TAPS).enumerate() {
                            let source = &self.weight[((channel + index) * channels_out + out) * M::TAPS..];
                            to_lines::<S>(source, M::TAPS, rows, kernel);
                            kernel.reverse();
                        }
                    }
                }
                for (index, kernel) in lines.chunks_exact(M::TAPS).enumerate() {
                    let at = (channel - self.channels.start + index) * (STRIP / LINE) + half;
                    let (from, to) = ([M::OfKernel::FROM, 1], [M::OfKernel::TO * step, step]);
                    M::OfKernel::apply::<S>(kernel, from, &mut kernels[at..], to);
                }
            }
        }
    }
}

/// The points of a method, for what is compiled once for all.
#[derive(Debug, Clone, Copy)]
struct Points {
    count: usize,
    /// See [`Method::sum_of`].
    sum_of: fn(usize) -> (usize, bool),
}

impl Points {
    fn of<M: Method>() -> Self {
        Self { count: M::POINTS, sum_of: M::sum_of }
    }
}

/// The products of tiles and kernels at each point, for 32 output channels, summed over some input channels.
struct Multiply<'a> {
    points: Points,
    /// `[block, point, tile]` lines.
    tiles: &'a [f32],
    /// Of tiles, which are [`spaced`].
    count: usize,
    /// Of the input. The first start the sum, the others are added.
    channels: Range<usize>,
    kernels: &'a [f32],
    /// What is read next, which comes from memory meanwhile.
    ahead: &'a [&'a [f32]],
    /// `[sum, tile]` rows.
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
        let block = self.points.count * step;
        let tiles = &self.tiles.as_chunks::<LINE>().0[self.channels.start / LINE * block..];
        let kernels = self.kernels.as_chunks::<STRIP>().0;
        let kernels = kernels.chunks_exact(kernels.len() / self.points.count);
        let products = self.products.as_chunks_mut::<STRIP>().0;
        for (point, kernels) in kernels.enumerate() {
            let (sum, is_first) = (self.points.sum_of)(point);
            let start = if is_first && self.channels.start == 0 { Start::Zero } else { Start::Tile };
            let products = &mut products[sum * step..][..step];
            let kernels: &[StripRow] = &kernels[..self.channels.len()];
            for ahead in self.ahead.iter().skip(point).step_by(self.points.count) {
                fetch_lines(ahead, ahead.len().div_ceil(LINE) + 1);
            }
            for (tile, count) in pieces(self.count, most_rows::<S>()) {
                let left = Left { lines: &tiles[point * step + tile..], block };
                tile_product::<S>(left, kernels, start, &mut products[tile..tile + count]);
            }
        }
    }
}
