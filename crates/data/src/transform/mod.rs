//! Transforms of images, in training and before prediction, as torchvision's on PIL images.
//!
//! Each transform is a struct that is its own configuration and can be read from a file; a [`Pipeline`] runs several of
//! them and normalises. Behind each random transform stands a deterministic function (`RandomCrop` and [`crop`],
//! `ColourJitter` and [`adjust_hue`], ...): the transform only draws its arguments.
//!
//! The functions compute what Pillow 13 and torchvision 0.29 compute, down to the rounding, with the tests' golden files as
//! witness. Reference implementations: torchvision's `transforms` (`functional.py`, `autoaugment.py`) and the C sources
//! of PIL (`Resample.c`, `Geometry.c`, `Blend.c`, `Convert.c`).

mod affine;
mod colour;
mod config;
mod crop;
mod erase;
mod flip;
mod jitter;
mod normalize;
mod pipeline;
mod rand_augment;
mod resize;
mod tone;

use crate::{Image, Planes, SampleRng};

pub use affine::{Affine, Rotation, Sampling, affine, rotate};
pub use colour::{adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, adjust_sharpness};
pub use config::{TransformConfig, TransformError};
pub(crate) use config::{check_probability, check_within};
pub use crop::{CentreCrop, RandomCrop, RandomResizedCrop, Region, crop, crop_padded};
pub use erase::{EraseFill, RandomErasing, erase};
pub use flip::{HorizontalFlip, flip_horizontal};
pub use jitter::ColourJitter;
pub use normalize::Normalize;
pub use pipeline::Pipeline;
pub use rand_augment::{AugmentOp, RandAugment};
pub use resize::{Interpolation, Resize, ResizeTo, resize};
pub use tone::{autocontrast, equalize, invert, posterize, solarize};

/// A step from image to image; whatever is random in it comes from `rng`.
pub trait Transform: Send + Sync {
    /// The transformed image.
    fn apply(&self, image: Image, rng: &mut SampleRng) -> Image;
}

/// A step on the normalised image; whatever is random in it comes from `rng`.
pub trait PlanesTransform: Send + Sync {
    /// Transforms the image in place.
    fn apply(&self, planes: &mut Planes, rng: &mut SampleRng);
}
