//! Antialiased resizing.
//!
//! The separable convolution of PIL's `Image.resize` (`Resample.c`): filters that widen with the reduction, weights in
//! 22-bit fixed point, rows first, rounded to 8 bits between the two passes.

use super::{Transform, TransformError, config};
use crate::{Channels, Image, SampleRng};
use serde::{Deserialize, Serialize};

/// Resizes an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// The size aimed at.
    pub to: ResizeTo,
    /// How pixels between pixels are found.
    #[serde(default)]
    pub interpolation: Interpolation,
}

/// The size that [`Resize`] aims at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ResizeTo {
    /// The shorter side gets this many pixels; the longer one follows, rounded down, to keep the aspect ratio.
    ShorterSide(usize),
    /// Exactly this size, whatever becomes of the aspect ratio.
    Exact {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
}

/// How pixels between pixels are found. When an image gets smaller, the filter widens, so that nothing is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Linear between the nearest two pixels, along each side.
    #[default]
    Bilinear,
    /// Cubic through the nearest four pixels, along each side, with `a = -0.5` as in PIL.
    Bicubic,
}

/// A limit on the longer side after [`ResizeTo::ShorterSide`], which an image of 1 x 60,000 pixels would otherwise
/// stretch beyond all memory.
const MAX_LONGER_SIDE: usize = 65_536;

impl Resize {
    pub(super) fn validate(&self) -> Result<(), TransformError> {
        match self.to {
            ResizeTo::ShorterSide(side) => config::check_side("resize", "shorter_side", side),
            ResizeTo::Exact { height, width } => {
                config::check_side("resize", "height", height)?;
                config::check_side("resize", "width", width)
            }
        }
    }
}

impl ResizeTo {
    /// Width and height that an image of `width` x `height` pixels gets.
    fn target(self, width: usize, height: usize) -> (usize, usize) {
        match self {
            Self::Exact { height, width } => (width, height),
            Self::ShorterSide(shorter) => {
                let longer = |long: usize, short: usize| {
                    (shorter.saturating_mul(long) / short).min(MAX_LONGER_SIDE.max(shorter))
                };
                if width <= height {
                    (shorter, longer(height, width))
                } else {
                    (longer(width, height), shorter)
                }
            }
        }
    }
}

impl Transform for Resize {
    fn apply(&self, image: Image, _: &mut SampleRng) -> Image {
        let (width, height) = self.to.target(image.width(), image.height());
        if (width, height) == (image.width(), image.height()) {
            return image;
        }
        resize(&image, width, height, self.interpolation)
    }
}

/// The image in another size, in pixels.
///
/// # Panics
/// If a side is zero.
pub fn resize(image: &Image, width: usize, height: usize, interpolation: Interpolation) -> Image {
    assert!(width > 0 && height > 0, "cannot resize to {width} x {height} pixels");
    let channels = image.channels();
    let mut pixels = None;
    if width != image.width() {
        let filter = Filter::new(image.width(), width, interpolation);
        let rows = image.pixels();
        pixels = Some(match channels {
            Channels::Grey => along_rows::<1>(rows, image.width(), &filter),
            Channels::Rgb => along_rows::<3>(rows, image.width(), &filter),
        });
    }
    if height != image.height() {
        let filter = Filter::new(image.height(), height, interpolation);
        let rows = pixels.as_deref().unwrap_or(image.pixels());
        pixels = Some(along_columns(rows, width * channels.count(), &filter));
    }
    Image::new(width, height, channels, pixels.unwrap_or_else(|| image.pixels().to_vec()))
}

/// Fractional bits of the weights: what 32 bits leave beside 8 bits of pixel, a sign, and room for overshoot.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// For each output position, where its input begins and how it is weighted.
struct Filter {
    taps: Vec<Taps>,
    weights: Vec<i32>,
}

/// The input of one output position.
struct Taps {
    /// The first input position.
    first: usize,
    /// Where its weights begin.
    weights: usize,
    /// How many there are.
    count: usize,
}

impl Filter {
    fn new(input: usize, output: usize, interpolation: Interpolation) -> Self {
        let scale = input as f64 / output as f64;
        let stretch = scale.max(1.0);
        let support = stretch
            * match interpolation {
                Interpolation::Bilinear => 1.0,
                Interpolation::Bicubic => 2.0,
            };
        let mut filter = Self { taps: Vec::with_capacity(output), weights: Vec::new() };
        let mut exact = Vec::new();
        for position in 0..output {
            let centre = (position as f64 + 0.5) * scale;
            // Casts of negative numbers give zero, which is where the input begins.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(input);
            exact.clear();
            exact.extend((first..end).map(|at| interpolation.weight((at as f64 - centre + 0.5) / stretch)));
            let sum: f64 = exact.iter().sum();
            filter.taps.push(Taps { first, weights: filter.weights.len(), count: exact.len() });
            filter.weights.extend(exact.iter().map(|weight| {
                // `round` goes away from zero at a half, as adding or subtracting a half before truncation does.
                (weight / sum * f64::from(1 << PRECISION_BITS)).round() as i32
            }));
        }
        filter
    }

    /// The positions, each with its first input and its weights.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.taps.iter().map(|taps| (taps.first, &self.weights[taps.weights..taps.weights + taps.count]))
    }
}

impl Interpolation {
    /// The weight at a distance, in input pixels of an image that is not reduced.
    fn weight(self, distance: f64) -> f64 {
        let x = distance.abs();
        match self {
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic => {
                const A: f64 = -0.5;
                if x < 1.0 {
                    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    (((x - 5.0) * x + 8.0) * x - 4.0) * A
                } else {
                    0.0
                }
            }
        }
    }
}

/// The start of every sum, for rounding.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

fn to_pixel(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// Resamples each row of `width` pixels of `C` channels.
fn along_rows<const C: usize>(rows: &[u8], width: usize, filter: &Filter) -> Vec<u8> {
    let height = rows.len() / (width * C);
    let mut output = Vec::with_capacity(height * filter.taps.len() * C);
    for row in rows.chunks_exact(width * C) {
        let row = row.as_chunks::<C>().0;
        for (first, weights) in filter.iter() {
            let mut sums = [HALF; C];
            for (pixel, weight) in row[first..first + weights.len()].iter().zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            output.extend(sums.map(to_pixel));
        }
    }
    output
}

/// Resamples across rows of `stride` values, all columns of a row at once.
fn along_columns(rows: &[u8], stride: usize, filter: &Filter) -> Vec<u8> {
    let mut output = Vec::with_capacity(filter.taps.len() * stride);
    let mut sums = vec![HALF; stride];
    for (first, weights) in filter.iter() {
        sums.fill(HALF);
        for (row, weight) in rows[first * stride..].chunks_exact(stride).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        output.extend(sums.iter().map(|&sum| to_pixel(sum)));
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_rng;

    #[test]
    fn the_shorter_side_decides() {
        assert_eq!(ResizeTo::ShorterSide(7).target(13, 29), (7, 15)); // 7 * 29 / 13 = 15.6
        assert_eq!(ResizeTo::ShorterSide(7).target(29, 13), (15, 7));
        assert_eq!(ResizeTo::ShorterSide(7).target(13, 13), (7, 7));
        assert_eq!(ResizeTo::ShorterSide(224).target(1, 60_000), (224, MAX_LONGER_SIDE));
    }

    #[test]
    fn one_colour_stays_one_colour() {
        let image = Image::filled(11, 7, Channels::Rgb, [3, 128, 255]);
        for interpolation in [Interpolation::Bilinear, Interpolation::Bicubic] {
            for (width, height) in [(1, 1), (3, 29), (23, 2), (11, 7)] {
                let resized = resize(&image, width, height, interpolation);
                assert_eq!(resized, Image::filled(width, height, Channels::Rgb, [3, 128, 255]));
            }
        }
    }

    #[test]
    fn one_pixel_fills_any_size() {
        let pixel = Image::filled(1, 1, Channels::Grey, [77; 3]);
        assert_eq!(
            resize(&pixel, 5, 3, Interpolation::Bicubic),
            Image::filled(5, 3, Channels::Grey, [77; 3])
        );
    }

    #[test]
    fn halving_bilinearly_weights_the_neighbours_too() {
        // Reduced by two, the triangle is four pixels wide: weights 1, 3, 3, 1 over 8, cut at the borders.
        let image = Image::new(4, 1, Channels::Grey, vec![0, 80, 160, 240]);
        let halved = resize(&image, 2, 1, Interpolation::Bilinear);
        assert_eq!(halved.pixels(), [57, 183]); // (0*3 + 80*3 + 160) / 7 = 57.1, (80 + 160*3 + 240*3) / 7 = 182.9
    }

    #[test]
    fn the_transform_leaves_an_image_of_the_right_size_alone() {
        let image = Image::new(2, 3, Channels::Grey, vec![5, 4, 3, 2, 1, 0]);
        let same = Resize { to: ResizeTo::ShorterSide(2), interpolation: Interpolation::Bicubic };
        assert_eq!(same.apply(image.clone(), &mut sample_rng(0, 0, 0)), image);
    }
}
