//! RandAugment.
//!
//! Cubuk et al. 2019, *RandAugment: Practical automated data augmentation with a reduced search space*,
//! arXiv:1909.13719. The operations and their magnitudes are those of torchvision's `RandAugment`.

use super::{
    Affine, Sampling, Transform, TransformError, adjust_brightness, adjust_contrast, adjust_saturation,
    adjust_sharpness, affine, autocontrast, config, equalize, posterize, rotate, solarize,
};
use crate::{Image, SampleRng};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Applies a few operations, drawn from fourteen, all at one magnitude.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandAugment {
    /// How many operations are applied one after the other (the paper's `N`).
    pub num_ops: usize,
    /// How strong they are (the paper's `M`), from 0 up to, but not including, `num_magnitude_bins`.
    pub magnitude: usize,
    /// Into how many steps the range of magnitudes is divided.
    pub num_magnitude_bins: usize,
    /// How pixels between pixels are found.
    pub sampling: Sampling,
    /// Colour of what comes from outside the image; a grey image takes the first value.
    pub fill: [u8; 3],
}

impl Default for RandAugment {
    /// Two operations at 9 of 31, nearest pixel, black, as in torchvision.
    fn default() -> Self {
        Self { num_ops: 2, magnitude: 9, num_magnitude_bins: 31, sampling: Sampling::Nearest, fill: [0; 3] }
    }
}

/// One operation, with its amount.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AugmentOp {
    /// Nothing.
    Identity,
    /// Shear along rows; pixels per row.
    ShearX(f64),
    /// Shear along columns; pixels per column.
    ShearY(f64),
    /// Translation to the right; whole pixels.
    TranslateX(i64),
    /// Translation downwards; whole pixels.
    TranslateY(i64),
    /// Rotation; degrees counter-clockwise.
    Rotate(f64),
    /// [`adjust_brightness`]; factor.
    Brightness(f64),
    /// [`adjust_saturation`]; factor.
    Saturation(f64),
    /// [`adjust_contrast`]; factor.
    Contrast(f64),
    /// [`adjust_sharpness`]; factor.
    Sharpness(f64),
    /// [`posterize`]; bits that are kept.
    Posterize(u32),
    /// [`solarize`]; threshold.
    Solarize(f64),
    /// [`autocontrast`].
    AutoContrast,
    /// [`equalize`].
    Equalize,
}

/// Which way an operation that has two directions goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

impl RandAugment {
    /// How many operations there are to draw from.
    const OPERATIONS: usize = 14;

    /// The operation of a number below [`Self::OPERATIONS`] for an image of `width` x `height` pixels.
    fn operation(&self, number: usize, direction: Direction, width: usize, height: usize) -> AugmentOp {
        let signed = |largest: f64| match direction {
            Direction::Forward => self.level(0.0, largest),
            Direction::Backward => -self.level(0.0, largest),
        };
        let pixels = |side: usize| signed(150.0 / 331.0 * side as f64) as i64;
        match number {
            0 => AugmentOp::Identity,
            1 => AugmentOp::ShearX(signed(0.3)),
            2 => AugmentOp::ShearY(signed(0.3)),
            3 => AugmentOp::TranslateX(pixels(width)),
            4 => AugmentOp::TranslateY(pixels(height)),
            5 => AugmentOp::Rotate(signed(30.0)),
            6 => AugmentOp::Brightness(1.0 + signed(0.9)),
            7 => AugmentOp::Saturation(1.0 + signed(0.9)),
            8 => AugmentOp::Contrast(1.0 + signed(0.9)),
            9 => AugmentOp::Sharpness(1.0 + signed(0.9)),
            10 => {
                let steps_per_bit = (self.num_magnitude_bins - 1) as f32 / 4.0;
                AugmentOp::Posterize(8 - (self.magnitude as f32 / steps_per_bit).round_ties_even() as u32)
            }
            11 => AugmentOp::Solarize(self.level(255.0, 0.0)),
            12 => AugmentOp::AutoContrast,
            _ => AugmentOp::Equalize,
        }
    }

    /// The magnitude's place between two ends: an element of torch's `linspace`, in its single precision.
    fn level(&self, start: f64, end: f64) -> f64 {
        let (start, end) = (start as f32, end as f32);
        let last = self.num_magnitude_bins - 1;
        let step = (end - start) / last as f32;
        f64::from(if self.magnitude < self.num_magnitude_bins / 2 {
            start + step * self.magnitude as f32
        } else {
            end - step * (last - self.magnitude) as f32
        })
    }

    pub(super) fn validate(&self) -> Result<(), TransformError> {
        const NAME: &str = "rand_augment";
        let fits = |key, value: usize, range: std::ops::RangeInclusive<usize>, expected| {
            config::check(range.contains(&value), NAME, key, value, expected)
        };
        fits("num_ops", self.num_ops, 0..=100, "a whole number from 0 to 100")?;
        fits("num_magnitude_bins", self.num_magnitude_bins, 2..=1000, "a whole number from 2 to 1000")?;
        fits("magnitude", self.magnitude, 0..=self.num_magnitude_bins - 1, "less than num_magnitude_bins")
    }
}

impl Transform for RandAugment {
    fn apply(&self, image: Image, rng: &mut SampleRng) -> Image {
        (0..self.num_ops).fold(image, |image, _| {
            let number = rng.random_range(0..Self::OPERATIONS);
            let direction = if rng.random() { Direction::Forward } else { Direction::Backward };
            self.operation(number, direction, image.width(), image.height()).apply(
                image,
                self.sampling,
                self.fill,
            )
        })
    }
}

impl AugmentOp {
    /// The image after the operation.
    ///
    /// # Panics
    /// If [`AugmentOp::Posterize`] does not keep 1 to 8 bits.
    pub fn apply(self, image: Image, sampling: Sampling, fill: [u8; 3]) -> Image {
        let mapped = |map: Affine| affine(&image, &map, sampling, fill);
        match self {
            Self::Identity => image,
            Self::ShearX(slope) => mapped(Affine::shear_x(slope)),
            Self::ShearY(slope) => mapped(Affine::shear_y(slope)),
            Self::TranslateX(columns) => mapped(Affine::translation(columns, 0)),
            Self::TranslateY(rows) => mapped(Affine::translation(0, rows)),
            Self::Rotate(degrees) => rotate(&image, degrees, sampling, fill),
            Self::Brightness(factor) => adjust_brightness(image, factor),
            Self::Saturation(factor) => adjust_saturation(image, factor),
            Self::Contrast(factor) => adjust_contrast(image, factor),
            Self::Sharpness(factor) => adjust_sharpness(image, factor),
            Self::Posterize(bits) => posterize(image, bits),
            Self::Solarize(threshold) => solarize(image, threshold),
            Self::AutoContrast => autocontrast(image),
            Self::Equalize => equalize(image),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Channels, sample_rng};

    #[test]
    fn magnitudes_are_those_of_torchvision() {
        // RandAugment()._augmentation_space(31, (331, 662)), element 9.
        let augment = RandAugment::default();
        let op = |number| augment.operation(number, Direction::Forward, 662, 331);
        let close =
            |value: f64, expected: f64| assert!((value - expected).abs() < 1e-6, "{value} {expected}");
        assert!(matches!(op(1), AugmentOp::ShearX(slope) if (slope - 0.09).abs() < 1e-6));
        assert_eq!(op(3), AugmentOp::TranslateX(90));
        assert_eq!(op(4), AugmentOp::TranslateY(45));
        assert!(matches!(op(5), AugmentOp::Rotate(degrees) if (degrees - 9.0).abs() < 1e-5));
        assert!(matches!(op(6), AugmentOp::Brightness(factor) if (factor - 1.27).abs() < 1e-6));
        assert_eq!(op(10), AugmentOp::Posterize(7));
        assert!(matches!(op(11), AugmentOp::Solarize(threshold) if threshold == 178.5));
        close(augment.level(0.0, 30.0), 9.0);
        let strongest = RandAugment { magnitude: 30, ..augment };
        assert_eq!(strongest.operation(10, Direction::Forward, 7, 7), AugmentOp::Posterize(4));
        assert_eq!(strongest.operation(11, Direction::Forward, 7, 7), AugmentOp::Solarize(0.0));
    }

    #[test]
    fn backward_is_the_other_way() {
        let op = RandAugment::default().operation(3, Direction::Backward, 662, 331);
        assert_eq!(op, AugmentOp::TranslateX(-90));
    }

    #[test]
    fn any_size_and_magnitude_keeps_the_size() {
        for (width, height, channels) in
            [(1, 1, Channels::Grey), (2, 13, Channels::Rgb), (17, 3, Channels::Grey)]
        {
            for magnitude in [0, 15, 30] {
                let augment = RandAugment { num_ops: 5, magnitude, ..RandAugment::default() };
                for index in 0..40 {
                    let image = Image::filled(width, height, channels, [10, 90, 200]);
                    let image = augment.apply(image, &mut sample_rng(3, 0, index));
                    assert_eq!((image.width(), image.height(), image.channels()), (width, height, channels));
                }
            }
        }
    }
}
