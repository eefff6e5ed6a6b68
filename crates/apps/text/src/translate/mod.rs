//! From one text to another: translation, and spelling to sounds.
//!
//! Read [`TranslateTask`] first: it is the model, the loss and the metrics, as the training loop sees them. [`train()`] goes from
//! options to a run directory, [`TrainedTranslator`] from there to [`translate`] and [`measure`].

pub mod bleu;
mod data;
mod infer;
mod measure;
mod model;
mod options;
mod pairs;
mod report;
mod saved;
mod task;
mod train;
mod vocabulary;
pub mod wer;

pub use data::{PairBatch, TokenPair, TokenPairs};
pub use infer::{Decoding, translate};
pub use measure::{Example, Quality, measure};
pub use model::{Translator, TranslatorConfig, TranslatorState};
pub use options::{ModelKind, ScheduleKind, TranslateOptions};
pub use pairs::{Pair, Parallel};
pub use saved::{Description, TrainedTranslator};
pub use task::TranslateTask;
pub use train::{TranslateOutcome, train};
pub use vocabulary::Vocabulary;
