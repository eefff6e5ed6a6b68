//! From a decoded image to what a model reads.

use super::{Normalize, PlanesTransform, Transform, TransformConfig, TransformError, normalize::Normalizer};
use crate::{Image, Planes, SampleRng};

/// Transforms one after the other, then normalisation, then transforms of the normalised image.
///
/// An image is first brought to the channels that the normalisation has, so that grey and colour images mix.
///
/// ```
/// use libellus_data::{Channels, Image, Normalize, Pipeline, TransformConfig, sample_rng, transform};
///
/// let steps = [
///     TransformConfig::RandomCrop(transform::RandomCrop { height: 32, width: 32, padding: 4, fill: [0; 3] }),
///     TransformConfig::HorizontalFlip(transform::HorizontalFlip::default()),
/// ];
/// let pipeline = Pipeline::from_config(&steps, Normalize { mean: vec![0.5; 3], std: vec![0.25; 3] })?;
/// let image = Image::filled(32, 32, Channels::Rgb, [255, 128, 0]);
/// let planes = pipeline.apply(image, &mut sample_rng(42, 0, 0));
/// assert_eq!(planes.shape, [3, 32, 32]);
/// # Ok::<(), libellus_data::TransformError>(())
/// ```
pub struct Pipeline {
    steps: Vec<Box<dyn Transform>>,
    normalizer: Normalizer,
    planes_steps: Vec<Box<dyn PlanesTransform>>,
}

impl Pipeline {
    /// The pipeline of configured transforms, each with checked values.
    ///
    /// Transforms that work on the normalised image (`random_erasing`) stand at the end.
    ///
    /// # Errors
    /// [`TransformError`] for a value out of its range, a transform out of its place, or a normalisation that does not
    /// fit grey or RGB images.
    pub fn from_config(configs: &[TransformConfig], normalize: Normalize) -> Result<Self, TransformError> {
        let mut pipeline =
            Self { steps: Vec::new(), normalizer: normalize.prepare()?, planes_steps: Vec::new() };
        for config in configs {
            config.validate()?;
            match config.build() {
                Step::Image(_) if !pipeline.planes_steps.is_empty() => {
                    return Err(TransformError::Order { transform: config.name() });
                }
                Step::Image(step) => pipeline.steps.push(step),
                Step::Planes(step) => pipeline.planes_steps.push(step),
            }
        }
        Ok(pipeline)
    }

    /// The pipeline with one more transform before the normalisation.
    pub fn with_step(mut self, step: impl Transform + 'static) -> Self {
        self.steps.push(Box::new(step));
        self
    }

    /// The planes of an image, with as many channels as the normalisation has.
    pub fn apply(&self, image: Image, rng: &mut SampleRng) -> Planes {
        let image = image.into_channels(self.normalizer.channels());
        let image = self.steps.iter().fold(image, |image, step| step.apply(image, rng));
        let mut planes = self.normalizer.apply(&image.into_channels(self.normalizer.channels()));
        for step in &self.planes_steps {
            step.apply(&mut planes, rng);
        }
        planes
    }
}

/// A transform, by what it works on.
pub(super) enum Step {
    Image(Box<dyn Transform>),
    Planes(Box<dyn PlanesTransform>),
}

#[cfg(test)]
mod tests;
