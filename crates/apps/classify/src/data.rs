//! Labelled images: from a data set to batches on the device.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use libellus_data::transform::{
    CentreCrop, ColourJitter, HorizontalFlip, Interpolation, RandAugment, RandomCrop, RandomErasing,
    RandomResizedCrop, Resize, ResizeTo, Rotation, Sampling,
};
use libellus_data::{
    Dataset, ImageBatch, ImageClasses, ImageCollate, LabelledImages, Loader, Mix, Normalize, OpenOptions,
    Pipeline, Sample, Source, Subset, TransformConfig, open, stratified,
};
use libellus_models::{InputSpec, Interpolation as ModelInterpolation};
use libellus_train::OptionsError;

use crate::error::ClassifyError;
use crate::options::{Augment, TrainOptions};

/// A loader of labelled images.
pub type ImageLoader = Loader<ImageCollate>;

/// The batches of one step, still on the host.
pub type HostBatches = Vec<ImageBatch>;

/// A batch on the device.
#[derive(Debug)]
pub struct Batch {
    /// `[B, C, H, W]`, normalised.
    pub images: Tensor<4>,
    /// What they show.
    pub targets: Targets,
}

/// What a batch of images shows.
#[derive(Debug)]
pub enum Targets {
    /// A class each, `[B]`.
    Labels(Tensor<1, Int>),
    /// Shares of the classes, `[B, K]`, as mixup and CutMix make them.
    Soft(Tensor<2>),
}

/// Brings a batch to the device: the one place where that happens.
pub fn to_device(batch: ImageBatch, device: &Device) -> Batch {
    let [count, ..] = batch.shape;
    let targets = match batch.targets {
        Some(targets) => {
            Targets::Soft(Tensor::from_data(TensorData::new(targets, [count, batch.num_classes]), device))
        }
        None => {
            let labels: Vec<i32> = batch.labels.iter().map(|&label| label as i32).collect();
            Targets::Labels(Tensor::from_data(TensorData::new(labels, [count]), device))
        }
    };
    Batch { images: Tensor::from_data(TensorData::new(batch.pixels, batch.shape), device), targets }
}

/// A data set in the three parts of an honest experiment.
#[derive(Clone)]
pub struct Parts {
    /// Name of the data set.
    pub name: String,
    /// The classes, in the order of their labels.
    pub classes: Vec<String>,
    /// Images to learn from.
    pub train: Arc<dyn Dataset<Item = Sample>>,
    /// Images to measure the weights by during the run; `None` when there are none.
    pub validation: Option<Arc<dyn Dataset<Item = Sample>>>,
    /// The share of the training images that was held back as `validation`; `None` where the data set has images for that.
    pub held_back: Option<f64>,
    /// Images that are looked at once, at the end.
    pub test: Arc<dyn Dataset<Item = Sample>>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("name", &self.name)
            .field("classes", &self.classes)
            .field("train", &self.train.len())
            .field("validation", &self.validation.as_ref().map(|part| part.len()))
            .field("test", &self.test.len())
            .finish()
    }
}

impl Parts {
    /// Opens the data set of a run.
    ///
    /// `validation` is the share of the training images to hold back, 0 for no validation at all. Without it, the data set's
    /// own validation part is taken, else a tenth of the training images.
    ///
    /// # Errors
    /// When the data set isn't there or is damaged, and when a share is asked of one that has a validation part.
    pub fn open(
        data: &str,
        data_dir: &Path,
        seed: u64,
        test_fraction: f64,
        validation: Option<f64>,
    ) -> Result<Self, ClassifyError> {
        let set = open(&Source::parse(data)?, data_dir, &OpenOptions { seed, test_fraction })?;
        match (&set.validation, validation) {
            (Some(given), None) => Ok(Self {
                name: set.name,
                classes: set.classes,
                train: set.train,
                validation: Some(given.clone()),
                held_back: None,
                test: set.test,
            }),
            (Some(given), Some(share)) if share > 0.0 => {
                let reason = format!(
                    "{} has {} validation images of its own; leave the option out to use them, or give 0 for no validation",
                    set.name,
                    given.len()
                );
                Err(OptionsError::option("validation", share, reason).into())
            }
            (_, share) => Self::divide(set, seed, share.unwrap_or(0.1)),
        }
    }

    /// Holds back a stratified part of the training images.
    fn divide(set: ImageClasses, seed: u64, share: f64) -> Result<Self, ClassifyError> {
        let all = LabelledImages { images: set.train.clone(), labels: set.train_labels().to_vec() };
        let (train, validation) = if share > 0.0 {
            let split = stratified(&all.labels, share, seed)?;
            let train: Arc<dyn Dataset<Item = Sample>> =
                Arc::new(Subset::new(all.images.clone(), split.train));
            let held_back: Arc<dyn Dataset<Item = Sample>> = Arc::new(Subset::new(all.images, split.test));
            (train, Some(held_back))
        } else {
            (all.images, None)
        };
        Ok(Self {
            name: set.name,
            classes: set.classes,
            train,
            validation,
            held_back: Some(share),
            test: set.test,
        })
    }
}

/// How an image becomes a model's input when the model is used.
///
/// # Errors
/// When the numbers of `input` are out of range.
pub fn inference_pipeline(input: &InputSpec) -> Result<Pipeline, ClassifyError> {
    let interpolation = interpolation(input);
    let (height, width) = (input.height, input.width);
    let steps = match input.resize_to {
        Some(shorter) => vec![
            TransformConfig::Resize(Resize { to: ResizeTo::ShorterSide(shorter), interpolation }),
            TransformConfig::CentreCrop(CentreCrop { height, width }),
        ],
        None => {
            vec![TransformConfig::Resize(Resize { to: ResizeTo::Exact { height, width }, interpolation })]
        }
    };
    pipeline(steps, input)
}

/// How a training image is varied on its way to the model.
///
/// # Errors
/// When an option is out of its range.
pub fn training_pipeline(input: &InputSpec, options: &TrainOptions) -> Result<Pipeline, ClassifyError> {
    let interpolation = interpolation(input);
    let (height, width) = (input.height, input.width);
    let resize = TransformConfig::Resize(Resize { to: ResizeTo::Exact { height, width }, interpolation });
    let shift = TransformConfig::RandomCrop(RandomCrop {
        height,
        width,
        padding: (height.min(width) / 8).max(1),
        fill: [0; 3],
    });
    let flip = TransformConfig::HorizontalFlip(HorizontalFlip { probability: 0.5 });
    let mut steps = match options.augment.unwrap_or(Augment::Auto) {
        Augment::Auto | Augment::None => vec![resize],
        Augment::Shift => vec![resize, shift],
        Augment::CropFlip => vec![resize, shift, flip],
        Augment::ResizedCropFlip => {
            let crop = RandomResizedCrop { interpolation, ..RandomResizedCrop::new(height, width) };
            vec![TransformConfig::RandomResizedCrop(crop), flip]
        }
    };
    if let Some(degrees) = options.rotation.filter(|&degrees| degrees != 0.0) {
        steps.push(TransformConfig::Rotation(Rotation {
            degrees: degrees.into(),
            sampling: Sampling::Bilinear,
            fill: [0; 3],
        }));
    }
    if let Some(strength) = options.color_jitter.filter(|&strength| strength != 0.0) {
        let strength = f64::from(strength);
        steps.push(TransformConfig::ColourJitter(ColourJitter {
            brightness: strength,
            contrast: strength,
            saturation: strength,
            ..ColourJitter::default()
        }));
    }
    if let Some(num_ops) = options.rand_augment.filter(|&num_ops| num_ops > 0) {
        let default = RandAugment::default();
        let magnitude = options.rand_augment_magnitude.unwrap_or(default.magnitude);
        steps.push(TransformConfig::RandAugment(RandAugment { num_ops, magnitude, ..default }));
    }
    if let Some(probability) = options.erasing.filter(|&probability| probability != 0.0) {
        steps.push(TransformConfig::RandomErasing(RandomErasing {
            probability: probability.into(),
            ..RandomErasing::default()
        }));
    }
    pipeline(steps, input)
}

/// Mixing of batches, if any is wanted.
///
/// # Errors
/// When an option is out of its range.
pub(crate) fn mixing(options: &TrainOptions) -> Result<Option<Mix>, ClassifyError> {
    let mix = Mix {
        mixup_alpha: options.mixup.unwrap_or(0.0),
        cutmix_alpha: options.cutmix.unwrap_or(0.0),
        ..Mix::default()
    };
    mix.validate()?;
    Ok(mix.is_on().then_some(mix))
}

fn pipeline(steps: Vec<TransformConfig>, input: &InputSpec) -> Result<Pipeline, ClassifyError> {
    let normalize = Normalize { mean: input.mean.clone(), std: input.std.clone() };
    Ok(Pipeline::from_config(&steps, normalize)?)
}

fn interpolation(input: &InputSpec) -> Interpolation {
    match input.interpolation {
        ModelInterpolation::Bilinear => Interpolation::Bilinear,
        ModelInterpolation::Bicubic => Interpolation::Bicubic,
    }
}
