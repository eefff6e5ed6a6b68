//! What can go wrong in a run.

use std::path::PathBuf;

use libellus_optim::OptimError;
use libellus_weights::WeightsError;

/// A failure of a run. Every message is one line that names the file, the step or the value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The loss or the gradient became infinite or not a number.
    #[error(
        "the loss is not finite at step {step}: loss {loss}{parts}, gradient norm {gradient_norm}, learning rate \
         {learning_rate:e}; lower the learning rate, or clip the gradient (the last checkpoint is kept)"
    )]
    NonFinite {
        /// The step, counted from 0.
        step: u64,
        /// The total loss that was seen.
        loss: f32,
        /// The parts of the loss, as ` (name value, ...)`, empty if it has one part only.
        parts: String,
        /// The global gradient norm, before clipping.
        gradient_norm: f32,
        /// The learning rate of the step.
        learning_rate: f64,
    },
    /// A file or folder of the run could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `write`, `read`, `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The folder given to a new run is already in use.
    #[error(
        "{} is not empty: choose another folder for --out, or go on with the run in it with --resume {}",
        path.display(), path.display()
    )]
    OutNotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds no run.
    #[error("{} is not a run directory: {missing} is missing in it", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
        /// The file that a run directory has and this one hasn't.
        missing: &'static str,
    },
    /// Another process works on the same run.
    #[error("another process is working on the run in {}", path.display())]
    Locked {
        /// The run directory.
        path: PathBuf,
    },
    /// A file of a checkpoint or of the run's log says something impossible.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
    /// A number of the loop's configuration is out of its range.
    #[error("{key} = {value} is out of range: {allowed}")]
    Config {
        /// The key of the configuration file.
        key: &'static str,
        /// The value found.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Weights could not be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// An optimiser or schedule was configured wrongly.
    #[error(transparent)]
    Optim(#[from] OptimError),
}

impl TrainError {
    /// For `map_err`: names the path and what was being done to it.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
