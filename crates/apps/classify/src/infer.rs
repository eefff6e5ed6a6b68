//! From a saved model and images to predictions.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use libellus_data::{BatchSize, ImageCollate, Loader, OpenOptions};
use libellus_data::{
    DataError, Image, ImageBatch, LastBatch, LoaderConfig, Order, Pipeline, SampleRng, Source, decode,
    decode_file, image_files, open, sample_rng,
};
use libellus_models::Classifier;
use libellus_train::metrics::{ClassificationMetrics, ClassificationReport};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Serialize;

use crate::data::{ImageLoader, inference_pipeline, to_device};
use crate::error::ClassifyError;
use crate::saved::Trained;

/// What a model says of an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The most probable classes, most probable first.
    pub top: Vec<Scored>,
}

/// A class and how probable it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scored {
    /// Name of the class.
    pub class: String,
    /// Its label: the index among the model's classes.
    pub label: usize,
    /// Between 0 and 1.
    pub probability: f32,
}

/// The input of the classification head for some images.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// `[images, width]` in row-major order.
    pub values: Vec<f32>,
    /// Features per image.
    pub width: usize,
}

/// Classifies images with a trained model.
pub struct Predictor {
    trained: Trained,
    pipeline: Pipeline,
}

impl Predictor {
    /// Makes a trained model ready.
    ///
    /// # Errors
    /// When the preprocessing that it was saved with is out of range.
    pub fn new(trained: Trained) -> Result<Self, ClassifyError> {
        let pipeline = inference_pipeline(&trained.description.input)?;
        Ok(Self { trained, pipeline })
    }

    /// Classifies a batch of images of any sizes, with the `top` most probable classes each.
    pub fn predict(&self, images: &[Image], top: usize) -> Vec<Prediction> {
        let probabilities = floats(softmax(self.trained.model.forward(self.tensor(images)), 1).into_data());
        let classes = &self.trained.description.classes;
        let scored = |row: &[f32], label: usize| Scored {
            class: classes[label].clone(),
            label,
            probability: row[label],
        };
        probabilities
            .chunks(classes.len())
            .map(|row| {
                let mut order: Vec<usize> = (0..row.len()).collect();
                order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
                Prediction {
                    top: order.into_iter().take(top.max(1)).map(|label| scored(row, label)).collect(),
                }
            })
            .collect()
    }

    /// The features of a batch of images of any sizes.
    pub fn features(&self, images: &[Image]) -> Features {
        let features = self.trained.model.forward_features(self.tensor(images));
        let [_, width] = features.dims();
        Features { values: floats(features.into_data()), width }
    }

    /// The images as the model reads them, `[B, C, H, W]`.
    fn tensor(&self, images: &[Image]) -> Tensor<4> {
        let input = &self.trained.description.input;
        // The pipeline has no random step: the generator is never asked.
        let mut rng: SampleRng = sample_rng(0, 0, 0);
        let mut pixels = Vec::with_capacity(images.len() * input.channels * input.height * input.width);
        for image in images {
            pixels.extend(self.pipeline.apply(image.clone(), &mut rng).values);
        }
        let shape = [images.len(), input.channels, input.height, input.width];
        Tensor::from_data(TensorData::new(pixels, shape), &self.trained.device)
    }
}

/// Goes through `images` and hands the class probabilities of each batch to `each`, row by row.
pub(crate) fn measure(
    model: &Classifier,
    images: &ImageLoader,
    device: &Device,
    mut each: impl FnMut(&[f32], &ImageBatch) -> Result<(), ClassifyError>,
) -> Result<(), ClassifyError> {
    for batch in images.epoch(0, 0) {
        let batch = batch?;
        let on_device = to_device(batch.clone(), device);
        let probabilities = floats(softmax(model.forward(on_device.images), 1).into_data());
        each(&probabilities, &batch)?;
    }
    Ok(())
}

/// Measures a trained model on the test images of a data set, by default the one it was trained on.
///
/// # Errors
/// When the data isn't there or damaged, or has other classes than the model.
pub fn evaluate(
    trained: &Trained,
    data: Option<&str>,
    data_dir: &Path,
    batch_size: usize,
) -> Result<ClassificationReport, ClassifyError> {
    let data = data.unwrap_or(&trained.description.data);
    let split = trained.description.split;
    let options = OpenOptions { seed: split.seed, test_fraction: split.fraction };
    let set = open(&Source::parse(data)?, data_dir, &options)?;
    let classes = &trained.description.classes;
    if &set.classes != classes {
        let only = |a: &[String], b: &[String]| a.iter().find(|class| !b.contains(class)).cloned();
        let example = match (only(&set.classes, classes), only(classes, &set.classes)) {
            (Some(class), _) => format!("the model has no class {class:?}"),
            (None, Some(class)) => format!("the data has no class {class:?}"),
            (None, None) => "they are in another order".to_owned(),
        };
        return Err(ClassifyError::OtherClasses {
            path: trained.path.clone(),
            model: classes.len(),
            data: set.name,
            found: set.classes.len(),
            example,
        });
    }
    let loader = test_loader(set.test, trained, batch_size)?;
    let mut metrics = ClassificationMetrics::new(classes.len());
    measure(&trained.model, &loader, &trained.device, |probabilities, batch| {
        Ok(metrics.update(probabilities, &batch.labels)?)
    })?;
    Ok(metrics.finish()?)
}

/// Images in order, as the model sees them in use.
pub(crate) fn test_loader(
    images: std::sync::Arc<dyn libellus_data::Dataset<Item = libellus_data::Sample>>,
    trained: &Trained,
    batch_size: usize,
) -> Result<ImageLoader, ClassifyError> {
    let collate = ImageCollate {
        pipeline: inference_pipeline(&trained.description.input)?,
        mix: None,
        num_classes: trained.description.classes.len(),
    };
    let config = LoaderConfig {
        batch_size: BatchSize::Of(batch_size),
        order: Order::Sequential,
        last: LastBatch::Keep,
        workers: 1,
        prefetch: 2,
    };
    Ok(Loader::new(images, collate, config)?)
}

/// Where an image to classify comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl Input {
    /// Lists what a person means: `-` is standard input, a folder all images in and below it, all else a file.
    ///
    /// # Errors
    /// When a folder can't be read or has no image in it.
    pub fn list(paths: &[PathBuf]) -> Result<Vec<Self>, ClassifyError> {
        let mut inputs = Vec::new();
        for path in paths {
            if path.as_os_str() == "-" {
                inputs.push(Self::Stdin);
            } else if path.is_dir() {
                let files = image_files(path)?;
                if files.is_empty() {
                    return Err(ClassifyError::NoImages { path: path.clone() });
                }
                inputs.extend(files.into_iter().map(Self::File));
            } else {
                inputs.push(Self::File(path.clone()));
            }
        }
        Ok(inputs)
    }

    /// Reads and decodes it.
    ///
    /// # Errors
    /// When it can't be read or is no image.
    pub fn read(&self) -> Result<Image, ClassifyError> {
        match self {
            Self::File(path) => Ok(decode_file(path)?),
            Self::Stdin => {
                let path = PathBuf::from("standard input");
                let mut bytes = Vec::new();
                std::io::stdin().lock().read_to_end(&mut bytes).map_err(|source| ClassifyError::Io {
                    action: "read",
                    path: path.clone(),
                    source,
                })?;
                decode(&bytes).map_err(|source| DataError::Decode { path, source }.into())
            }
        }
    }
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("-"),
        }
    }
}

/// Writes features as a safetensors file: `features`, `[images, width]`, and the images' names as metadata `images`, a
/// JSON list.
///
/// # Errors
/// When the file can't be written.
pub fn save_features(path: &Path, images: &[String], features: &Features) -> Result<(), ClassifyError> {
    let io = |source| ClassifyError::Io { action: "write", path: path.to_path_buf(), source };
    let bytes: Vec<u8> = features.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let tensor = TensorView::new(Dtype::F32, vec![images.len(), features.width], &bytes)
        .map_err(|error| io(std::io::Error::other(error)))?;
    let names = serde_json::to_string(images).map_err(|error| io(error.into()))?;
    let metadata = HashMap::from([("images".to_owned(), names)]);
    let file = safetensors::serialize([("features", tensor)], Some(metadata))
        .map_err(|error| io(std::io::Error::other(error)))?;
    libellus_weights::write_atomic(path, |out| out.write_all(&file)).map_err(io)
}

fn floats(data: TensorData) -> Vec<f32> {
    data.iter::<f32>().collect()
}
