//! Language models: tokenise, train, generate, measure.
//!
//! Read [`TextTask`] first: it is the model, the loss and the metrics, as the training loop sees them. [`train()`] goes from
//! options to a run directory, [`Trained`] from a run directory or a public checkpoint to [`generate`], [`perplexity`] and
//! [`score`].

pub mod classify;
mod common;
pub mod contrast;
mod conversations;
mod data;
mod described;
mod embed;
#[cfg(test)]
mod encoder_tests;
mod error;
mod examples;
mod finetune;
mod gguf;
mod infer;
mod lora;
mod metrics;
mod options;
mod padded;
mod report;
pub mod sampling;
mod saved;
mod task;
#[cfg(test)]
mod tests;
mod train;
pub mod translate;

pub use data::{Pieces, TokenBatch, Windows};
pub use embed::{Embedder, Embeddings, Neighbour};
pub use error::TextError;
pub use examples::{Example, Examples};
pub use finetune::{FinetuneOptions, finetune};
pub use infer::{Ending, Generated, Generation, generate};
pub use lora::{LoraOptions, add_lora, load_adapter, merge_lora, save_adapter};
pub use metrics::{Cuts, LossSum, Perplexity, Score, perplexity, score};
pub use options::{Keep, ModelName, TrainOptions};
pub use report::Finished;
pub use saved::{Description, Origin, Trained};
pub use task::TextTask;
pub use train::{Plan, TrainOutcome, model_config, prepare, resolve, train};
