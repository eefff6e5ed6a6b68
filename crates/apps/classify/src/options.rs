//! What a person can choose for a training run.

use std::path::PathBuf;

use libellus_backend::DeviceName;
use libellus_data::BatchSize;
use libellus_train::RunOptions;
use serde::{Deserialize, Serialize};

/// The choices for a run: flags of the command line, and keys of a configuration file, which have the same names.
///
/// What is not given is decided by [`resolve`](crate::resolve) from the data set and the model. The `config.toml` of a
/// run directory is this struct with everything decided.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TrainOptions {
    /// Data set: a known name (`libellus data list`), or a folder with one folder of images per class
    /// [default: digits, which is embedded]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME|FOLDER", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,

    /// Part of the training images held back to measure the weights by during the run, 0 for none
    /// [default: the data set's own validation images, else 0.1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FRACTION", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,

    /// Part of the images held back as the test set, where the data set has no given one [default: 0.2]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FRACTION", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_fraction: Option<f64>,

    /// Images are brought to this height and width [default: the model's own]
    #[cfg_attr(feature = "clap", arg(long, value_name = "PIXELS", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<usize>,

    /// Threads that decode and transform images, 0 for none beside the training itself [default: 1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,

    /// How training images are varied [default: auto]
    #[cfg_attr(feature = "clap", arg(long, value_enum, help_heading = "Augmentation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<Augment>,

    /// RandAugment: operations per image, the paper's N [default: 0, off]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Augmentation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rand_augment: Option<usize>,

    /// RandAugment: strength of the operations, the paper's M, from 0 to 30 [default: 9]
    #[cfg_attr(feature = "clap", arg(long, value_name = "M", help_heading = "Augmentation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rand_augment_magnitude: Option<usize>,

    /// Rotate by up to this many degrees either way [default: 0]
    #[cfg_attr(feature = "clap", arg(long, value_name = "DEGREES", help_heading = "Augmentation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<f32>,

    /// Change brightness, contrast and saturation by up to this factor either way [default: 0]
    #[cfg_attr(feature = "clap", arg(long, value_name = "STRENGTH", help_heading = "Augmentation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color_jitter: Option<f32>,

    /// Probability of erasing a random rectangle [default: 0]
    #[cfg_attr(feature = "clap", arg(long, value_name = "PROBABILITY", help_heading = "Augmentation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erasing: Option<f32>,

    /// Mixup: the parameter of its Beta distribution [default: 0, off]
    #[cfg_attr(feature = "clap", arg(long, value_name = "ALPHA", help_heading = "Augmentation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixup: Option<f64>,

    /// CutMix: the parameter of its Beta distribution [default: 0, off]
    #[cfg_attr(feature = "clap", arg(long, value_name = "ALPHA", help_heading = "Augmentation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutmix: Option<f64>,

    /// Model: a name from `libellus model list` [default: one that fits the data set]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,

    /// Start from the weights in this file; the head is made anew if it has another number of classes
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,

    /// mlp: probability of a hidden unit being dropped in training [default: 0]
    #[cfg_attr(feature = "clap", arg(long, value_name = "PROBABILITY", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,

    /// resnets: probability of the last residual branch being dropped in training (stochastic depth); those
    /// before it are dropped in proportion to their depth [default: 0]
    #[cfg_attr(feature = "clap", arg(long, value_name = "PROBABILITY", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_path: Option<f64>,

    /// Train the classification head only
    #[cfg_attr(
        feature = "clap",
        arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "true|false", help_heading = "Model")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze_backbone: Option<bool>,

    /// Passes over the training images [default: depends on the data set; 30 for digits]
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "N", conflicts_with = "steps", help_heading = "Training")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,

    /// Optimiser steps, in place of epochs
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,

    /// Images per batch, or `full` for all training images in one (gradient descent) [default: 64]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N|full", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<BatchSize>,

    /// Batches whose gradients are averaged into one step [default: 1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accumulate: Option<usize>,

    /// Share of the target that goes to all classes evenly [default: 0]
    #[cfg_attr(feature = "clap", arg(long, value_name = "SHARE", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,

    /// Steps between validations [default: an epoch]
    #[cfg_attr(feature = "clap", arg(long, value_name = "STEPS", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_every: Option<u64>,

    /// Steps between checkpoints [default: at each validation]
    #[cfg_attr(feature = "clap", arg(long, value_name = "STEPS", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<u64>,

    /// Steps between rows of metrics.jsonl [default: 10]
    #[cfg_attr(feature = "clap", arg(long, value_name = "STEPS", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_every: Option<u64>,

    /// Which weights become the model [default: best; last for adamw on digits, and without validation]
    #[cfg_attr(feature = "clap", arg(long, value_enum, help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,

    /// Stop after this many validations without a better one [default: never]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,

    /// Steps between measurements of each layer's gradient [default: 20 times in a run, 0 for never]
    #[cfg_attr(feature = "clap", arg(long, value_name = "STEPS", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_every: Option<u64>,

    /// Optimiser [default: adamw]
    #[cfg_attr(feature = "clap", arg(long, value_enum, help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<OptimizerName>,

    /// Peak learning rate [default: adamw 0.001, on digits 0.005; adam and rmsprop 0.001, sgd 0.1, lion 0.0001]
    #[cfg_attr(feature = "clap", arg(long, value_name = "RATE", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,

    /// How the learning rate goes over the run [default: cosine, after a linear warm-up]
    #[cfg_attr(feature = "clap", arg(long, value_enum, help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleName>,

    /// cosine: share of the run in which the learning rate rises [default: 0.05]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FRACTION", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<f64>,

    /// step: share of the run after which the learning rate falls, again and again [default: 0.333]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FRACTION", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay_every: Option<f64>,

    /// step: factor by which it falls [default: 0.1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FACTOR", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,

    /// onecycle: share of the run in which the learning rate rises [default: 0.3]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FRACTION", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pct_start: Option<f64>,

    /// onecycle: the run starts at the peak divided by this [default: 25]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FACTOR", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub div_factor: Option<f64>,

    /// onecycle: it ends at its start divided by this [default: 10000]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FACTOR", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_div_factor: Option<f64>,

    /// Weight decay [default: adamw 0.01, the others 0]
    #[cfg_attr(feature = "clap", arg(long, value_name = "RATE", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,

    /// Which parameters decay [default: weights, not norms and biases]
    #[cfg_attr(feature = "clap", arg(long, value_enum, help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay: Option<Decay>,

    /// sgd and rmsprop: momentum [default: sgd 0.9, rmsprop 0]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FACTOR", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,

    /// sgd: Nesterov's form of momentum [default: false]
    #[cfg_attr(
        feature = "clap",
        arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "true|false", help_heading = "Optimisation")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,

    /// adam, adamw and lion: decay of the first and the second moment [default: 0.9,0.999; lion 0.9,0.99]
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "B1,B2", value_delimiter = ',', num_args = 1.., help_heading = "Optimisation")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub betas: Option<Vec<f64>>,

    /// adam, adamw and rmsprop: added to the denominator [default: 1e-8]
    #[cfg_attr(feature = "clap", arg(long, value_name = "E", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,

    /// rmsprop: decay of the mean square [default: 0.99]
    #[cfg_attr(feature = "clap", arg(long, value_name = "A", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,

    /// Largest norm of the whole gradient; a larger one is scaled down [default: none]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NORM", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,

    /// Evaluate and keep an exponential moving average of the weights, with this decay, 0 for none
    /// [default: 0, with adamw on digits 0.98]
    #[cfg_attr(feature = "clap", arg(long, value_name = "DECAY", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,

    /// Seed of all random numbers [default: 0]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Common"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,

    /// Where to compute: flex, or one of `libellus device list` [default: flex]
    #[cfg_attr(feature = "clap", arg(long, value_name = "DEVICE", help_heading = "Common"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceName>,

    /// Threads to compute with [default: all cores this process may use]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Common"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
}

/// How training images are varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Augment {
    /// What suits the data: shift for digits, crop-flip for small images, resized-crop-flip for others.
    Auto,
    /// Not at all.
    None,
    /// Shift by up to an eighth of the size.
    Shift,
    /// Shift by up to an eighth, and mirror half of them.
    CropFlip,
    /// A random part, scaled to the size, and mirror half of them.
    ResizedCropFlip,
}

/// Which weights become the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Those with the best validation accuracy, the earliest of equals.
    Best,
    /// Those at the end.
    Last,
}

/// The optimisers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerName {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam (Kingma and Ba, 2014).
    Adam,
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2017).
    #[cfg_attr(feature = "clap", value(name = "adamw"))]
    #[serde(rename = "adamw")]
    AdamW,
    /// RMSprop (Hinton, 2012).
    #[cfg_attr(feature = "clap", value(name = "rmsprop"))]
    #[serde(rename = "rmsprop")]
    RmsProp,
    /// Lion (Chen et al., 2023).
    Lion,
}

/// The learning-rate schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleName {
    /// The same all the time.
    Constant,
    /// A linear rise, then half a cosine down to zero.
    Cosine,
    /// Falls by a factor at regular intervals.
    Step,
    /// Rises and falls once (Smith and Topin, 2017).
    Onecycle,
}

/// Which parameters decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// Weights of linear and convolutional layers.
    Weights,
    /// All parameters, as PyTorch does unless told otherwise.
    All,
}

impl RunOptions for TrainOptions {
    const COMMAND: &'static str = "libellus classify train";
    const ALTERNATIVES: &'static [[&'static str; 2]] = &[["epochs", "steps"]];
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_flag_overrides_the_file() {
        let flags = TrainOptions { lr: Some(0.5), steps: Some(7), ..Default::default() };
        let file = TrainOptions::from_toml(
            "lr = 0.1\nepochs = 3\nmodel = \"mlp\"\nbatch_size = \"full\"",
            Path::new("a.toml"),
        )
        .unwrap();
        let merged = flags.or(&file);
        assert_eq!((merged.lr, merged.steps, merged.epochs), (Some(0.5), Some(7), None));
        assert_eq!(merged.model.as_deref(), Some("mlp"));
        assert_eq!(merged.batch_size, Some(BatchSize::Full));
        let again = TrainOptions::from_toml(&merged.to_toml(), Path::new("b.toml")).unwrap();
        assert_eq!(again, merged);
    }

    #[test]
    fn bad_files_are_named_with_the_line() {
        for (text, says) in [
            ("lr = 0.1\nlearning = 3\n", "line 2 `learning = 3`: unknown field `learning`"),
            ("batch_size = -3\n", "batch size \"-3\" is neither"),
            ("epochs = -3\n", "line 1 `epochs = -3`: invalid value: integer `-3`"),
            ("lr = \n", "line 1"),
        ] {
            let error = TrainOptions::from_toml(text, Path::new("my.toml")).unwrap_err().to_string();
            assert!(error.contains("my.toml") && error.contains(says), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
