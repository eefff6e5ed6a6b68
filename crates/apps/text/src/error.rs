//! What can go wrong with a language model.

use std::path::PathBuf;

use libellus_backend::DeviceError;
use libellus_data::{DataError, TextError as CorpusError};
use libellus_inspect::InspectError;
use libellus_losses::LossError;
use libellus_models::ConfigError;
use libellus_optim::OptimError;
use libellus_train::metrics::MetricsError;
use libellus_train::{OptionsError, TrainError};
use libellus_weights::WeightsError;

use crate::sampling::SamplingError;

/// A failure to train, measure or use a language model. Every message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The options can't be read, or can't be met.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// A text has too few tokens to learn or to measure.
    #[error(
        "the {part} text has {tokens} tokens, a piece takes {length} and the one after it: take more text or a smaller --context"
    )]
    TooShort {
        /// Which text.
        part: &'static str,
        /// Its tokens.
        tokens: u64,
        /// Tokens of a piece.
        length: u64,
    },
    /// A table without anything to learn.
    #[error("{}: nothing of it can be learnt: all completions are empty, or no message is the assistant's", path.display())]
    NoExamples {
        /// The table.
        path: PathBuf,
    },
    /// A table of which nothing is learnt within the length.
    #[error(
        "{}: no completion or answer begins within {length} tokens: take a larger --context", path.display()
    )]
    LongExamples {
        /// The table.
        path: PathBuf,
        /// The most tokens of an example.
        length: usize,
    },
    /// A file that is no text.
    #[error("{} is no UTF-8 text: byte {position} is wrong", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The first wrong byte, counted from 0.
        position: usize,
    },
    /// Two files of parallel text that don't belong together.
    #[error(
        "{} has {source_lines} lines, {} {target_lines}: equal lines must belong together",
        source_path.display(), target_path.display()
    )]
    OtherLines {
        /// The file of sources.
        source_path: PathBuf,
        /// Its lines.
        source_lines: usize,
        /// The file of targets.
        target_path: PathBuf,
        /// Its lines.
        target_lines: usize,
    },
    /// A line without a target.
    #[error("{} line {line}: a source, a tab and a target are expected", path.display())]
    NoTab {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A word of a pronouncing dictionary without its sounds.
    #[error("{} line {line}: a word and its sounds are expected, with white space between them", path.display())]
    NoSounds {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A class that a model doesn't know.
    #[error("{}: the model knows no class {class:?}, only {}", path.display(), classes.join(", "))]
    UnknownClass {
        /// The table.
        path: PathBuf,
        /// The class.
        class: String,
        /// Those that it knows.
        classes: Vec<String>,
    },
    /// Texts that are all of one class.
    #[error("{}: all texts are of one class: there is nothing to tell apart", path.display())]
    OneClass {
        /// The table.
        path: PathBuf,
    },
    /// A file without parallel text, or of which nothing can be learnt.
    #[error("{} holds no pair to learn: it needs a source and a target, neither blank nor longer than --longest", path.display())]
    NoPairs {
        /// The file.
        path: PathBuf,
    },
    /// A prompt without tokens.
    #[error("the prompt has no tokens, and the tokenizer has no mark to begin with: give it some text")]
    EmptyPrompt,
    /// A prompt that the model can't read at once.
    #[error(
        "the prompt has {tokens} tokens, the model reads {context}: shorten it, or give --slide to read its end only"
    )]
    LongPrompt {
        /// Tokens of the prompt.
        tokens: usize,
        /// The most that the model reads.
        context: usize,
    },
    /// A token that the model doesn't have.
    #[error("{}: the tokenizer has {tokenizer} tokens, the model {model}: they don't belong together", path.display())]
    OtherVocabulary {
        /// The model's file.
        path: PathBuf,
        /// Tokens of the tokenizer.
        tokenizer: usize,
        /// Tokens of the model.
        model: usize,
    },
    /// A weights file that isn't one of a language model of this project, without what else it takes.
    #[error("{}: {reason}", path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// What is missing, and what to do.
        reason: String,
    },
    /// The description in a weights file can't be understood.
    #[error("{}: the description of the model is damaged or of a newer version: {reason}", path.display())]
    BadDescription {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// An adapter that can't be understood, or is for another model.
    #[error("{}: {reason}", path.display())]
    Adapter {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A temporary file could not be made.
    #[error("cannot write a temporary file: {source}")]
    Temporary {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// How to choose tokens was contradictory or out of range, or there was nothing to choose from.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// Text could not be read or tokenised.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// Data could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A model put out what is no probability, or there was nothing to measure.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A device is not to be had.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A model was configured wrongly.
    #[error(transparent)]
    Model(#[from] ConfigError),
    /// A model could not be found or read.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// An optimiser or schedule was configured wrongly.
    #[error(transparent)]
    Optim(#[from] OptimError),
    /// A loss was configured wrongly.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// Weights could not be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The run failed.
    #[error(transparent)]
    Train(#[from] TrainError),
}

impl TextError {
    /// Whether the choices were wrong, rather than the work having failed.
    pub fn is_wrong_arguments(&self) -> bool {
        match self {
            Self::Options(error) => error.is_wrong_arguments(),
            Self::EmptyPrompt
            | Self::LongPrompt { .. }
            | Self::Sampling(_)
            | Self::Device(_)
            | Self::Model(_)
            | Self::Optim(_)
            | Self::Loss(_)
            | Self::Train(
                TrainError::Config { .. } | TrainError::OutNotEmpty { .. } | TrainError::NotARun { .. },
            ) => true,
            Self::Inspect(error) => error.is_wrong_arguments(),
            _ => false,
        }
    }
}
