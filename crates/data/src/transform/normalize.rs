//! From bytes to normalised floats.

use super::TransformError;
use crate::{Channels, Image, Planes};
use serde::{Deserialize, Serialize};

/// Scales values to 0 to 1, subtracts a mean and divides by a standard deviation, channel by channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalize {
    /// Mean of each channel, of values from 0 to 1. One entry makes images grey, three make them RGB.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel.
    pub std: Vec<f32>,
}

/// Normalisation with everything that can be computed before the first image.
#[derive(Debug, Clone)]
pub(super) struct Normalizer {
    channels: Channels,
    /// For each channel, what each byte becomes.
    tables: Vec<[f32; 256]>,
}

impl Normalize {
    /// Means of 0 and deviations of 1: values from 0 to 1.
    pub fn identity(channels: Channels) -> Self {
        Self { mean: vec![0.0; channels.count()], std: vec![1.0; channels.count()] }
    }

    /// The channels of the images that it makes.
    ///
    /// # Errors
    /// [`TransformError`] if `mean` and `std` do not both have one or both have three usable entries.
    pub fn channels(&self) -> Result<Channels, TransformError> {
        let (means, stds) = (self.mean.len(), self.std.len());
        let channels = match (means, stds) {
            (1, 1) => Channels::Grey,
            (3, 3) => Channels::Rgb,
            _ => return Err(TransformError::Channels { means, stds }),
        };
        let usable = |&std: &f32| std.is_finite() && std > 0.0;
        if self.mean.iter().all(|mean| mean.is_finite()) && self.std.iter().all(usable) {
            Ok(channels)
        } else {
            Err(TransformError::Normalize { mean: self.mean.clone(), std: self.std.clone() })
        }
    }

    pub(super) fn prepare(&self) -> Result<Normalizer, TransformError> {
        let channels = self.channels()?;
        // In single precision and in this order, as torchvision's `ToTensor` and `Normalize`.
        let table =
            |(mean, std): (&f32, &f32)| std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std);
        Ok(Normalizer { channels, tables: self.mean.iter().zip(&self.std).map(table).collect() })
    }
}

impl Normalizer {
    /// The channels that [`Self::apply`] takes.
    pub(super) fn channels(&self) -> Channels {
        self.channels
    }

    /// The planes of an image that has these channels.
    pub(super) fn apply(&self, image: &Image) -> Planes {
        debug_assert_eq!(image.channels(), self.channels);
        let count = self.channels.count();
        let mut values = Vec::with_capacity(image.pixels().len());
        for (channel, table) in self.tables.iter().enumerate() {
            values.extend(
                image.pixels().iter().skip(channel).step_by(count).map(|&byte| table[usize::from(byte)]),
            );
        }
        Planes { shape: [count, image.height(), image.width()], values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_become_planes() {
        let normalize = Normalize { mean: vec![0.0, 0.5, 1.0], std: vec![1.0, 0.5, 0.25] };
        let image = Image::new(2, 1, Channels::Rgb, vec![0, 0, 0, 255, 255, 255]);
        let planes = normalize.prepare().unwrap().apply(&image);
        assert_eq!(planes.shape, [3, 1, 2]);
        assert_eq!(planes.values, [0.0, 1.0, -1.0, 1.0, -4.0, 0.0]);
    }

    #[test]
    fn unusable_numbers_are_refused() {
        let refused = |mean: &[f32], std: &[f32]| {
            Normalize { mean: mean.to_vec(), std: std.to_vec() }.channels().unwrap_err().to_string()
        };
        assert_eq!(
            refused(&[0.5; 2], &[0.5; 3]),
            "normalisation has 2 means and 3 standard deviations: 1 of each for grey images, 3 for RGB, are needed"
        );
        assert!(refused(&[0.5], &[0.0]).contains("positive"));
        assert!(refused(&[f32::NAN], &[1.0]).contains("finite"));
    }
}
