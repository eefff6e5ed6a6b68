//! Language modelling as a [`Task`]: model, loss and metrics. Read this file first.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use libellus_losses::{CrossEntropy, Loss};
use libellus_models::LanguageModel;
use libellus_train::{
    Batches, CheckpointReader, CheckpointWriter, Clock, Direction, Evaluation, Goal, Learner, StepLog, Task,
};

use crate::data::{MOST_MEASURED, Pieces, TokenBatch};
use crate::error::TextError;
use crate::infer::{Generation, generate};
use crate::lora::{LoraOptions, adapter_in, changes, merge_lora, put_changes, save_adapter};
use crate::metrics::mean_loss;
use crate::options::Keep;
use crate::saved::Description;
use libellus_data::Tokenizer;

/// Learns to tell which token comes next.
pub struct TextTask {
    pub(crate) learner: Learner<LanguageModel>,
    pub(crate) loss: CrossEntropy,
    pub(crate) train: Pieces,
    /// `None` when nothing is held back.
    pub(crate) validation: Option<Pieces>,
    /// Tokens that a validation reads, but for the last one.
    pub(crate) validation_tokens: usize,
    /// What is written at each validation, and how it begins.
    pub(crate) sample: Generation,
    pub(crate) prompt: String,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) keep: Keep,
    /// Batches whose gradients are averaged into one step.
    pub(crate) accumulate: usize,
    pub(crate) seed: u64,
    pub(crate) description: Description,
    pub(crate) product: Product,
    /// The device without autodiff.
    pub(crate) device: Device,
}

/// What a run makes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Product {
    /// A model that brings all it needs.
    Model,
    /// What was changed of a model that stays as it is.
    Adapter {
        lora: LoraOptions,
        /// Where that model is.
        base: String,
        /// Whether a model with the changes in its weights is made as well.
        merge: bool,
    },
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
        let accumulate = self.accumulate;
        let first = epoch * self.steps_per_epoch() + start;
        let mut batches = self.train.clone().random(self.seed, first * accumulate as u64);
        let steps = start..self.steps_per_epoch();
        Box::new(steps.map(move |_| batches.by_ref().take(accumulate).collect()))
    }

    fn step(&mut self, batches: Vec<TokenBatch>, clock: &Clock) -> Result<StepLog, TextError> {
        let samples = batches.iter().map(|batch| batch.inputs.len()).sum();
        let device = self.device.clone().autodiff();
        let loss = &self.loss;
        let log = self.learner.step(clock, batches, |model, batch| {
            let (logits, targets) = batch.predict(model, &device);
            Loss::new(loss.forward(logits, targets))
        });
        Ok(StepLog { samples, ..log })
    }

    fn evaluate(&mut self, clock: &Clock) -> Result<Evaluation, TextError> {
        let model = self.learner.trained();
        let mut metrics = BTreeMap::new();
        if let Some(validation) = &self.validation {
            let most = if clock.is_done() { MOST_MEASURED } else { self.validation_tokens };
            let loss = mean_loss(&model, validation.in_order(Some(most)), &self.device)?.mean();
            metrics.insert("loss".to_owned(), loss);
            // Of examples, only completions are predicted, and their characters aren't counted.
            if let Pieces::Text(_) = validation {
                metrics.insert("bits_per_character".to_owned(), self.description.bits_per_character(loss));
            }
        }
        let sample = match self.sample.max_tokens {
            0 => None,
            // Weights that are no numbers make no text; the next step's loss will tell, with all that led to it.
            _ => generate(&model, &self.tokenizer, &self.prompt, &self.sample, &self.device, &mut |_, _| {})
                .ok()
                .and_then(|mut texts| texts.pop())
                .map(|generated| generated.text),
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
        match self.product {
            Product::Model => self.learner.save(checkpoint)?,
            Product::Adapter { .. } => self.learner.save_part(&changes(self.learner.model()), checkpoint)?,
        }
        Ok(())
    }

    fn load(&mut self, checkpoint: &CheckpointReader) -> Result<(), TextError> {
        match self.product {
            Product::Model => self.learner.load(checkpoint)?,
            Product::Adapter { .. } => {
                let part = changes(self.learner.model());
                self.learner.load_part(part, checkpoint, put_changes)?;
            }
        }
        Ok(())
    }

    fn export(&self, path: &Path) -> Result<(), TextError> {
        let model = self.learner.trained();
        let model = match &self.product {
            Product::Model => model,
            Product::Adapter { lora, base, merge } => {
                save_adapter(&model, lora, base, &adapter_in(path.parent().unwrap_or(path)))?;
                if !merge {
                    return Ok(());
                }
                merge_lora(model)
            }
        };
        self.description.save(&model, &self.tokenizer, path)
    }
}
