//! Teaching a sentence encoder which texts are near each other.
//!
//! Read [`ContrastTask`] first: it is the model, the loss and the metrics, as the training loop sees them. What a run makes,
//! [`Embedder`](crate::Embedder) reads. Reference: sentence-transformers.

mod data;
mod options;
mod report;
mod task;
mod train;

pub use data::{Row, RowBatch, Rows};
pub use options::{ContrastOptions, Objective};
pub use task::ContrastTask;
pub use train::{ContrastOutcome, train};
