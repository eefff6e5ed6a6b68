//! Images to batches for classification.

use crate::{Collate, DataError, ImageBatch, Mix, Pipeline, Planes, Sample, SampleRng};

/// Prepares images with a pipeline and puts them into one block; with a [`Mix`], mixes them there.
pub struct ImageCollate {
    /// What is done to each image.
    pub pipeline: Pipeline,
    /// What is done to a batch of them, for training alone.
    pub mix: Option<Mix>,
    /// Number of classes.
    pub num_classes: usize,
}

/// An image that is ready to be put beside others.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedImage {
    /// The image as the model reads it.
    pub planes: Planes,
    /// Index of the class.
    pub label: usize,
}

impl Collate for ImageCollate {
    type Item = Sample;
    type Prepared = PreparedImage;
    type Batch = ImageBatch;

    fn prepare(&self, sample: Sample, rng: &mut SampleRng) -> Result<PreparedImage, DataError> {
        Ok(PreparedImage { planes: self.pipeline.apply(sample.image, rng), label: sample.label })
    }

    /// # Errors
    /// [`DataError::MixedSizes`] when the pipeline left images of different sizes.
    fn collate(&self, samples: Vec<PreparedImage>, rng: &mut SampleRng) -> Result<ImageBatch, DataError> {
        let first = samples.first().map_or([0; 3], |sample| sample.planes.shape);
        let [channels, height, width] = first;
        let mut pixels = Vec::with_capacity(samples.len() * channels * height * width);
        let mut labels = Vec::with_capacity(samples.len());
        for sample in samples {
            if sample.planes.shape != first {
                return Err(DataError::MixedSizes { first, other: sample.planes.shape });
            }
            pixels.extend_from_slice(&sample.planes.values);
            labels.push(sample.label);
        }
        let shape = [labels.len(), channels, height, width];
        let mut batch = ImageBatch { pixels, shape, labels, targets: None, num_classes: self.num_classes };
        if let Some(mix) = &self.mix {
            mix.apply(&mut batch, rng);
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        BatchSize, Channels, Image, Loader, LoaderConfig, Normalize, OpenOptions, Order, TransformConfig,
        open_digits,
        transform::{RandomCrop, RandomErasing},
    };

    fn pipeline(steps: &[TransformConfig], channels: Channels) -> Pipeline {
        Pipeline::from_config(steps, Normalize::identity(channels)).unwrap()
    }

    fn plain() -> ImageCollate {
        ImageCollate { pipeline: pipeline(&[], Channels::Rgb), mix: None, num_classes: 3 }
    }

    fn prepared(width: usize, height: usize, grey: u8, label: usize) -> PreparedImage {
        let image = Image::filled(width, height, Channels::Grey, [grey; 3]);
        plain().prepare(Sample { image, label }, &mut crate::sample_rng(0, 0, 0)).unwrap()
    }

    #[test]
    fn images_are_put_one_after_the_other() {
        let samples = vec![prepared(5, 2, 0, 2), prepared(5, 2, 255, 1)];
        let batch = plain().collate(samples, &mut crate::sample_rng(0, 0, 0)).unwrap();
        assert_eq!(batch.shape, [2, 3, 2, 5]);
        assert_eq!(batch.pixels, [[0.0; 30], [1.0; 30]].concat());
        assert_eq!((batch.labels, batch.targets, batch.num_classes), (vec![2, 1], None, 3));
    }

    #[test]
    fn sizes_that_differ_are_named() {
        let samples = vec![prepared(5, 2, 0, 2), prepared(7, 3, 0, 1)];
        let error = plain().collate(samples, &mut crate::sample_rng(0, 0, 0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a batch holds images of [3, 2, 5] and of [3, 3, 7] (channels, height, width): resize or crop them to one \
             size"
        );
    }

    #[test]
    fn augmented_and_mixed_batches_do_not_depend_on_the_number_of_workers() {
        let digits = open_digits(&OpenOptions::default()).unwrap();
        let batches = |workers, start| -> Vec<ImageBatch> {
            let steps = [
                TransformConfig::RandomCrop(RandomCrop { height: 7, width: 5, padding: 2, fill: [0; 3] }),
                TransformConfig::RandomErasing(RandomErasing::default()),
            ];
            let collate = ImageCollate {
                pipeline: pipeline(&steps, Channels::Grey),
                mix: Some(Mix { mixup_alpha: 0.3, cutmix_alpha: 1.0, ..Mix::default() }),
                num_classes: 10,
            };
            let config = LoaderConfig {
                batch_size: BatchSize::Of(101),
                order: Order::Shuffled { seed: 3 },
                workers,
                ..LoaderConfig::default()
            };
            let loader = Loader::new(Arc::clone(&digits.test), collate, config).unwrap();
            loader.epoch(1, start).collect::<Result<_, _>>().unwrap()
        };
        let in_place = batches(0, 0);
        assert_eq!(in_place.len(), 4);
        assert_eq!(in_place[3].shape, [digits.test.len() - 3 * 101, 1, 7, 5]);
        assert!(in_place.iter().all(|batch| batch.targets.is_some()));
        for workers in [1, 2, 5] {
            assert!(batches(workers, 0) == in_place, "{workers} workers");
            assert!(batches(workers, 2) == in_place[2..], "{workers} workers from batch 2");
        }
    }
}
