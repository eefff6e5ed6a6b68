//! Mirroring.

use super::{Transform, TransformError, config};
use crate::{Channels, Image, SampleRng};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Mirrors an image left to right, sometimes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HorizontalFlip {
    /// How often, from 0 (never) to 1 (always).
    pub probability: f64,
}

impl Default for HorizontalFlip {
    /// Every other image.
    fn default() -> Self {
        Self { probability: 0.5 }
    }
}

impl HorizontalFlip {
    pub(super) fn validate(&self) -> Result<(), TransformError> {
        config::check_probability("horizontal_flip", "probability", self.probability)
    }
}

impl Transform for HorizontalFlip {
    fn apply(&self, image: Image, rng: &mut SampleRng) -> Image {
        if rng.random_bool(self.probability) { flip_horizontal(image) } else { image }
    }
}

/// The image mirrored left to right.
pub fn flip_horizontal(mut image: Image) -> Image {
    let stride = image.stride();
    let channels = image.channels();
    for row in image.pixels_mut().chunks_exact_mut(stride) {
        match channels {
            Channels::Grey => row.reverse(),
            Channels::Rgb => row.as_chunks_mut::<3>().0.reverse(),
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_rng;

    #[test]
    fn columns_are_reversed_and_channels_are_not() {
        let image = Image::new(3, 1, Channels::Rgb, vec![1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(flip_horizontal(image).pixels(), [7, 8, 9, 4, 5, 6, 1, 2, 3]);
        let image = Image::new(3, 2, Channels::Grey, vec![1, 2, 3, 4, 5, 6]);
        assert_eq!(flip_horizontal(image).pixels(), [3, 2, 1, 6, 5, 4]);
    }

    #[test]
    fn the_probability_is_kept() {
        let image = Image::new(2, 1, Channels::Grey, vec![0, 1]);
        let flipped = |probability: f64| {
            let flip = HorizontalFlip { probability };
            let flips = |&index: &u64| flip.apply(image.clone(), &mut sample_rng(1, 0, index)) != image;
            (0..1000).filter(flips).count()
        };
        assert_eq!(flipped(0.0), 0);
        assert_eq!(flipped(1.0), 1000);
        assert!((450..550).contains(&flipped(0.5)), "{}", flipped(0.5));
    }
}
