//! From the input to transformed tiles, and from their products to the output.

use std::ops::Range;

use macerator::{Simd, WithSimd};

use super::method::{Map, Method};
use super::{Images, Layer};
use crate::channels_last::put;
use crate::finish::{Finish, OfChannels};
use crate::lines::{from_lines, to_lines};
use crate::matrix::padded;
use crate::product::STRIP;
use crate::vector::{LINE, Line};

/// Pixels of the largest tile.
pub(super) const MOST_PIXELS: usize = 16;

/// From the input to `[point, tile]` lines of a block of channels.
pub(super) struct ReadTiles<'a, M> {
    pub(super) layer: &'a Layer<M>,
    pub(super) input: &'a [f32],
    pub(super) rows: Range<usize>,
    pub(super) block: usize,
    pub(super) tiles: &'a mut [f32],
}

impl<M: Method> WithSimd for ReadTiles<'_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let [rows, columns] = self.layer.tiles();
        let tiles = self.tiles.as_chunks_mut::<LINE>().0;
        let step = tiles.len() / M::POINTS;
        let width = columns * M::STEP + M::WINDOW - M::STEP;
        let mut window = vec![[0.0; LINE]; M::WINDOW * width];
        for (index, row) in self.rows.enumerate() {
            let (image, first) = (row / rows, row % rows * M::STEP);
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
                let (from, points) = (&window[column * M::STEP..], M::OfWindow::TO);
                M::OfWindow::apply::<S>(from, [width, 1], to, [points * step, step]);
            }
        }
    }
}

/// Where lines come from.
pub(super) struct Source<'a> {
    pub(super) numbers: &'a [f32],
    pub(super) images: Images,
    pub(super) channels: usize,
    pub(super) size: [usize; 2],
    pub(super) padding: [usize; 2],
}

impl Source<'_> {
    /// Some rows of a block of channels, from `first` on, counted from the padding's start. Beyond the image are zeros.
    #[inline(always)]
    pub(super) fn read_rows<S: Simd>(
        &self,
        image: usize,
        block: usize,
        first: usize,
        lines: &mut [Line],
        width: usize,
    ) {
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

/// From the products to the 32 channels of the output's pixels.
pub(super) struct WritePixels<'a, 'b, M> {
    pub(super) layer: &'a Layer<M>,
    pub(super) rows: Range<usize>,
    pub(super) group: usize,
    pub(super) finish: Finish<'a>,
    pub(super) products: &'a [f32],
    /// Of the rows.
    pub(super) pixels: Vec<&'b mut [f32]>,
}

impl<M: Method> WithSimd for WritePixels<'_, '_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { layer, rows, group, finish, products, mut pixels } = self;
        let ([tile_rows, columns], [height, width]) = (layer.tiles(), layer.output);
        let products = products.as_chunks::<LINE>().0;
        let step = products.len() / M::ALL_SUMS;
        let channel = group * STRIP;
        let halves = (layer.channels_out - channel).div_ceil(LINE).min(STRIP / LINE);
        let mut of_channels = [const { OfChannels::NONE }; STRIP / LINE];
        for (half, of_channels) in of_channels[..halves].iter_mut().enumerate() {
            *of_channels = finish.of_channels(channel + half * LINE);
        }
        let first = layer.pixels_before(rows.start);
        for (index, row) in rows.enumerate() {
            let above = layer.pixels_before(row);
            let tile_height = M::TILE.min(height - row % tile_rows * M::TILE);
            for column in 0..columns {
                let tile_width = M::TILE.min(width - column * M::TILE);
                let from = &products[(index * columns + column) * (STRIP / LINE)..];
                for (half, of_channels) in of_channels[..halves].iter().enumerate() {
                    let channel = channel + half * LINE;
                    let mut tile = [[0.0; LINE]; MOST_PIXELS];
                    let tile = &mut tile[..M::TILE * M::TILE];
                    let apart = [M::ToTile::FROM * step, step];
                    M::ToTile::apply::<S>(&from[half..], apart, tile, [M::TILE, 1]);
                    let first_pixel = above + column * M::TILE;
                    for (row, lines) in tile.chunks_exact_mut(M::TILE).take(tile_height).enumerate() {
                        for (pixel, line) in (first_pixel + row * width..).zip(&mut lines[..tile_width]) {
                            let start = pixel * layer.channels_out + channel;
                            finish.pixel::<S, LINE>(of_channels, start, line);
                        }
                    }
                    finish.slow_nonlinearity(tile.as_flattened_mut());
                    for (row, lines) in tile.chunks_exact(M::TILE).take(tile_height).enumerate() {
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
pub(super) struct WriteTiles<'a, 'b, M> {
    pub(super) layer: &'a Layer<M>,
    pub(super) rows: Range<usize>,
    pub(super) group: usize,
    pub(super) finish: Finish<'a>,
    pub(super) products: &'a [f32],
    pub(super) planes: &'a mut [&'b mut [f32]],
}

impl<M: Method> WithSimd for WriteTiles<'_, '_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let [rows, columns] = self.layer.tiles();
        let [height, width] = self.layer.output;
        let products = self.products.as_chunks::<LINE>().0;
        let step = products.len() / M::ALL_SUMS;
        let first_channel = self.group * STRIP;
        let channels = STRIP.min(self.layer.channels_out - first_channel);
        let line_width = columns * M::TILE;
        let mut lines = vec![[0.0; LINE]; M::TILE * line_width];
        let first_image = self.rows.start / rows;
        for (index, row) in self.rows.clone().enumerate() {
            let (image, tile_row) = (row / rows, row % rows);
            // The first row of the image that the planes have.
            let start = if image == first_image { self.rows.start % rows } else { 0 };
            let planes = &mut self.planes[(image - first_image) * channels..][..channels];
            for (half, planes) in planes.chunks_mut(LINE).enumerate() {
                for column in 0..columns {
                    let from = &products[(index * columns + column) * (STRIP / LINE) + half..];
                    let to = &mut lines[column * M::TILE..];
                    M::ToTile::apply::<S>(from, [M::ToTile::FROM * step, step], to, [line_width, 1]);
                }
                let first = first_channel + half * LINE;
                let of_channels = self.finish.of_channels(first);
                let rows = M::TILE.min(height - tile_row * M::TILE);
                let at = (tile_row - start) * M::TILE * width;
                for (row, lines) in lines.chunks_exact(line_width).take(rows).enumerate() {
                    from_lines::<S>(&lines[..width], &of_channels, planes, at + row * width);
                }
                for (index, plane) in planes.iter_mut().enumerate() {
                    let plane_start = (image * self.layer.channels_out + first + index) * height * width;
                    let place = plane_start + tile_row * M::TILE * width;
                    self.finish.after_shift(place, &mut plane[at..at + rows * width]);
                }
            }
        }
    }
}
