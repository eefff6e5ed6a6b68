//! Text classification as a [`Task`]: model, loss and metrics. Read this file first.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use libellus_data::Tokenizer;
use libellus_losses::{CrossEntropy, Loss};
use libellus_train::metrics::MetricsError;
use libellus_train::{
    Batches, CheckpointReader, CheckpointWriter, Clock, Direction, Evaluation, Goal, Learner, StepLog, Task,
};

use super::data::{LabelledTexts, TextBatch};
use super::infer::measure;
use super::model::TextClassifier;
use super::saved::Description;
use crate::error::TextError;
use crate::options::Keep;

/// Learns to tell which class a text belongs to.
pub struct TextClassifierTask {
    pub(super) learner: Learner<TextClassifier>,
    pub(super) loss: CrossEntropy,
    pub(super) train: LabelledTexts,
    /// What is held back; it may be empty.
    pub(super) validation: LabelledTexts,
    pub(super) tokenizer: Tokenizer,
    pub(super) keep: Keep,
    pub(super) seed: u64,
    pub(super) description: Description,
    /// The device without autodiff.
    pub(super) device: Device,
}

impl Task for TextClassifierTask {
    type Batch = TextBatch;
    type Error = TextError;

    fn device(&self) -> &Device {
        &self.device
    }

    fn steps_per_epoch(&self) -> u64 {
        self.train.batches_per_epoch()
    }

    fn batches(&self, epoch: u64, start: u64) -> Batches<TextBatch, TextError> {
        Box::new(self.train.random(self.seed, epoch).skip(start as usize).map(Ok))
    }

    fn step(&mut self, batch: TextBatch, clock: &Clock) -> Result<StepLog, TextError> {
        let samples = batch.labels.len();
        let device = self.device.clone().autodiff();
        let loss = &self.loss;
        let log = self.learner.step(clock, vec![batch], |model, batch| {
            let (tokens, mask, labels) = batch.to_device(&device);
            Loss::new(loss.forward(model.forward(tokens, mask), labels))
        });
        Ok(StepLog { samples, ..log })
    }

    fn evaluate(&mut self, clock: &Clock) -> Result<Evaluation, TextError> {
        if self.validation.is_empty() {
            return Ok(Evaluation::default());
        }
        let model = self.learner.trained();
        let [accuracy, loss] =
            match measure(&model, &self.validation, self.description.classes.len(), &self.device) {
                Ok(report) => [report.top1, report.nll],
                // Weights that are no numbers: the next step's loss will tell, with all that led to it.
                Err(TextError::Metrics(MetricsError::NotAProbability { value, .. }))
                    if value.is_nan() && !clock.is_done() =>
                {
                    [f64::NAN; 2]
                }
                Err(error) => return Err(error),
            };
        let metrics = BTreeMap::from([("accuracy".to_owned(), accuracy), ("loss".to_owned(), loss)]);
        Ok(Evaluation { metrics, sample: None })
    }

    fn goal(&self) -> Option<Goal> {
        match self.keep {
            Keep::Best => Some(Goal { metric: "accuracy", direction: Direction::Maximise }),
            Keep::Last => None,
        }
    }

    fn save(&self, checkpoint: &mut CheckpointWriter) -> Result<(), TextError> {
        Ok(self.learner.save(checkpoint)?)
    }

    fn load(&mut self, checkpoint: &CheckpointReader) -> Result<(), TextError> {
        Ok(self.learner.load(checkpoint)?)
    }

    fn export(&self, path: &Path) -> Result<(), TextError> {
        self.description.save(&self.learner.trained(), &self.tokenizer, path)
    }
}
