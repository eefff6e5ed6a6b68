//! From texts to probabilities.

use std::path::Path;

use burn::tensor::{Device, activation::softmax};
use libellus_train::metrics::{ClassificationMetrics, ClassificationReport};
use serde::Serialize;

use super::data::{LabelledTexts, TextBatch, read};
use super::model::TextClassifier;
use super::saved::TrainedTextClassifier;
use crate::error::TextError;
use crate::padded::encode;

/// What a model says of a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// The classes and their probabilities, most probable first.
    pub classes: Vec<(String, f32)>,
}

impl TrainedTextClassifier {
    /// The most probable classes of each text, `top` of them.
    ///
    /// # Errors
    /// When the tokenizer doesn't know a character.
    pub fn predict(&self, texts: &[&str], batch_size: usize, top: usize) -> Result<Vec<Answer>, TextError> {
        let tokens = encode(texts, &self.tokenizer, self.description.longest)?;
        let rows: Vec<(Vec<u32>, usize)> = tokens.into_iter().map(|tokens| (tokens, 0)).collect();
        let mut answers = Vec::with_capacity(texts.len());
        for (rows, texts) in rows.chunks(batch_size.max(1)).zip(texts.chunks(batch_size.max(1))) {
            let batch = TextBatch::new(rows.iter());
            let (probabilities, _) = probabilities(&self.model, batch, &self.device);
            for (probabilities, text) in probabilities.chunks(self.description.classes.len()).zip(texts) {
                let mut classes: Vec<(String, f32)> =
                    self.description.classes.iter().cloned().zip(probabilities.iter().copied()).collect();
                classes.sort_by(|a, b| b.1.total_cmp(&a.1));
                classes.truncate(top.max(1));
                answers.push(Answer { text: (*text).to_owned(), classes });
            }
        }
        Ok(answers)
    }

    /// How well it tells the classes of the texts in a table.
    ///
    /// # Errors
    /// When the table can't be read, or has a class that the model doesn't know.
    pub fn evaluate(
        &self,
        path: &Path,
        columns: [&str; 2],
        batch_size: usize,
    ) -> Result<ClassificationReport, TextError> {
        let texts = read(path, columns)?;
        let Self { tokenizer, description, .. } = self;
        let texts = LabelledTexts::new(
            &texts,
            &description.classes,
            tokenizer,
            description.longest,
            batch_size.max(1),
            path,
        )?;
        measure(&self.model, &texts, description.classes.len(), &self.device)
    }
}

/// How well a model tells the classes of some texts.
///
/// # Errors
/// When the model puts out numbers that are no probabilities, or there are no texts.
pub fn measure(
    model: &TextClassifier,
    texts: &LabelledTexts,
    num_classes: usize,
    device: &Device,
) -> Result<ClassificationReport, TextError> {
    let mut metrics = ClassificationMetrics::new(num_classes);
    for batch in texts.in_order() {
        let (probabilities, labels) = probabilities(model, batch, device);
        metrics.update(&probabilities, &labels)?;
    }
    Ok(metrics.finish()?)
}

/// The probability of each class for each text, row by row, and the right classes.
pub(super) fn probabilities(
    model: &TextClassifier,
    batch: TextBatch,
    device: &Device,
) -> (Vec<f32>, Vec<usize>) {
    let labels = batch.labels.clone();
    let (tokens, mask, _) = batch.to_device(device);
    let probabilities = softmax(model.forward(tokens, mask), 1);
    (probabilities.into_data().iter::<f32>().collect(), labels)
}
