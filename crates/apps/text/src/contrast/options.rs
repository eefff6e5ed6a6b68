//! What a person can choose for a run that learns which texts are near each other.

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
pub struct ContrastOptions {
    /// A .csv, .tsv or .jsonl file with texts that belong together in the columns anchor and positive, and, if there is one,
    /// a text that doesn't in the column negative
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,

    /// The column of anchors [default: anchor]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor_column: Option<String>,

    /// The column of texts that belong to them [default: positive]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive_column: Option<String>,

    /// The column of texts that don't [default: negative, if there is such a column]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative_column: Option<String>,

    /// Part of the rows that is held back to choose the weights by and to measure them [default: 0.1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FRACTION", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,

    /// The most tokens of a text that are read, from its beginning [default: what the model reads, at most 128]
    #[cfg_attr(feature = "clap", arg(long, value_name = "TOKENS", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest: Option<usize>,

    /// A public checkpoint of a BERT to begin with: a file, or a folder as on Hugging Face
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE|FOLDER", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,

    /// The configuration of --weights: a file, or a name from `libellus model list` [default: what it says itself, or config.json beside it]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE|NAME", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_config: Option<String>,

    /// The tokenizer.json of --weights [default: the one beside it]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,

    /// What is made small [default: info-nce]
    #[cfg_attr(feature = "clap", arg(long, value_enum, help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Objective>,

    /// info-nce: what cosines are divided by [default: 0.05]
    #[cfg_attr(feature = "clap", arg(long, value_name = "T", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,

    /// triplet: by how much a negative must be farther away, of at most 2 [default: 0.5]
    #[cfg_attr(feature = "clap", arg(long, value_name = "DISTANCE", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,

    /// How often all rows are learnt [default: 1]
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

    /// Rows per batch; with info-nce each is told from all others of its batch [default: 32]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,

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

    /// Peak learning rate of AdamW [default: 0.00002]
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

/// What is made small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Telling each anchor's positive from all other positives and negatives of the batch.
    InfoNce,
    /// How much nearer than a margin allows a row's negative is than its positive.
    Triplet,
}

impl RunOptions for ContrastOptions {
    const COMMAND: &'static str = "libellus text contrast";
    const ALTERNATIVES: &'static [[&'static str; 2]] = &[["epochs", "steps"]];
}
