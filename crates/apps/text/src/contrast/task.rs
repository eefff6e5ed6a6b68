//! Contrastive learning of sentence vectors as a [`Task`]: model, loss and metrics. Read this file first.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Bool, Device, Int, Tensor};
use libellus_data::Tokenizer;
use libellus_losses::{InfoNce, Loss, Triplet};
use libellus_models::Bert;
use libellus_models::bert::{BertInput, sentence_embedding};
use libellus_train::{
    Batches, CheckpointReader, CheckpointWriter, Clock, Direction, Evaluation, Goal, Learner, StepLog, Task,
};

use super::data::{RowBatch, Rows};
use crate::embed::EncoderDescription;
use crate::error::TextError;
use crate::options::Keep;

/// Learns vectors of texts that are near each other where the texts belong together.
pub struct ContrastTask {
    pub(super) learner: Learner<Bert>,
    pub(super) objective: Contrast,
    pub(super) train: Rows,
    /// What is held back; it may be empty.
    pub(super) validation: Rows,
    pub(super) tokenizer: Tokenizer,
    pub(super) keep: Keep,
    pub(super) seed: u64,
    pub(super) description: EncoderDescription,
    /// The device without autodiff.
    pub(super) device: Device,
}

/// A loss over the vectors of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Contrast {
    /// Over all positives and negatives of the batch.
    InfoNce(InfoNce),
    /// Over each row alone.
    Triplet(Triplet),
}

impl Contrast {
    /// The loss of the vectors of anchors, positives and, if there are any, negatives.
    fn forward(&self, vectors: Vec<Tensor<2>>) -> Tensor<1> {
        let mut vectors = vectors.into_iter();
        let anchors = vectors.next().expect("a batch has anchors");
        let others: Vec<Tensor<2>> = vectors.collect();
        match self {
            Self::InfoNce(loss) => loss.forward(anchors, Tensor::cat(others, 0)),
            Self::Triplet(loss) => {
                let [positives, negatives] = others.try_into().expect("a triplet has a negative");
                loss.forward(anchors, positives, negatives)
            }
        }
    }
}

fn vectors(model: &Bert, tokens: Tensor<2, Int>, mask: Tensor<2, Bool>) -> Tensor<2> {
    let input = BertInput { mask: Some(mask.clone()), ..BertInput::new(tokens) };
    sentence_embedding(model.forward_features(input), mask)
}

fn all_vectors(model: &Bert, batch: &RowBatch, device: &Device) -> Vec<Tensor<2>> {
    batch.to_device(device).into_iter().map(|(tokens, mask)| vectors(model, tokens, mask)).collect()
}

impl Task for ContrastTask {
    type Batch = RowBatch;
    type Error = TextError;

    fn device(&self) -> &Device {
        &self.device
    }

    fn steps_per_epoch(&self) -> u64 {
        self.train.batches_per_epoch()
    }

    fn batches(&self, epoch: u64, start: u64) -> Batches<RowBatch, TextError> {
        Box::new(self.train.random(self.seed, epoch).skip(start as usize).map(Ok))
    }

    fn step(&mut self, batch: RowBatch, clock: &Clock) -> Result<StepLog, TextError> {
        let samples = batch.len();
        let device = self.device.clone().autodiff();
        let objective = self.objective;
        let log = self.learner.step(clock, vec![batch], |model, batch| {
            Loss::new(objective.forward(all_vectors(model, &batch, &device)))
        });
        Ok(StepLog { samples, ..log })
    }

    fn evaluate(&mut self, _clock: &Clock) -> Result<Evaluation, TextError> {
        let metrics = match self.validation.is_empty() {
            true => BTreeMap::new(),
            false => measure(&self.learner.trained(), &self.validation, &self.objective, &self.device),
        };
        Ok(Evaluation { metrics, sample: None })
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

/// The loss; in which share of the rows the anchor is nearer to its positive than to any other one of `rows` (`accuracy`); and the
/// mean of one by the positive's rank among them (`mean_reciprocal_rank`).
pub(super) fn measure(
    model: &Bert,
    rows: &Rows,
    objective: &Contrast,
    device: &Device,
) -> BTreeMap<String, f64> {
    let (mut loss, mut anchors, mut positives) = (0.0, Vec::new(), Vec::new());
    for batch in rows.in_order() {
        let vectors = all_vectors(model, &batch, device);
        anchors.push(vectors[0].clone());
        positives.push(vectors[1].clone());
        loss += objective.forward(vectors).into_scalar::<f32>() as f64 * batch.len() as f64;
    }
    let similarities = Tensor::cat(anchors, 0).matmul(Tensor::cat(positives, 0).transpose());
    let similarities: Vec<f32> = similarities.into_data().iter::<f32>().collect();
    let count = rows.len();
    let ranks = similarities.chunks(count).enumerate().map(|(own, row)| {
        // One that is as near counts as nearer: a model that makes all texts equal knows nothing.
        1 + row.iter().enumerate().filter(|&(other, value)| other != own && *value >= row[own]).count()
    });
    let (mut first, mut reciprocal) = (0, 0.0);
    for rank in ranks {
        first += usize::from(rank == 1);
        reciprocal += 1.0 / rank as f64;
    }
    let count = count.max(1) as f64;
    let metrics = [
        ("loss", loss / count),
        ("accuracy", first as f64 / count),
        ("mean_reciprocal_rank", reciprocal / count),
    ];
    metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
