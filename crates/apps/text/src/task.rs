//! Language modelling as a [`Task`]: model, loss and metrics. Read this file first.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use libellus_losses::{CrossEntropy, Loss};
use libellus_models::LanguageModel;
use libellus_train::{
    Batches, CheckpointReader, CheckpointWriter, Clock, Direction, Evaluation, Goal, Learner, StepLog, Task,
};

use crate::data::{TokenBatch, Windows};
use crate::error::TextError;
use crate::infer::{Generation, generate};
use crate::metrics::mean_loss;
use crate::options::Keep;
use crate::saved::{Description, default_prompt};
use libellus_data::Tokenizer;

/// Learns to tell which token comes next.
pub struct TextTask {
    pub(crate) learner: Learner<LanguageModel>,
    pub(crate) loss: CrossEntropy,
    pub(crate) train: Windows,
    /// `None` when no text is held back.
    pub(crate) validation: Option<Windows>,
    /// Tokens that a validation reads; the last one reads all.
    pub(crate) validation_tokens: usize,
    pub(crate) sample: Generation,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) keep: Keep,
    /// Batches whose gradients are averaged into one step.
    pub(crate) accumulate: usize,
    pub(crate) seed: u64,
    pub(crate) description: Description,
    /// The device without autodiff.
    pub(crate) device: Device,
}

impl Task for TextTask {
    type Batch = Vec<TokenBatch>;
    type Error = TextError;

    fn device(&self) -> &Device {
        &self.device
    }

    fn steps_per_epoch(&self) -> u64 {
        self.train.batches_per_epoch().div_ceil(self.accumulate as u64)
    }

    fn batches(&self, epoch: u64, start: u64) -> Batches<Vec<TokenBatch>, TextError> {
        let (train, seed, accumulate) = (self.train.clone(), self.seed, self.accumulate as u64);
        let first = epoch * self.steps_per_epoch();
        let steps = first + start..first + self.steps_per_epoch();
        Box::new(steps.map(move |step| {
            (0..accumulate).map(|part| train.random(seed, step * accumulate + part)).collect()
        }))
    }

    fn step(&mut self, batches: Vec<TokenBatch>, clock: &Clock) -> Result<StepLog, TextError> {
        let samples = batches.iter().map(|batch| batch.inputs.len()).sum();
        let device = self.device.clone().autodiff();
        let loss = &self.loss;
        let log = self.learner.step(clock, batches, |model, batch| {
            let (inputs, targets) = batch.to_device(&device);
            Loss::new(loss.forward(model.forward(inputs).flatten(0, 1), targets))
        });
        Ok(StepLog { samples, ..log })
    }

    fn evaluate(&mut self, clock: &Clock) -> Result<Evaluation, TextError> {
        let model = self.learner.trained();
        let mut metrics = BTreeMap::new();
        if let Some(validation) = &self.validation {
            let most = (!clock.is_done()).then_some(self.validation_tokens);
            let loss = mean_loss(&model, validation.in_order(most), &self.device)?.mean();
            metrics.insert("loss".to_owned(), loss);
            metrics.insert("bits_per_character".to_owned(), self.description.bits_per_character(loss));
        }
        let sample = match self.sample.max_tokens {
            0 => None,
            // Weights that are no numbers make no text; the next step's loss will tell, with all that led to it.
            _ => {
                let prompt = default_prompt(&self.tokenizer);
                generate(&model, &self.tokenizer, &prompt, &self.sample, &self.device, &mut |_, _| {})
                    .ok()
                    .and_then(|mut texts| texts.pop())
                    .map(|generated| generated.text)
            }
        };
        Ok(Evaluation { metrics, sample })
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
        self.description.save(&self.learner.trained(), &self.tokenizer, path)
    }
}
