//! Random changes of colour.

use super::{
    Transform, TransformError, adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, config,
};
use crate::{Image, SampleRng};
use rand::{RngExt, seq::SliceRandom};
use serde::{Deserialize, Serialize};

/// Changes brightness, contrast, saturation and hue by random amounts, in random order.
///
/// For the first three, a value `v` draws a factor uniformly between `max(0, 1 - v)` and `1 + v`; 0 leaves them alone.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColourJitter {
    /// How far the factor of the brightness may be from 1.
    pub brightness: f64,
    /// How far the factor of the contrast may be from 1.
    pub contrast: f64,
    /// How far the factor of the saturation may be from 1.
    pub saturation: f64,
    /// How far the hue may turn in either direction, as a part of the circle, at most 0.5.
    pub hue: f64,
}

/// One change, with its amount.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    Brightness(f64),
    Contrast(f64),
    Saturation(f64),
    Hue(f64),
}

impl ColourJitter {
    /// The changes to make, in their order.
    fn draw(&self, rng: &mut SampleRng) -> [Change; 4] {
        let mut factor = |spread: f64| rng.random_range((1.0 - spread).max(0.0)..=1.0 + spread);
        let mut changes = [
            Change::Brightness(factor(self.brightness)),
            Change::Contrast(factor(self.contrast)),
            Change::Saturation(factor(self.saturation)),
            Change::Hue(rng.random_range(-self.hue..=self.hue)),
        ];
        changes.shuffle(rng);
        changes
    }

    pub(super) fn validate(&self) -> Result<(), TransformError> {
        const NAME: &str = "colour_jitter";
        for (key, value) in
            [("brightness", self.brightness), ("contrast", self.contrast), ("saturation", self.saturation)]
        {
            config::check_within(NAME, key, value, 0.0..=1000.0, "a number from 0 to 1000")?;
        }
        config::check_within(NAME, "hue", self.hue, 0.0..=0.5, "a number from 0 to 0.5")
    }
}

impl Transform for ColourJitter {
    fn apply(&self, image: Image, rng: &mut SampleRng) -> Image {
        self.draw(rng).into_iter().fold(image, |image, change| match change {
            Change::Brightness(1.0) | Change::Contrast(1.0) | Change::Saturation(1.0) => image,
            Change::Brightness(factor) => adjust_brightness(image, factor),
            Change::Contrast(factor) => adjust_contrast(image, factor),
            Change::Saturation(factor) => adjust_saturation(image, factor),
            // A conversion to hue and back would round, even without a turn.
            Change::Hue(_) if self.hue == 0.0 => image,
            Change::Hue(turn) => adjust_hue(image, turn),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Channels, sample_rng};

    #[test]
    fn amounts_stay_in_their_ranges_and_fill_them() {
        let jitter = ColourJitter { brightness: 0.4, contrast: 2.0, saturation: 0.0, hue: 0.1 };
        let mut brightest: f64 = 0.0;
        let mut first_is_hue = 0;
        for index in 0..500 {
            let changes = jitter.draw(&mut sample_rng(5, 0, index));
            for change in changes {
                match change {
                    Change::Brightness(factor) => {
                        assert!((0.6..=1.4).contains(&factor));
                        brightest = brightest.max(factor);
                    }
                    Change::Contrast(factor) => assert!((0.0..=3.0).contains(&factor)),
                    Change::Saturation(factor) => assert_eq!(factor, 1.0),
                    Change::Hue(turn) => assert!((-0.1..=0.1).contains(&turn)),
                }
            }
            first_is_hue += usize::from(matches!(changes[0], Change::Hue(_)));
        }
        assert!(brightest > 1.38, "{brightest}");
        assert!((90..160).contains(&first_is_hue), "a quarter of 500 expected, got {first_is_hue}");
    }

    #[test]
    fn the_default_changes_nothing() {
        let image = Image::new(2, 1, Channels::Rgb, vec![1, 20, 200, 33, 44, 5]);
        assert_eq!(ColourJitter::default().apply(image.clone(), &mut sample_rng(1, 2, 3)), image);
    }

    #[test]
    fn equal_seeds_give_equal_images() {
        let jitter = ColourJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 };
        let image = Image::new(3, 1, Channels::Rgb, vec![1, 20, 200, 33, 44, 5, 99, 88, 77]);
        let jittered = |index| jitter.apply(image.clone(), &mut sample_rng(1, 2, index));
        assert_eq!(jittered(3), jittered(3));
        assert_ne!(jittered(3), jittered(4));
    }
}
