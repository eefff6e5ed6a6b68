//! Transforms as configuration files name them, and what can be wrong with them.

use super::{
    CentreCrop, ColourJitter, HorizontalFlip, RandAugment, RandomCrop, RandomErasing, RandomResizedCrop,
    Resize, Rotation, pipeline::Step,
};
use serde::{Deserialize, Serialize};
use std::{fmt::Display, ops::RangeInclusive};

/// One step of a [`Pipeline`](super::Pipeline), as in `{ name = "random_crop", height = 32, width = 32, padding = 4 }`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum TransformConfig {
    /// See [`Resize`].
    Resize(Resize),
    /// See [`CentreCrop`].
    CentreCrop(CentreCrop),
    /// See [`RandomCrop`].
    RandomCrop(RandomCrop),
    /// See [`RandomResizedCrop`].
    RandomResizedCrop(RandomResizedCrop),
    /// See [`HorizontalFlip`].
    HorizontalFlip(HorizontalFlip),
    /// See [`Rotation`].
    Rotation(Rotation),
    /// See [`ColourJitter`].
    ColourJitter(ColourJitter),
    /// See [`RandAugment`].
    RandAugment(RandAugment),
    /// See [`RandomErasing`]. It works on the normalised image and stands after all others.
    RandomErasing(RandomErasing),
}

impl TransformConfig {
    /// The name in configuration files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Resize(_) => "resize",
            Self::CentreCrop(_) => "centre_crop",
            Self::RandomCrop(_) => "random_crop",
            Self::RandomResizedCrop(_) => "random_resized_crop",
            Self::HorizontalFlip(_) => "horizontal_flip",
            Self::Rotation(_) => "rotation",
            Self::ColourJitter(_) => "colour_jitter",
            Self::RandAugment(_) => "rand_augment",
            Self::RandomErasing(_) => "random_erasing",
        }
    }

    /// Checks that every value is in its range.
    ///
    /// # Errors
    /// [`TransformError::Value`] for the first that is not.
    pub fn validate(&self) -> Result<(), TransformError> {
        match self {
            Self::Resize(transform) => transform.validate(),
            Self::CentreCrop(transform) => transform.validate(),
            Self::RandomCrop(transform) => transform.validate(),
            Self::RandomResizedCrop(transform) => transform.validate(),
            Self::HorizontalFlip(transform) => transform.validate(),
            Self::Rotation(transform) => transform.validate(),
            Self::ColourJitter(transform) => transform.validate(),
            Self::RandAugment(transform) => transform.validate(),
            Self::RandomErasing(transform) => transform.validate(),
        }
    }

    pub(super) fn build(&self) -> Step {
        match *self {
            Self::Resize(transform) => Step::Image(Box::new(transform)),
            Self::CentreCrop(transform) => Step::Image(Box::new(transform)),
            Self::RandomCrop(transform) => Step::Image(Box::new(transform)),
            Self::RandomResizedCrop(transform) => Step::Image(Box::new(transform)),
            Self::HorizontalFlip(transform) => Step::Image(Box::new(transform)),
            Self::Rotation(transform) => Step::Image(Box::new(transform)),
            Self::ColourJitter(transform) => Step::Image(Box::new(transform)),
            Self::RandAugment(transform) => Step::Image(Box::new(transform)),
            Self::RandomErasing(transform) => Step::Planes(Box::new(transform)),
        }
    }
}

/// Why a transform cannot be used as configured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransformError {
    /// A value is out of its range.
    #[error("{transform}: {key} is {value}, but has to be {expected}")]
    Value {
        /// Name of the transform, as in the configuration.
        transform: &'static str,
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it has to be.
        expected: &'static str,
    },

    /// A transform of images stands after one of normalised images.
    #[error("{transform} stands after random_erasing: what works on the normalised image comes last")]
    Order {
        /// Name of the transform, as in the configuration.
        transform: &'static str,
    },

    /// Means and standard deviations are neither one each nor three each.
    #[error(
        "normalisation has {means} means and {stds} standard deviations: 1 of each for grey images, 3 for RGB, are needed"
    )]
    Channels {
        /// Number of means.
        means: usize,
        /// Number of standard deviations.
        stds: usize,
    },

    /// A mean or a standard deviation cannot be computed with.
    #[error(
        "normalisation by mean {mean:?} and std {std:?}: each number has to be finite, each std positive"
    )]
    Normalize {
        /// The means.
        mean: Vec<f32>,
        /// The standard deviations.
        std: Vec<f32>,
    },
}

/// The longest side that a configuration can ask for.
const MAX_SIDE: usize = 16_384;

pub(crate) fn check(
    valid: bool,
    transform: &'static str,
    key: &'static str,
    value: impl Display,
    expected: &'static str,
) -> Result<(), TransformError> {
    if valid {
        Ok(())
    } else {
        Err(TransformError::Value { transform, key, value: value.to_string(), expected })
    }
}

/// A side of an image, in pixels.
pub(super) fn check_side(
    transform: &'static str,
    key: &'static str,
    side: usize,
) -> Result<(), TransformError> {
    check((1..=MAX_SIDE).contains(&side), transform, key, side, "a whole number from 1 to 16384")
}

/// An amount of pixels that can be zero.
pub(super) fn check_at_most(
    transform: &'static str,
    key: &'static str,
    value: usize,
) -> Result<(), TransformError> {
    check(value <= MAX_SIDE, transform, key, value, "a whole number from 0 to 16384")
}

pub(crate) fn check_within(
    transform: &'static str,
    key: &'static str,
    value: f64,
    range: RangeInclusive<f64>,
    expected: &'static str,
) -> Result<(), TransformError> {
    check(range.contains(&value), transform, key, value, expected)
}

pub(crate) fn check_probability(
    transform: &'static str,
    key: &'static str,
    value: f64,
) -> Result<(), TransformError> {
    check_within(transform, key, value, 0.0..=1.0, "a number from 0 to 1")
}

/// The smallest and the largest part of an area.
pub(super) fn check_fractions(
    transform: &'static str,
    key: &'static str,
    [low, high]: [f64; 2],
) -> Result<(), TransformError> {
    let valid = 0.0 < low && low <= high && high <= 1.0;
    check(valid, transform, key, format_args!("[{low}, {high}]"), "two rising numbers above 0 and up to 1")
}

/// The smallest and the largest ratio of two sides.
pub(super) fn check_ratios(
    transform: &'static str,
    key: &'static str,
    [low, high]: [f64; 2],
) -> Result<(), TransformError> {
    let valid = 0.001 <= low && low <= high && high <= 1000.0;
    check(valid, transform, key, format_args!("[{low}, {high}]"), "two rising numbers from 0.001 to 1000")
}

#[cfg(test)]
mod tests;
