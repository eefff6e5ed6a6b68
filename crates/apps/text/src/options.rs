//! What a person can choose for a training run.

use std::path::PathBuf;

use libellus_backend::DeviceName;
use libellus_train::RunOptions;
use serde::{Deserialize, Serialize};

/// The choices for a run: flags of the command line, and keys of a configuration file, which have the same names.
///
/// What is not given is decided by [`resolve`](crate::resolve). The `config.toml` of a run directory is this struct with
/// everything decided.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TrainOptions {
    /// Text to learn: a text file, a folder of .txt and .md files, or a .jsonl, .csv or .tsv file
    /// [default: Libellus's own book, which is embedded]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE|FOLDER", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corpus: Option<PathBuf>,

    /// jsonl, csv and tsv: the column that holds the text [default: text]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,

    /// How text becomes tokens: char, word, sentence, paragraph, bpe or bpe:N (N tokens, learnt from the text), or a file: tokenizer.json,
    /// vocab.json with merges.txt beside it, *.tiktoken [default: char]
    #[cfg_attr(feature = "clap", arg(long, value_name = "SCHEME|FILE", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,

    /// Part of the text, at its end, that is held back to measure the weights by [default: 0.1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FRACTION", help_heading = "Data"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,

    /// Architecture [default: gpt]
    #[cfg_attr(feature = "clap", arg(long, value_enum, help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,

    /// Tokens that the model sees at once [default: 128]
    #[cfg_attr(feature = "clap", arg(long, value_name = "TOKENS", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,

    /// Blocks of a Transformer, layers of a recurrent network [default: gpt and llama 4, the others 2]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_layers: Option<usize>,

    /// gpt and llama: attention heads in each block [default: 4]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_heads: Option<usize>,

    /// Width of the model [default: gpt and llama 128, the others 256]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_model: Option<usize>,

    /// Probability of being dropped in training [default: 0]
    #[cfg_attr(feature = "clap", arg(long, value_name = "PROBABILITY", help_heading = "Model"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,

    /// llama, rnn, lstm, gru: whether the output shares the embedding's weights; gpt always does [default: true]
    #[cfg_attr(
        feature = "clap",
        arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "true|false", help_heading = "Model")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tie_embeddings: Option<bool>,

    /// Optimiser steps [default: 1250]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,

    /// Pieces of text, each as long as the context, per batch [default: 16]
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

    /// Tokens of the held back text that each validation reads, evenly spread; the last one reads all, up to a million [default: 32768]
    #[cfg_attr(feature = "clap", arg(long, value_name = "TOKENS", help_heading = "Training"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_tokens: Option<usize>,

    /// Tokens that are generated at each validation, for you to read; 0 for none [default: 160]
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

    /// Peak learning rate of AdamW [default: 0.004; wider than 128, less in proportion]
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

    /// Weight decay of matrices; norms and biases have none [default: 0.1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "RATE", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,

    /// Decay of the first and the second moment [default: 0.9,0.99]
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "B1,B2", value_delimiter = ',', num_args = 1.., help_heading = "Optimisation")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub betas: Option<Vec<f64>>,

    /// Largest norm of the whole gradient, 0 for any; a larger one is scaled down [default: 1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NORM", help_heading = "Optimisation"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,

    /// Evaluate and keep an exponential moving average of the weights, with this decay, 0 for none [default: 0]
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

/// The architectures that can be trained from nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum ModelName {
    /// A Transformer as GPT-2 and nanoGPT.
    Gpt,
    /// A Transformer with rotated positions, RMS norms and gated perceptrons.
    Llama,
    /// A recurrent network of plain cells.
    Rnn,
    /// A recurrent network of long short-term memories.
    Lstm,
    /// A recurrent network of gated units.
    Gru,
}

/// Which weights become the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Those with the lowest validation loss, the earliest of equals.
    Best,
    /// Those at the end.
    Last,
}

impl RunOptions for TrainOptions {
    const COMMAND: &'static str = "libellus text train";
}
