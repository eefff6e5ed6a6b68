//! Classification as a [`Task`]: model, loss and metrics. Read this file first.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use libellus_losses::{CrossEntropy, Loss};
use libellus_models::Classifier;
use libellus_train::metrics::{ClassificationMetrics, ClassificationReport, MetricsError};
use libellus_train::{
    Batches, CheckpointReader, CheckpointWriter, Clock, Direction, Evaluation, Goal, Learner, StepLog, Task,
};

use crate::data::{HostBatches, ImageLoader, Targets, to_device};
use crate::error::ClassifyError;
use crate::infer::measure;
use crate::options::Keep;
use crate::saved::Description;

/// Learns to tell classes of images apart.
pub struct ClassifyTask {
    pub(crate) learner: Learner<Classifier>,
    pub(crate) loss: CrossEntropy,
    pub(crate) train: ImageLoader,
    /// Empty when no images are held back.
    pub(crate) validation: Option<ImageLoader>,
    pub(crate) keep: Keep,
    /// Batches whose gradients are averaged into one step.
    pub(crate) accumulate: usize,
    pub(crate) description: Description,
    /// The device without autodiff.
    pub(crate) device: Device,
}

impl Task for ClassifyTask {
    type Batch = HostBatches;
    type Error = ClassifyError;

    fn device(&self) -> &Device {
        &self.device
    }

    fn steps_per_epoch(&self) -> u64 {
        self.train.batches_per_epoch().div_ceil(self.accumulate) as u64
    }

    fn batches(&self, epoch: u64, start: u64) -> Batches<HostBatches, ClassifyError> {
        let mut batches = self.train.epoch(epoch, start as usize * self.accumulate);
        let accumulate = self.accumulate;
        Box::new(std::iter::from_fn(move || {
            let step: Result<HostBatches, _> = batches.by_ref().take(accumulate).collect();
            match step {
                Ok(step) if step.is_empty() => None,
                step => Some(step.map_err(ClassifyError::from)),
            }
        }))
    }

    fn step(&mut self, batches: HostBatches, clock: &Clock) -> Result<StepLog, ClassifyError> {
        let samples = batches.iter().map(|batch| batch.labels.len()).sum();
        let device = self.device.clone().autodiff();
        let loss = &self.loss;
        let log = self.learner.step(clock, batches, |model, batch| {
            let batch = to_device(batch, &device);
            let logits = model.forward(batch.images);
            Loss::new(match batch.targets {
                Targets::Labels(labels) => loss.forward(logits, labels),
                Targets::Soft(targets) => loss.forward_soft(logits, targets),
            })
        });
        Ok(StepLog { samples, ..log })
    }

    fn evaluate(&mut self, clock: &Clock) -> Result<Evaluation, ClassifyError> {
        let Some(validation) = &self.validation else { return Ok(Evaluation::default()) };
        let (accuracy, loss) = match self.measure(validation) {
            Ok(report) => (report.top1, report.nll),
            // Weights that are no numbers: the next step's loss will tell, with all that led to it.
            Err(ClassifyError::Metrics(MetricsError::NotAProbability { value, .. }))
                if value.is_nan() && !clock.is_done() =>
            {
                (f64::NAN, f64::NAN)
            }
            Err(error) => return Err(error),
        };
        Ok(Evaluation {
            metrics: BTreeMap::from([("accuracy".to_owned(), accuracy), ("loss".to_owned(), loss)]),
            sample: None,
        })
    }

    fn goal(&self) -> Option<Goal> {
        match self.keep {
            Keep::Best => Some(Goal { metric: "accuracy", direction: Direction::Maximise }),
            Keep::Last => None,
        }
    }

    fn save(&self, checkpoint: &mut CheckpointWriter) -> Result<(), ClassifyError> {
        Ok(self.learner.save(checkpoint)?)
    }

    fn load(&mut self, checkpoint: &CheckpointReader) -> Result<(), ClassifyError> {
        Ok(self.learner.load(checkpoint)?)
    }

    fn export(&self, path: &Path) -> Result<(), ClassifyError> {
        self.description.save(&self.learner.trained(), path)
    }
}

impl ClassifyTask {
    fn measure(&self, images: &ImageLoader) -> Result<ClassificationReport, ClassifyError> {
        let mut metrics = ClassificationMetrics::new(self.description.classes.len());
        measure(&self.learner.trained(), images, &self.device, |probabilities, batch| {
            Ok(metrics.update(probabilities, &batch.labels)?)
        })?;
        Ok(metrics.finish()?)
    }
}
