//! Translation as a [`Task`]: model, loss and metrics. Read this file first.

use std::path::Path;

use burn::tensor::Device;
use libellus_losses::{CrossEntropy, CrossEntropyConfig, Loss};
use libellus_train::{
    Batches, CheckpointReader, CheckpointWriter, Clock, Direction, Evaluation, Goal, Learner, StepLog, Task,
};

use super::data::{PairBatch, TokenPairs};
use super::infer::Decoding;
use super::measure::measure;
use super::model::Translator;
use super::pairs::Pair;
use super::saved::Description;
use super::vocabulary::Vocabulary;
use crate::error::TextError;
use crate::metrics::LossSum;
use crate::options::Keep;

/// Learns to write a text that another one is translated into.
pub struct TranslateTask {
    pub(super) learner: Learner<Translator>,
    pub(super) loss: CrossEntropy,
    pub(super) train: TokenPairs,
    /// What is held back to choose the weights by; it may be empty.
    pub(super) validation: TokenPairs,
    /// Some of it, which is translated at each validation.
    pub(super) translated: Vec<Pair>,
    pub(super) vocabulary: Vocabulary,
    pub(super) keep: Keep,
    pub(super) seed: u64,
    pub(super) description: Description,
    /// The device without autodiff.
    pub(super) device: Device,
}

impl Task for TranslateTask {
    type Batch = PairBatch;
    type Error = TextError;

    fn device(&self) -> &Device {
        &self.device
    }

    fn steps_per_epoch(&self) -> u64 {
        self.train.batches_per_epoch()
    }

    fn batches(&self, epoch: u64, start: u64) -> Batches<PairBatch, TextError> {
        Box::new(self.train.random(self.seed, epoch).skip(start as usize).map(Ok))
    }

    fn step(&mut self, batch: PairBatch, clock: &Clock) -> Result<StepLog, TextError> {
        let [samples, ..] = batch.shape;
        let device = self.device.clone().autodiff();
        let loss = &self.loss;
        let log = self.learner.step(clock, vec![batch], |model, batch| {
            let (input, learnt, targets) = batch.to_device(&device);
            let logits = model.forward(input).flatten::<2>(0, 1).select(0, learnt);
            Loss::new(loss.forward(logits, targets))
        });
        Ok(StepLog { samples, ..log })
    }

    fn evaluate(&mut self, _clock: &Clock) -> Result<Evaluation, TextError> {
        if self.validation.is_empty() {
            return Ok(Evaluation::default());
        }
        let model = self.learner.trained();
        let decoding = Decoding::default();
        let (quality, examples) =
            measure(&model, &self.vocabulary, &self.translated, &decoding, &self.device, &mut |_| {})?;
        let mut metrics = quality.metrics();
        metrics.insert("loss".to_owned(), mean_loss(&model, &self.validation, &self.device).mean());
        let sample =
            examples.iter().take(3).map(|example| format!("{} → {}", example.source, example.translation));
        Ok(Evaluation { metrics, sample: Some(sample.collect::<Vec<_>>().join("\n")) })
    }

    fn goal(&self) -> Option<Goal> {
        match self.keep {
            Keep::Best => Some(Goal { metric: "loss", direction: Direction::Minimise }),
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
        self.description.save(&self.learner.trained(), &self.vocabulary, path)
    }
}

/// The loss of a translation's token, without smoothing, when all before it are given.
pub(super) fn mean_loss(model: &Translator, pairs: &TokenPairs, device: &Device) -> LossSum {
    let loss = CrossEntropyConfig::default().init().expect("no smoothing is in range");
    let mut sum = LossSum::default();
    for batch in pairs.in_order() {
        let (input, learnt, targets) = batch.to_device(device);
        let tokens = targets.dims()[0];
        let logits = model.forward(input).flatten::<2>(0, 1).select(0, learnt);
        let mean: f32 = loss.forward(logits, targets).into_scalar();
        sum.nll += f64::from(mean) * tokens as f64;
        sum.tokens += tokens;
    }
    sum
}
