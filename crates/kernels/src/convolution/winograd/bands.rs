//! The output, cut into bands, and these into parts for the threads.

use std::ops::Range;

use super::method::Method;
use super::{Images, Layer};
use crate::fresh::Fresh;
use crate::product::{STRIP, in_pieces};

/// Some rows of tiles of the output, counted through the batch.
pub(super) struct Band<'a> {
    pub(super) rows: Range<usize>,
    pub(super) output: Output<'a>,
}

/// The memory of a band.
pub(super) enum Output<'a> {
    /// For each 32 channels, and in them for each image that the rows touch: the rows of each channel.
    Planes(Vec<Vec<Fresh<'a>>>),
    /// In one piece.
    Pixels(Fresh<'a>),
}

/// The memory of 32 channels of a band.
pub(super) enum Part<'a> {
    /// For each image that the rows touch, the rows of each channel.
    Planes(Vec<Fresh<'a>>),
    /// The channels of each pixel.
    Pixels(Vec<&'a mut [f32]>),
}

impl<'a> Band<'a> {
    pub(super) fn tiles<M: Method>(&self, layer: &Layer<M>) -> usize {
        self.rows.len() * layer.tiles()[1]
    }

    /// In parts of 32 channels.
    pub(super) fn groups<M: Method>(self, layer: &Layer<M>) -> Vec<Part<'a>> {
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

/// Cuts the output into at most `count` bands of nearly as many rows of tiles.
pub(super) fn bands<'a, M: Method>(layer: &Layer<M>, output: Fresh<'a>, count: usize) -> Vec<Band<'a>> {
    let rows = layer.batch * layer.tiles()[0];
    let ranges = in_pieces(rows, count.min(rows)).map(|(start, len)| start..start + len);
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

fn bands_of_planes<'a, M: Method>(
    layer: &Layer<M>,
    output: Fresh<'a>,
    ranges: Vec<Range<usize>>,
) -> Vec<Band<'a>> {
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
            let len = ((rows.end - row) * M::TILE * width).min(rest.len());
            let (piece, after) = rest.split_at(len);
            groups[channel / STRIP].push(piece);
            (row, rest) = (rows.end, after);
        }
    }
    bands.into_iter().map(|(rows, groups)| Band { rows, output: Output::Planes(groups) }).collect()
}
