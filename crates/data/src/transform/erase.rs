//! Random erasing.
//!
//! Zhong et al. 2017, *Random Erasing Data Augmentation*, arXiv:1708.04896. Reference: torchvision's `RandomErasing`.

use super::{PlanesTransform, Region, TransformError, config};
use crate::{Planes, SampleRng};
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

/// Erases a rectangle of random area, aspect ratio and place from a normalised image, sometimes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomErasing {
    /// How often, from 0 (never) to 1 (always).
    pub probability: f64,
    /// Smallest and largest area, as a fraction of the image's.
    pub scale: [f64; 2],
    /// Smallest and largest aspect ratio, height over width; drawn uniformly in its logarithm.
    pub ratio: [f64; 2],
    /// What takes the place of the pixels.
    pub fill: EraseFill,
}

/// What takes the place of erased pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EraseFill {
    /// Zero: the mean colour, after normalisation.
    #[default]
    Mean,
    /// Normally distributed noise, for each value anew.
    Noise,
}

impl Default for RandomErasing {
    /// Half of the images, 2 to 33 % of the area, aspect ratios from 0.3 to 3.3, with the mean colour.
    fn default() -> Self {
        Self { probability: 0.5, scale: [0.02, 0.33], ratio: [0.3, 3.3], fill: EraseFill::Mean }
    }
}

impl RandomErasing {
    /// The rectangle to erase from an image of `width` x `height` pixels; none when ten draws found no place.
    fn draw(&self, width: usize, height: usize, rng: &mut SampleRng) -> Option<Region> {
        let [smallest, largest] = self.scale;
        let [flattest, tallest] = self.ratio;
        for _ in 0..10 {
            let area = (width * height) as f64 * rng.random_range(smallest..=largest);
            let ratio = rng.random_range(flattest.ln()..=tallest.ln()).exp();
            let h = (area * ratio).sqrt().round_ties_even() as usize;
            let w = (area / ratio).sqrt().round_ties_even() as usize;
            if h < height && w < width {
                let top = rng.random_range(0..=height - h) as i64;
                let left = rng.random_range(0..=width - w) as i64;
                return Some(Region { left, top, width: w, height: h });
            }
        }
        None
    }

    pub(super) fn validate(&self) -> Result<(), TransformError> {
        const NAME: &str = "random_erasing";
        config::check_probability(NAME, "probability", self.probability)?;
        config::check_fractions(NAME, "scale", self.scale)?;
        config::check_ratios(NAME, "ratio", self.ratio)
    }
}

impl PlanesTransform for RandomErasing {
    fn apply(&self, planes: &mut Planes, rng: &mut SampleRng) {
        let [_, height, width] = planes.shape;
        if !rng.random_bool(self.probability) {
            return;
        }
        if let Some(region) = self.draw(width, height, rng) {
            match self.fill {
                EraseFill::Mean => erase(planes, region, || 0.0),
                EraseFill::Noise => erase(planes, region, || rng.sample(StandardNormal)),
            }
        }
    }
}

/// Puts values in the place of a region's, in all planes: plane by plane, row by row.
///
/// # Panics
/// If the region reaches beyond the image.
pub fn erase(planes: &mut Planes, region: Region, mut value: impl FnMut() -> f32) {
    let [_, height, width] = planes.shape;
    let start = |start: i64, length: usize, available: usize| {
        usize::try_from(start).ok().filter(|start| start + length <= available)
    };
    let (Some(left), Some(top)) =
        (start(region.left, region.width, width), start(region.top, region.height, height))
    else {
        panic!("{region:?} reaches beyond an image of {width} x {height} pixels")
    };
    for plane in planes.values.chunks_exact_mut(width * height) {
        for row in plane.chunks_exact_mut(width).skip(top).take(region.height) {
            row[left..left + region.width].fill_with(&mut value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_rng;

    fn ones(height: usize, width: usize) -> Planes {
        Planes { shape: [2, height, width], values: vec![1.0; 2 * height * width] }
    }

    #[test]
    fn a_region_is_erased_from_every_plane() {
        let mut planes = ones(2, 3);
        erase(&mut planes, Region { left: 1, top: 0, width: 2, height: 1 }, || 0.0);
        assert_eq!(planes.values, [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    #[should_panic(expected = "reaches beyond an image of 3 x 2 pixels")]
    fn a_region_beyond_the_image_panics() {
        erase(&mut ones(2, 3), Region { left: 2, top: 0, width: 2, height: 1 }, || 0.0);
    }

    #[test]
    fn areas_and_ratios_stay_in_their_ranges() {
        let erasing = RandomErasing { probability: 1.0, ..RandomErasing::default() };
        let mut areas = Vec::new();
        for index in 0..500 {
            let region = erasing.draw(101, 97, &mut sample_rng(9, 0, index)).expect("there is room");
            assert!(region.left >= 0 && region.left as usize + region.width <= 101);
            assert!(region.top >= 0 && region.top as usize + region.height <= 97);
            let ratio = region.height as f64 / region.width as f64;
            assert!((0.25..4.0).contains(&ratio), "{ratio}"); // 0.3 to 3.3, with the sides rounded to pixels
            areas.push((region.width * region.height) as f64 / (101.0 * 97.0));
        }
        let mean = areas.iter().sum::<f64>() / areas.len() as f64;
        assert!(areas.iter().all(|area| (0.015..0.345).contains(area)));
        assert!((0.155..0.195).contains(&mean), "the middle of 0.02 and 0.33 expected, got {mean}");
    }

    #[test]
    fn the_probability_is_kept_and_noise_is_noise() {
        let erasing = RandomErasing { probability: 0.25, fill: EraseFill::Noise, ..RandomErasing::default() };
        let mut erased = 0;
        for index in 0..1000 {
            let mut planes = ones(13, 11);
            erasing.apply(&mut planes, &mut sample_rng(2, 0, index));
            erased += usize::from(planes != ones(13, 11));
            assert!(planes.values.iter().all(|value| value.is_finite()));
        }
        assert!((210..290).contains(&erased), "{erased}");
    }

    #[test]
    fn one_pixel_is_never_erased() {
        let erasing = RandomErasing { probability: 1.0, ..RandomErasing::default() };
        let mut planes = ones(1, 1);
        erasing.apply(&mut planes, &mut sample_rng(1, 2, 3));
        assert_eq!(planes, ones(1, 1));
    }
}
