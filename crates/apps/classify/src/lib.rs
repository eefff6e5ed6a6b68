//! Image classification: train, evaluate, predict.
//!
//! Read [`ClassifyTask`] first: it is the model, the loss and the metrics, as the training loop sees them. [`train()`]
//! goes from options to a run directory, [`Trained`] and [`Predictor`] from a run directory to predictions.

mod data;
mod error;
mod infer;
mod options;
mod report;
mod saved;
mod task;
mod train;

pub use data::{
    Batch, HostBatches, ImageLoader, Parts, Targets, inference_pipeline, to_device, training_pipeline,
};
pub use error::ClassifyError;
pub use infer::{Features, Input, Prediction, Predictor, Scored, evaluate, save_features};
pub use options::{Augment, Decay, Keep, OptimizerName, ScheduleName, TrainOptions};
pub use report::Finished;
pub use saved::{Description, TestSplit, Trained};
pub use task::ClassifyTask;
pub use train::{Plan, TrainOutcome, prepare, resolve, train};
