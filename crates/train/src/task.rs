//! What a run trains: the one trait between the loop and an application.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use burn::tensor::{Device, Tensor};
use libellus_losses::Loss;
use libellus_optim::LayerFlow;

use crate::checkpoint::{CheckpointReader, CheckpointWriter};
use crate::clock::Clock;
use crate::error::TrainError;

/// The batches of an epoch, in order.
pub type Batches<B, E> = Box<dyn Iterator<Item = Result<B, E>> + Send>;

/// Everything that is particular about a run.
///
/// The loop ([`fit`](crate::fit)) knows steps, epochs, validation, checkpoints, progress and interruption. What a step
/// does with a batch is the task's own: one loss, two optimisers in turn, a target network that follows. A task keeps
/// its models in [`Learner`](crate::Learner)s, as many as it has.
///
/// For the same result after an interruption, all that a step depends on comes from the batch, the [`Clock`], the
/// device's random numbers (the loop seeds them at each step) and what [`save`](Task::save) writes.
pub trait Task {
    /// What one step takes.
    type Batch: Send;
    /// The application's own error.
    type Error: Error + From<TrainError>;

    /// Where the task computes; the loop seeds its random numbers.
    fn device(&self) -> &Device;

    /// Steps in an epoch. Where there is no data set, any convenient number.
    fn steps_per_epoch(&self) -> u64;

    /// The batches of `epoch`, from the one of step `start` in it. They depend on nothing but these two.
    fn batches(&self, epoch: u64, start: u64) -> Batches<Self::Batch, Self::Error>;

    /// Takes one optimiser step.
    fn step(&mut self, batch: Self::Batch, clock: &Clock) -> Result<StepLog, Self::Error>;

    /// Measures the current weights on validation data.
    fn evaluate(&mut self, clock: &Clock) -> Result<Evaluation, Self::Error>;

    /// Which metric of the [`Evaluation`] tells the best weights; `None` makes the latest weights the best.
    fn goal(&self) -> Option<Goal>;

    /// Writes all that [`load`](Task::load) needs to go on.
    fn save(&self, checkpoint: &mut CheckpointWriter) -> Result<(), Self::Error>;

    /// Takes up the state that [`save`](Task::save) wrote.
    fn load(&mut self, checkpoint: &CheckpointReader) -> Result<(), Self::Error>;

    /// Writes the current weights, as they are used after training, to `path` in one atomic step.
    fn export(&self, path: &Path) -> Result<(), Self::Error>;
}

/// What one step leaves behind. The numbers stay on the device until the loop reads them at a log point.
#[derive(Debug)]
pub struct StepLog {
    /// The loss and its parts.
    pub loss: Loss,
    /// The global gradient norm before clipping, a tensor of one element.
    pub gradient_norm: Tensor<1>,
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// Samples that the step has seen, for the rate shown.
    pub samples: usize,
    /// Gradient norm and update ratio of each parameter, in the steps where they were asked for.
    pub flow: Option<Vec<LayerFlow>>,
}

/// The result of a validation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Metrics by name, such as `accuracy` or `loss`.
    pub metrics: BTreeMap<String, f64>,
    /// Text that the weights made, for a person to read, where the task makes text.
    pub sample: Option<String>,
}

/// The metric that tells which weights are best.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// Its name in [`Evaluation::metrics`].
    pub metric: &'static str,
    /// Which way is better.
    pub direction: Direction,
}

/// Which way a metric gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Larger is better, as for an accuracy.
    Maximise,
    /// Smaller is better, as for a loss.
    Minimise,
}

impl Goal {
    /// Whether `new` is better than `old`. Not a number is never better; equal is not better, so the earlier stays.
    pub fn improves(&self, new: f64, old: f64) -> bool {
        match self.direction {
            Direction::Maximise => new > old,
            Direction::Minimise => new < old,
        }
    }
}
