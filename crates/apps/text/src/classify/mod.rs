//! Which of some classes a text belongs to.
//!
//! Read [`TextClassifierTask`] first: it is the model, the loss and the metrics, as the training loop sees them. [`train()`] goes from
//! options to a run directory, [`TrainedTextClassifier`] from there to probabilities.

mod data;
mod infer;
mod model;
mod options;
mod report;
mod saved;
mod task;
mod train;

pub use data::{LabelledTexts, TextBatch};
pub use infer::{Answer, measure};
pub use model::{Backbone, Reader, TextClassifier, TextClassifierConfig};
pub use options::{ScratchModel, TextClassifyOptions};
pub use saved::{Description, TrainedTextClassifier};
pub use task::TextClassifierTask;
pub use train::{ClassifyOutcome, train};
