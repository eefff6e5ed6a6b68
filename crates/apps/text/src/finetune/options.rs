//! What a person can choose for fine-tuning.

use std::path::PathBuf;

use libellus_backend::DeviceName;
use libellus_train::RunOptions;
use serde::{Deserialize, Serialize};

use crate::lora::LoraOptions;
use crate::options::Keep;

/// The choices for fine-tuning: flags of the command line, and keys of a configuration file, which have the same names. The `config.toml`
/// of a run directory is this struct with everything decided.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct FinetuneOptions {
    /// A public checkpoint of GPT-2 or Llama to begin with: a file, or a folder as on Hugging Face
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE|FOLDER", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,

    /// A run of `libellus text train` to begin with, in place of a public checkpoint
    #[cfg_attr(feature = "clap", arg(long, value_name = "DIR|FILE", conflicts_with_all = ["weights", "model_config", "tokenizer"], help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<PathBuf>,

    /// The configuration of --weights: a file, or a name from `libellus model list` [default: what it says itself, or config.json beside it]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE|NAME", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_config: Option<String>,

    /// The tokenizer of --weights: tokenizer.json, vocab.json with merges.txt beside it, or *.tiktoken
    /// [default: the one beside it]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,

    /// Learn a low-rank change of some layers, and leave the model as it is: r=8,alpha=16,dropout=0,rslora,
    /// targets=NAME+NAME with names of layers or all-linear [default: all weights are trained]
    #[cfg_attr(feature = "clap", arg(long, value_name = "OPTIONS", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraOptions>,

    /// With --lora: also write a model with the change in its weights [default: false]
    #[cfg_attr(feature = "clap", arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "true|false", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge: Option<bool>,

    /// What to learn: a .jsonl, .csv or .tsv file with the columns prompt and completion, of which the completions are
    /// learnt; a .jsonl file with conversations as messages, of which the assistant's are; or text, all of which is: a
    /// text file, a folder of .txt and .md files, or a table with a column of texts
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE|FOLDER", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corpus: Option<PathBuf>,

    /// The column of prompts [default: prompt]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_column: Option<String>,

    /// The column of completions [default: completion]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_column: Option<String>,

    /// The column of conversations: lists of messages with role and content [default: messages]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME", conflicts_with_all = ["prompt_column", "completion_column"], help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_column: Option<String>,

    /// Tables: learn all of the texts in this column, instead of completions [default: text]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME", conflicts_with_all = ["prompt_column", "completion_column", "messages_column"], help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,

    /// Part that is held back to measure the weights by: of the examples any, of a text its end [default: 0.1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FRACTION", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,

    /// The most tokens of an example, or those of a piece of text
    /// [default: 512, or what the model reads if that is less]
    #[cfg_attr(feature = "clap", arg(long, value_name = "TOKENS", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,

    /// How often everything is learnt [default: 3]
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

    /// Examples, or pieces of text, per batch [default: 8]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,

    /// Batches whose gradients are averaged into one step [default: 1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accumulate: Option<usize>,

    /// Steps between validations [default: a tenth of the run]
    #[cfg_attr(feature = "clap", arg(long, value_name = "STEPS", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_every: Option<u64>,

    /// Tokens that each validation reads, evenly spread; the last one reads all, up to a million [default: 32768]
    #[cfg_attr(feature = "clap", arg(long, value_name = "TOKENS", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_tokens: Option<usize>,

    /// Tokens that are generated at each validation, for you to read; 0 for none [default: 60]
    #[cfg_attr(feature = "clap", arg(long, value_name = "TOKENS", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<usize>,

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

    /// Peak learning rate of AdamW [default: 0.00005, with --lora 0.0002]
    #[cfg_attr(feature = "clap", arg(long, value_name = "RATE", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,

    /// Where the learning rate ends, along half a cosine, as a factor of its peak [default: 0]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FACTOR", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_factor: Option<f64>,

    /// Steps in which the learning rate rises to its peak [default: a twentieth of the run]
    #[cfg_attr(feature = "clap", arg(long, value_name = "STEPS", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<u64>,

    /// Weight decay of matrices; norms and biases have none [default: 0.01, with --lora 0]
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

impl RunOptions for FinetuneOptions {
    const COMMAND: &'static str = "libellus text finetune";
    const ALTERNATIVES: &'static [[&'static str; 2]] = &[["epochs", "steps"], ["weights", "run"]];
}
