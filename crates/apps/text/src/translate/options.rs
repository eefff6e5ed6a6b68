//! What a person can choose for a run that learns to translate.

use std::path::PathBuf;

use libellus_backend::DeviceName;
use libellus_train::RunOptions;
use serde::{Deserialize, Serialize};

use crate::options::Keep;

/// The choices for a run: flags of the command line, and keys of a configuration file, which have the same names. The `config.toml` of
/// a run directory is this struct with everything decided.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TranslateOptions {
    /// Pairs: a .jsonl or .csv file with the columns source and target, a pronouncing dictionary (.dict, as CMUdict), or
    /// lines with a source, a tab and a target
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE", conflicts_with_all = ["source", "target"], help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,

    /// What is translated, line by line, in place of --data
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE", requires = "target", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<PathBuf>,

    /// Its translations, line by line
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE", requires = "source", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<PathBuf>,

    /// How texts of both sides become tokens: char, word, bpe or bpe:N (N tokens, learnt from the texts),
    /// space (what white space separates), or a file [default: bpe:8000]
    #[cfg_attr(feature = "clap", arg(long, value_name = "SCHEME|FILE", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,

    /// The same for sources alone [default: --tokenizer; char for a dictionary]
    #[cfg_attr(feature = "clap", arg(long, value_name = "SCHEME|FILE", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_tokenizer: Option<String>,

    /// The same for targets alone [default: --tokenizer; space for a dictionary]
    #[cfg_attr(feature = "clap", arg(long, value_name = "SCHEME|FILE", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_tokenizer: Option<String>,

    /// Dictionaries: leave out how vowels are stressed, as most published results do [default: false]
    #[cfg_attr(feature = "clap", arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "true|false", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_stress: Option<bool>,

    /// Leave out pairs one side of which has more tokens [default: 128]
    #[cfg_attr(feature = "clap", arg(long, value_name = "TOKENS", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest: Option<usize>,

    /// Part of the sources that is held back to choose the weights by [default: 0.02]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FRACTION", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,

    /// Part of the sources that is held back to measure the finished model by [default: 0.1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FRACTION", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<f64>,

    /// Architecture [default: transformer]
    #[cfg_attr(feature = "clap", arg(long, value_enum, help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelKind>,

    /// Blocks of each stack of the Transformer, layers of the recurrent encoder [default: 3, gru 2]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_layers: Option<usize>,

    /// transformer: attention heads in each block [default: 4]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_heads: Option<usize>,

    /// Width of the tokens [default: 256]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_model: Option<usize>,

    /// transformer: hidden units of the perceptrons; gru: width of its state [default: 4 times d-model; gru d-model]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_ff: Option<usize>,

    /// Probability of being dropped in training [default: 0.1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "PROBABILITY", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,

    /// How often all pairs are learnt [default: 10]
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "N", conflicts_with = "steps", help_heading = "Training")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,

    /// Optimiser steps, in place of epochs
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,

    /// Pairs per batch, of about the same length [default: 128]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,

    /// Share of each target that is spread over all tokens [default: 0.1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "SHARE", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,

    /// Steps between validations [default: a tenth of the run]
    #[cfg_attr(feature = "clap", arg(long, value_name = "STEPS", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_every: Option<u64>,

    /// Held back sources that each validation translates [default: 500]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_pairs: Option<usize>,

    /// Steps between checkpoints [default: at each validation]
    #[cfg_attr(feature = "clap", arg(long, value_name = "STEPS", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<u64>,

    /// Steps between rows of metrics.jsonl [default: 10]
    #[cfg_attr(feature = "clap", arg(long, value_name = "STEPS", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_every: Option<u64>,

    /// Which weights become the model [default: best; last without validation]
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

    /// Peak learning rate of Adam [default: 0.001]
    #[cfg_attr(feature = "clap", arg(long, value_name = "RATE", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,

    /// How the learning rate falls behind its peak [default: noam]
    #[cfg_attr(feature = "clap", arg(long, value_enum, help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleKind>,

    /// Steps in which the learning rate rises to its peak [default: a twentieth of the run]
    #[cfg_attr(feature = "clap", arg(long, value_name = "STEPS", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<u64>,

    /// Weight decay of matrices; norms and biases have none [default: 0]
    #[cfg_attr(feature = "clap", arg(long, value_name = "RATE", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,

    /// Largest norm of the whole gradient, 0 for any; a larger one is scaled down [default: 1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NORM", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,

    /// Evaluate and keep an exponential moving average of the weights, with this decay, 0 for none
    /// [default: 0.999]
    #[cfg_attr(feature = "clap", arg(long, value_name = "DECAY", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,

    /// Translations that are searched for side by side when the finished model is measured [default: 4]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Common"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beams: Option<usize>,

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

/// The architectures that can be trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// The Transformer of encoder and decoder.
    Transformer,
    /// Recurrent layers of gated units with attention.
    Gru,
}

/// How the learning rate falls behind its peak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// With the square root of the step, as in the Transformer's paper.
    Noam,
    /// To nothing, along half a cosine.
    Cosine,
}

impl RunOptions for TranslateOptions {
    const COMMAND: &'static str = "libellus text translate train";
    const ALTERNATIVES: &'static [[&'static str; 2]] =
        &[["epochs", "steps"], ["data", "source"], ["data", "target"]];
}
