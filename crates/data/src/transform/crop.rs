//! Cropping: from the centre, at random, and at random with a resize.

use super::{Interpolation, Transform, TransformError, config, resize};
use crate::{Image, SampleRng};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Takes the centre of an image; what is missing on an image that is too small is black.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CentreCrop {
    /// Rows of the crop.
    pub height: usize,
    /// Columns of the crop.
    pub width: usize,
}

/// Takes a part of an image at a random place, after padding it on all sides.
///
/// An image that is still too small is padded further until the crop fits, as with torchvision's `pad_if_needed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomCrop {
    /// Rows of the crop.
    pub height: usize,
    /// Columns of the crop.
    pub width: usize,
    /// Pixels added on each of the four sides before cropping.
    #[serde(default)]
    pub padding: usize,
    /// Colour of the padding; a grey image takes the first value.
    #[serde(default)]
    pub fill: [u8; 3],
}

/// Takes a part of random area and aspect ratio and resizes it.
///
/// Szegedy et al. 2014, *Going deeper with convolutions*, arXiv:1409.4842, section 6.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomResizedCrop {
    /// Rows of the result.
    pub height: usize,
    /// Columns of the result.
    pub width: usize,
    /// Smallest and largest area of the part, as a fraction of the image's.
    #[serde(default = "default_scale")]
    pub scale: [f64; 2],
    /// Smallest and largest aspect ratio of the part, width over height; drawn uniformly in its logarithm.
    #[serde(default = "default_ratio")]
    pub ratio: [f64; 2],
    /// How the part is resized.
    #[serde(default)]
    pub interpolation: Interpolation,
}

fn default_scale() -> [f64; 2] {
    [0.08, 1.0]
}

fn default_ratio() -> [f64; 2] {
    [3.0 / 4.0, 4.0 / 3.0]
}

/// A rectangle of pixels; it can reach beyond the image that it is cut from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Column of its left edge.
    pub left: i64,
    /// Row of its top edge.
    pub top: i64,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl CentreCrop {
    /// The centre of an image of `width` x `height` pixels.
    fn region(&self, width: usize, height: usize) -> Region {
        Region {
            left: centred(width, self.width),
            top: centred(height, self.height),
            width: self.width,
            height: self.height,
        }
    }

    pub(super) fn validate(&self) -> Result<(), TransformError> {
        config::check_side("centre_crop", "height", self.height)?;
        config::check_side("centre_crop", "width", self.width)
    }
}

/// Where a crop of `wanted` pixels begins on a side of `available`.
///
/// torchvision rounds a half to the even number when it crops, and puts the odd pixel at the end when it pads.
fn centred(available: usize, wanted: usize) -> i64 {
    if wanted > available {
        -((wanted - available) as i64 / 2)
    } else {
        ((available - wanted) as f64 / 2.0).round_ties_even() as i64
    }
}

impl Transform for CentreCrop {
    fn apply(&self, image: Image, _: &mut SampleRng) -> Image {
        let region = self.region(image.width(), image.height());
        crop(&image, region)
    }
}

impl RandomCrop {
    /// Where to crop an image of `width` x `height` pixels.
    fn draw(&self, width: usize, height: usize, rng: &mut SampleRng) -> Region {
        let top = self.draw_start(height, self.height, rng);
        let left = self.draw_start(width, self.width, rng);
        Region { left, top, width: self.width, height: self.height }
    }

    /// Where the crop begins along one side, with the image's first pixel at 0.
    fn draw_start(&self, available: usize, wanted: usize, rng: &mut SampleRng) -> i64 {
        let (padding, available, wanted) = (self.padding as i64, available as i64, wanted as i64);
        let missing = (wanted - available - 2 * padding).max(0);
        let before = padding + missing;
        let last = available + 2 * before - wanted;
        rng.random_range(0..=last) - before
    }

    pub(super) fn validate(&self) -> Result<(), TransformError> {
        config::check_side("random_crop", "height", self.height)?;
        config::check_side("random_crop", "width", self.width)?;
        config::check_at_most("random_crop", "padding", self.padding)
    }
}

impl Transform for RandomCrop {
    fn apply(&self, image: Image, rng: &mut SampleRng) -> Image {
        let region = self.draw(image.width(), image.height(), rng);
        crop_padded(&image, region, self.fill)
    }
}

impl RandomResizedCrop {
    /// With the usual area (8 % to all) and aspect ratio (3:4 to 4:3), bilinear.
    pub fn new(height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            scale: default_scale(),
            ratio: default_ratio(),
            interpolation: Interpolation::default(),
        }
    }

    /// The part to take of an image of `width` x `height` pixels.
    fn draw(&self, width: usize, height: usize, rng: &mut SampleRng) -> Region {
        let [smallest, largest] = self.scale;
        let [narrowest, widest] = self.ratio;
        let area = width as f64 * height as f64;
        for _ in 0..10 {
            let target = area * rng.random_range(smallest..=largest);
            let ratio = rng.random_range(narrowest.ln()..=widest.ln()).exp();
            let w = (target * ratio).sqrt().round_ties_even() as usize;
            let h = (target / ratio).sqrt().round_ties_even() as usize;
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let top = rng.random_range(0..=height - h) as i64;
                let left = rng.random_range(0..=width - w) as i64;
                return Region { left, top, width: w, height: h };
            }
        }
        self.fallback(width, height)
    }

    /// The largest centred part with a permitted aspect ratio, for images in which ten draws found no place.
    fn fallback(&self, width: usize, height: usize) -> Region {
        let [narrowest, widest] = self.ratio;
        let ratio = width as f64 / height as f64;
        let (mut w, mut h) = (width, height);
        if ratio < narrowest {
            h = ((width as f64 / narrowest).round_ties_even() as usize).clamp(1, height);
        } else if ratio > widest {
            w = ((height as f64 * widest).round_ties_even() as usize).clamp(1, width);
        }
        Region { left: ((width - w) / 2) as i64, top: ((height - h) / 2) as i64, width: w, height: h }
    }

    pub(super) fn validate(&self) -> Result<(), TransformError> {
        const NAME: &str = "random_resized_crop";
        config::check_side(NAME, "height", self.height)?;
        config::check_side(NAME, "width", self.width)?;
        config::check_fractions(NAME, "scale", self.scale)?;
        config::check_ratios(NAME, "ratio", self.ratio)
    }
}

impl Transform for RandomResizedCrop {
    fn apply(&self, image: Image, rng: &mut SampleRng) -> Image {
        let region = self.draw(image.width(), image.height(), rng);
        resize(&crop(&image, region), self.width, self.height, self.interpolation)
    }
}

/// The pixels of a region; black where it reaches beyond the image.
///
/// # Panics
/// If the region has no pixels.
pub fn crop(image: &Image, region: Region) -> Image {
    crop_padded(image, region, [0; 3])
}

/// The pixels of a region; of one colour where it reaches beyond the image, of which a grey image takes the first value.
///
/// # Panics
/// If the region has no pixels.
pub fn crop_padded(image: &Image, region: Region, fill: [u8; 3]) -> Image {
    let mut output = Image::filled(region.width, region.height, image.channels(), fill);
    let columns = overlap(region.left, region.width, image.width());
    let rows = overlap(region.top, region.height, image.height());
    let depth = image.channels().count();
    let (source_stride, stride) = (image.stride(), output.stride());
    let bytes = columns.count * depth;
    for row in 0..rows.count {
        let source = (rows.source + row) * source_stride + columns.source * depth;
        let target = (rows.target + row) * stride + columns.target * depth;
        output.pixels_mut()[target..target + bytes].copy_from_slice(&image.pixels()[source..source + bytes]);
    }
    output
}

/// What a region has in common with an image along one side.
struct Overlap {
    /// Where it begins in the image.
    source: usize,
    /// Where it begins in the region.
    target: usize,
    /// How long it is.
    count: usize,
}

fn overlap(start: i64, length: usize, available: usize) -> Overlap {
    let (length, available) = (length as i64, available as i64);
    let source = start.clamp(0, available);
    let end = (start + length).clamp(source, available);
    Overlap {
        source: source as usize,
        target: (source - start).clamp(0, length) as usize,
        count: (end - source) as usize,
    }
}

#[cfg(test)]
mod tests;
