//! What a person can choose for a run that learns classes of texts.

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
pub struct TextClassifyOptions {
    /// A .csv, .tsv or .jsonl file with a column of texts and one of classes
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,

    /// The column of texts [default: text]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_column: Option<String>,

    /// The column of classes [default: label]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_column: Option<String>,

    /// Part of the texts that is held back to choose the weights by and to measure them [default: 0.1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FRACTION", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,

    /// The most tokens of a text that are read, from its beginning
    /// [default: 256, or what the model reads if that is less]
    #[cfg_attr(feature = "clap", arg(long, value_name = "TOKENS", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest: Option<usize>,

    /// A public checkpoint of a BERT to begin with: a file, or a folder as on Hugging Face
    /// [default: none, recurrent layers learn from scratch]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE|FOLDER", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,

    /// The configuration of --weights: a file, or a name from `libellus model list` [default: what it says itself, or config.json beside it]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE|NAME", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_config: Option<String>,

    /// With --weights, its tokenizer.json [default: the one beside it]; without, how texts become tokens: char, word,
    /// bpe, bpe:N or a file [default: bpe:8000]
    #[cfg_attr(feature = "clap", arg(long, value_name = "SCHEME|FILE", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,

    /// The recurrent layers, without --weights [default: gru]
    #[cfg_attr(feature = "clap", arg(long, value_enum, conflicts_with = "weights", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ScratchModel>,

    /// How many of them in each direction [default: 1]
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "N", conflicts_with = "weights", help_heading = "Model")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_layers: Option<usize>,

    /// Width of their embedding and of each direction's state [default: 128]
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "N", conflicts_with = "weights", help_heading = "Model")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_model: Option<usize>,

    /// Probability of being dropped before the last layer, and in the embedding without --weights
    /// [default: 0.1, without --weights 0.3]
    #[cfg_attr(feature = "clap", arg(long, value_name = "PROBABILITY", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,

    /// With --weights: train the last layer alone [default: false]
    #[cfg_attr(feature = "clap", arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "true|false", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze_backbone: Option<bool>,

    /// How often all texts are learnt [default: 3, without --weights 5]
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

    /// Texts per batch, of about the same length [default: 32]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,

    /// Share of each target that is spread over all classes [default: 0]
    #[cfg_attr(feature = "clap", arg(long, value_name = "SHARE", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,

    /// Steps between validations [default: a tenth of the run]
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

    /// Peak learning rate of AdamW [default: 0.00005, without --weights 0.002, with --freeze-backbone 0.005]
    #[cfg_attr(feature = "clap", arg(long, value_name = "RATE", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,

    /// Where the learning rate ends, along half a cosine, as a factor of its peak [default: 0]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FACTOR", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_factor: Option<f64>,

    /// Steps in which the learning rate rises to its peak [default: a tenth of the run]
    #[cfg_attr(feature = "clap", arg(long, value_name = "STEPS", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<u64>,

    /// Weight decay of matrices; norms and biases have none [default: 0.01]
    #[cfg_attr(feature = "clap", arg(long, value_name = "RATE", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,

    /// Largest norm of the whole gradient, 0 for any; a larger one is scaled down [default: 1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NORM", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,

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

/// The recurrent layers that can learn from scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum ScratchModel {
    /// Plain cells.
    Rnn,
    /// Long short-term memories.
    Lstm,
    /// Gated units.
    Gru,
}

impl RunOptions for TextClassifyOptions {
    const COMMAND: &'static str = "libellus text classify train";
    const ALTERNATIVES: &'static [[&'static str; 2]] = &[["epochs", "steps"]];
}
