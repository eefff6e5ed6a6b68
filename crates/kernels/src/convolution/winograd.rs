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

mod gradient;
mod transform;

use std::ops::Range;

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::shape::Shape;
use crate::channels_last::put;
use crate::finish::{Finish, OfChannels};
use crate::fresh::{Fresh, filled};
use crate::lines::{from_lines, to_lines};
use crate::matrix::padded;
use crate::product::{Left, STRIP, Start, StripRow, most_rows, pieces, tile_product};
use crate::scratch::with_scratch;
use crate::vector::{LINE, Line};
pub(super) use gradient::weight_gradient;
use transform::{OfInput, OfKernel, ToOutput, transform};

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
                let bands_in_all = (self.batch * rows).div_ceil(most).next_multiple_of(EVEN);
                let most = (self.batch * rows).div_ceil(bands_in_all);
                self.by_tiles(input, weight, finish, bands(self, output, most));
            } else {
                for band in bands(self, output, (MOST_TILES / columns).max(1)) {
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
                let step = band.tiles(self) | 1;
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
                        AutoArch::new().dispatch(Multiply { tiles, step, channels, kernels, products });
                        self.write(rows, group, finish, products, part);
                    }
                });
            });
        });
    }

    /// Each part has all tiles of a band and some output channels, so that each kernel is read and transformed once.
    fn by_channels(&self, input: &[f32], weight: &[f32], finish: Finish<'_>, band: Band<'_>) {
        let step = band.tiles(self) | 1;
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
                        AutoArch::new().dispatch(Multiply { tiles, step, channels, kernels, products });
                    }
                    self.write(rows.clone(), group, finish, products, part);
                });
            });
        });
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

/// Some rows of tiles of the output, counted through the batch.
struct Band<'a> {
    rows: Range<usize>,
    output: Output<'a>,
}

/// The memory of a band.
enum Output<'a> {
    /// For each 32 channels, and in them for each image that the rows touch: the rows of each channel.
    Planes(Vec<Vec<Fresh<'a>>>),
    /// In one piece.
    Pixels(Fresh<'a>),
}

/// The memory of 32 channels of a band.
enum Part<'a> {
    /// For each image that the rows touch, the rows of each channel.
    Planes(Vec<Fresh<'a>>),
    /// The channels of each pixel.
    Pixels(Vec<&'a mut [f32]>),
}

impl<'a> Band<'a> {
    fn tiles(&self, layer: &Layer) -> usize {
        self.rows.len() * layer.tiles()[1]
    }

    /// In parts of 32 channels.
    fn groups(self, layer: &Layer) -> Vec<Part<'a>> {
        match self.output {
            Output::Planes(groups) => groups.into_iter().map(Part::Planes).collect(),
            Output::Pixels(pixels) => {
                let mut groups: Vec<_> =
                    (0..layer.channels_out.div_ceil(STRIP)).map(|_| Vec::new()).collect();
                for pixel in pixels.zeroed().chunks_exact_mut(layer.channels_out) {
                    for (group, channels) in groups.iter_mut().zip(pixel.chunks_mut(STRIP)) {
                        group.push(channels);
                    }
                }
                groups.into_iter().map(Part::Pixels).collect()
            }
        }
    }
}

/// Cuts the output into bands of at most `most` rows of tiles.
fn bands<'a>(layer: &Layer, output: Fresh<'a>, most: usize) -> Vec<Band<'a>> {
    let ranges = pieces(layer.batch * layer.tiles()[0], most).map(|(start, len)| start..start + len);
    match layer.images {
        Images::Planes => bands_of_planes(layer, output, ranges.collect()),
        Images::Pixels => {
            let mut rest = output;
            let mut bands = Vec::new();
            for rows in ranges {
                let pixels = layer.pixels_before(rows.end) - layer.pixels_before(rows.start);
                let (piece, after) = rest.split_at(pixels * layer.channels_out);
                bands.push(Band { rows, output: Output::Pixels(piece) });
                rest = after;
            }
            rest.zeroed();
            bands
        }
    }
}

fn bands_of_planes<'a>(layer: &Layer, output: Fresh<'a>, ranges: Vec<Range<usize>>) -> Vec<Band<'a>> {
    let rows = layer.tiles()[0];
    let groups = layer.channels_out.div_ceil(STRIP);
    let mut bands: Vec<(Range<usize>, Vec<Vec<Fresh<'a>>>)> =
        ranges.into_iter().map(|rows| (rows, (0..groups).map(|_| Vec::new()).collect())).collect();
    let [height, width] = layer.output;
    for (plane, mut rest) in output.chunks(height * width).enumerate() {
        let (image, channel) = (plane / layer.channels_out, plane % layer.channels_out);
        let mut row = image * rows;
        let start = bands.partition_point(|(rows, _)| rows.end <= row);
        for (rows, groups) in &mut bands[start..] {
            if rest.is_empty() {
                break;
            }
            let len = ((rows.end - row) * TILE * width).min(rest.len());
            let (piece, after) = rest.split_at(len);
            groups[channel / STRIP].push(piece);
            (row, rest) = (rows.end, after);
        }
    }
    bands.into_iter().map(|(rows, groups)| Band { rows, output: Output::Planes(groups) }).collect()
}

/// From the input to `[point, tile]` lines of a block of channels.
struct ReadTiles<'a> {
    layer: &'a Layer,
    input: &'a [f32],
    rows: Range<usize>,
    block: usize,
    tiles: &'a mut [f32],
}

impl WithSimd for ReadTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let [rows, columns] = self.layer.tiles();
        let tiles = self.tiles.as_chunks_mut::<LINE>().0;
        let step = tiles.len() / POINTS;
        let width = columns * TILE + 2;
        let mut window = vec![[0.0; LINE]; WINDOW * width];
        for (index, row) in self.rows.enumerate() {
            let (image, first) = (row / rows, row % rows * TILE);
            let source = Source {
                numbers: self.input,
                images: self.layer.images,
                channels: self.layer.channels_in,
                size: self.layer.input,
                padding: self.layer.padding,
            };
            source.read_rows::<S>(image, self.block, first, &mut window, width);
            for column in 0..columns {
                let to = &mut tiles[index * columns + column..];
                transform::<S, OfInput, 6, 6>(
                    &window[column * TILE..],
                    [width, 1],
                    to,
                    [WINDOW * step, step],
                );
            }
        }
    }
}

/// Where lines come from.
struct Source<'a> {
    numbers: &'a [f32],
    images: Images,
    channels: usize,
    size: [usize; 2],
    padding: [usize; 2],
}

impl Source<'_> {
    /// Some rows of a block of channels, from `first` on, counted from the padding's start. Beyond the image are zeros.
    #[inline(always)]
    fn read_rows<S: Simd>(&self, image: usize, block: usize, first: usize, lines: &mut [Line], width: usize) {
        let [height, columns] = self.size;
        let plane = height * columns;
        let channels = LINE.min(self.channels - block * LINE);
        for (row, lines) in lines.chunks_exact_mut(width).enumerate() {
            match (first + row).checked_sub(self.padding[0]).filter(|&row| row < height) {
                Some(row) => {
                    let (before, lines) = lines.split_at_mut(self.padding[1]);
                    let (inside, after) = lines.split_at_mut(columns.min(lines.len()));
                    before.fill([0.0; LINE]);
                    match self.images {
                        Images::Planes => {
                            let start = (image * self.channels + block * LINE) * plane + row * columns;
                            to_lines::<S>(&self.numbers[start..], plane, channels, inside);
                        }
                        Images::Pixels => {
                            let start = (image * plane + row * columns) * self.channels;
                            let pixels = self.numbers[start..].chunks_exact(self.channels);
                            for (line, pixel) in inside.iter_mut().zip(pixels) {
                                *line = padded(&pixel[block * LINE..]);
                            }
                        }
                    }
                    after.fill([0.0; LINE]);
                }
                None => lines.fill([0.0; LINE]),
            }
        }
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
    /// Lines from a point to the next.
    step: usize,
    /// Of the input. The first start the sum, the others are added.
    channels: Range<usize>,
    kernels: &'a [f32],
    /// `[point, tile]` rows.
    products: &'a mut [f32],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let block = POINTS * self.step;
        let tiles = &self.tiles.as_chunks::<LINE>().0[self.channels.start / LINE * block..];
        let kernels = self.kernels.as_chunks::<STRIP>().0;
        let kernels = kernels.chunks_exact(kernels.len() / POINTS);
        let products = self.products.as_chunks_mut::<STRIP>().0.chunks_exact_mut(self.step);
        let start = if self.channels.start == 0 { Start::Zero } else { Start::Tile };
        for (point, (kernels, products)) in kernels.zip(products).enumerate() {
            let kernels: &[StripRow] = &kernels[..self.channels.len()];
            // The odd line of a step is computed too, or is none.
            for (tile, count) in pieces(self.step, most_rows::<S>()) {
                let left = Left { lines: &tiles[point * self.step + tile..], block };
                tile_product::<S>(left, kernels, start, &mut products[tile..tile + count]);
            }
        }
    }
}

/// From the products to the 32 channels of the output's pixels.
struct WritePixels<'a, 'b> {
    layer: &'a Layer,
    rows: Range<usize>,
    group: usize,
    finish: Finish<'a>,
    products: &'a [f32],
    /// Of the rows.
    pixels: Vec<&'b mut [f32]>,
}

impl WithSimd for WritePixels<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { layer, rows, group, finish, products, mut pixels } = self;
        let ([tile_rows, columns], [height, width]) = (layer.tiles(), layer.output);
        let products = products.as_chunks::<LINE>().0;
        let step = products.len() / POINTS;
        let channel = group * STRIP;
        let halves = (layer.channels_out - channel).div_ceil(LINE).min(STRIP / LINE);
        let mut of_channels = [const { OfChannels::NONE }; STRIP / LINE];
        for (half, of_channels) in of_channels[..halves].iter_mut().enumerate() {
            *of_channels = finish.of_channels(channel + half * LINE);
        }
        let first = layer.pixels_before(rows.start);
        for (index, row) in rows.enumerate() {
            let above = layer.pixels_before(row);
            let tile_height = TILE.min(height - row % tile_rows * TILE);
            for column in 0..columns {
                let tile_width = TILE.min(width - column * TILE);
                let from = &products[(index * columns + column) * (STRIP / LINE)..];
                for (half, of_channels) in of_channels[..halves].iter().enumerate() {
                    let channel = channel + half * LINE;
                    let mut tile = [[0.0; LINE]; TILE * TILE];
                    transform::<S, ToOutput, 6, 4>(
                        &from[half..],
                        [WINDOW * step, step],
                        &mut tile,
                        [TILE, 1],
                    );
                    let first_pixel = above + column * TILE;
                    for (row, lines) in tile.chunks_exact_mut(TILE).take(tile_height).enumerate() {
                        for (pixel, line) in (first_pixel + row * width..).zip(&mut lines[..tile_width]) {
                            let start = pixel * layer.channels_out + channel;
                            finish.pixel::<S, LINE>(of_channels, start, line);
                        }
                    }
                    finish.exponentials(tile.as_flattened_mut());
                    for (row, lines) in tile.chunks_exact(TILE).take(tile_height).enumerate() {
                        let pixels = &mut pixels[first_pixel + row * width - first..];
                        for (pixel, line) in pixels.iter_mut().zip(&lines[..tile_width]) {
                            put(line, &mut pixel[half * LINE..]);
                        }
                    }
                }
            }
        }
    }
}

/// From the products to the output's rows of 32 channels.
struct WriteTiles<'a, 'b> {
    layer: &'a Layer,
    rows: Range<usize>,
    group: usize,
    finish: Finish<'a>,
    products: &'a [f32],
    planes: &'a mut [&'b mut [f32]],
}

impl WithSimd for WriteTiles<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let [rows, columns] = self.layer.tiles();
        let [height, width] = self.layer.output;
        let products = self.products.as_chunks::<LINE>().0;
        let step = products.len() / POINTS;
        let first_channel = self.group * STRIP;
        let channels = STRIP.min(self.layer.channels_out - first_channel);
        let line_width = columns * TILE;
        let mut lines = vec![[0.0; LINE]; TILE * line_width];
        let first_image = self.rows.start / rows;
        for (index, row) in self.rows.clone().enumerate() {
            let (image, tile_row) = (row / rows, row % rows);
            // The first row of the image that the planes have.
            let start = if image == first_image { self.rows.start % rows } else { 0 };
            let planes = &mut self.planes[(image - first_image) * channels..][..channels];
            for (half, planes) in planes.chunks_mut(LINE).enumerate() {
                for column in 0..columns {
                    let from = &products[(index * columns + column) * (STRIP / LINE) + half..];
                    let to = &mut lines[column * TILE..];
                    transform::<S, ToOutput, 6, 4>(from, [WINDOW * step, step], to, [line_width, 1]);
                }
                let first = first_channel + half * LINE;
                let (mut scale, mut shift) = ([1.0; LINE], [0.0; LINE]);
                for (index, (scale, shift)) in scale.iter_mut().zip(&mut shift).take(planes.len()).enumerate()
                {
                    (*scale, *shift) =
                        (self.finish.scale_of(first + index), self.finish.shift_of(first + index));
                }
                let rows = TILE.min(height - tile_row * TILE);
                let at = (tile_row - start) * TILE * width;
                for (row, lines) in lines.chunks_exact(line_width).take(rows).enumerate() {
                    from_lines::<S>(&lines[..width], &scale, &shift, planes, at + row * width);
                }
                for (index, plane) in planes.iter_mut().enumerate() {
                    let plane_start = (image * self.layer.channels_out + first + index) * height * width;
                    let place = plane_start + tile_row * TILE * width;
                    self.finish.after_shift(place, &mut plane[at..at + rows * width]);
                }
            }
        }
    }
}
