//! Runs: the one training loop, run directories, checkpoints, metrics, progress and reports.
//!
//! An application implements [`Task`] (read it first) and hands it to [`fit`]. The loop knows steps, epochs, validation,
//! checkpoints, progress and interruption; everything particular is the task's.

pub mod metrics;
pub mod report;

mod checkpoint;
mod clock;
#[cfg(feature = "tui")]
mod dashboard;
mod description;
mod error;
mod fit;
mod history;
mod interrupt;
mod learner;
mod observer;
mod options;
mod progress;
mod run_dir;
mod summary;
mod task;

pub use checkpoint::{CheckpointReader, CheckpointWriter};
pub use clock::{Clock, Length};
#[cfg(feature = "tui")]
pub use dashboard::Dashboard;
pub use description::{DESCRIPTION_KEY, read_description};
pub use error::TrainError;
pub use fit::{Best, Ending, FitConfig, Outcome, fit};
pub use history::{History, Row};
pub use interrupt::Interrupt;
pub use learner::{Learner, LearnerConfig};
pub use observer::Observer;
pub use options::{OptionsError, Place, RunOptions};
pub use progress::Progress;
pub use run_dir::RunDir;
pub use summary::{Circumstances, RunSummary, peak_rss_bytes};
pub use task::{Batches, Direction, Evaluation, Goal, StepLog, Task};
