//! How well a classifier does: accuracy, scores by class, calibration.

use serde::{Deserialize, Serialize};

use super::calibration::CalibrationBins;
use super::confusion::{ClassScore, ConfusionMatrix};
use super::error::MetricsError;

/// Gathers predictions and labels, batch by batch.
///
/// The predicted class is the one of the highest probability, the lower index if two share it. Likewise for
/// top-5: a label counts as among the first `k` if fewer than `k` classes come before it, and of equally
/// probable classes the lower index comes first. (PyTorch leaves the order of ties open, scikit-learn takes
/// the higher index; on ties only.)
#[derive(Debug, Clone)]
pub struct ClassificationMetrics {
    num_classes: usize,
    top5_hits: u64,
    nll_sum: f64,
    confusion: ConfusionMatrix,
    calibration: CalibrationBins,
}

/// The measures of a classifier on a set of samples. All rates lie between 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassificationReport {
    /// Number of samples.
    pub count: u64,
    /// Part of the samples whose predicted class is the label: accuracy.
    pub top1: f64,
    /// Part of the samples whose label is among the 5 most probable classes (all of them, if there are
    /// fewer).
    pub top5: f64,
    /// Mean of `-ln p(label)`, in nats, with `p` no smaller than 2.2e-16 as scikit-learn's `log_loss` has it.
    pub nll: f64,
    /// Expected calibration error; see [`CalibrationBins`].
    pub ece: f64,
    /// Mean of the classes' precision. In all three means every class counts alike, those without samples
    /// too.
    pub macro_precision: f64,
    /// Mean of the classes' recall.
    pub macro_recall: f64,
    /// Mean of the classes' F1.
    pub macro_f1: f64,
    /// Scores by class.
    pub per_class: Vec<ClassScore>,
    /// `confusion[label][predicted]` samples.
    pub confusion: Vec<Vec<u64>>,
}

impl ClassificationMetrics {
    /// For `num_classes` classes, without samples yet.
    ///
    /// # Panics
    /// If `num_classes` is 0.
    pub fn new(num_classes: usize) -> Self {
        Self {
            num_classes,
            top5_hits: 0,
            nll_sum: 0.0,
            confusion: ConfusionMatrix::new(num_classes),
            calibration: CalibrationBins::new(),
        }
    }

    /// Adds a batch of `N` samples: `probabilities` `[N, K]` row by row, and the `N` labels.
    ///
    /// # Errors
    /// If a probability is not between 0 and 1 (not a number, above all) or a label not below `K`. The
    /// samples before it have then been counted.
    ///
    /// # Panics
    /// If there aren't `K` probabilities per label.
    pub fn update(&mut self, probabilities: &[f32], labels: &[usize]) -> Result<(), MetricsError> {
        assert_eq!(
            probabilities.len(),
            labels.len() * self.num_classes,
            "one probability per label and class"
        );
        for (row, &label) in probabilities.chunks_exact(self.num_classes).zip(labels) {
            self.add(row, label)?;
        }
        Ok(())
    }

    fn add(&mut self, row: &[f32], label: usize) -> Result<(), MetricsError> {
        let sample = self.confusion.count();
        // A softmax in f32 may exceed 1 by its rounding.
        if let Some(class) = row.iter().position(|p| !(0.0..=1.00001).contains(p)) {
            return Err(MetricsError::NotAProbability { sample, class, value: row[class] });
        }
        let Some(&of_label) = row.get(label) else {
            return Err(MetricsError::LabelOutOfRange { sample, label, num_classes: self.num_classes });
        };
        let comes_before = |class: usize, p: f32| p > of_label || (p == of_label && class < label);
        let rank = row.iter().enumerate().filter(|&(class, &p)| comes_before(class, p)).count();
        let predicted = argmax(row);

        self.top5_hits += u64::from(rank < 5);
        self.nll_sum -= f64::from(of_label).max(f64::EPSILON).ln();
        self.calibration.add(f64::from(row[predicted]), predicted == label);
        self.confusion.add(label, predicted);
        Ok(())
    }

    /// Number of samples so far.
    pub fn count(&self) -> u64 {
        self.confusion.count()
    }

    /// The measures of all samples so far.
    ///
    /// # Errors
    /// If there are no samples.
    pub fn finish(&self) -> Result<ClassificationReport, MetricsError> {
        let count = self.confusion.count();
        if count == 0 {
            return Err(MetricsError::Empty);
        }
        let per_class = self.confusion.scores();
        let mean =
            |score: fn(&ClassScore) -> f64| per_class.iter().map(score).sum::<f64>() / per_class.len() as f64;
        Ok(ClassificationReport {
            count,
            top1: self.confusion.correct() as f64 / count as f64,
            top5: self.top5_hits as f64 / count as f64,
            nll: self.nll_sum / count as f64,
            ece: self.calibration.expected_error(),
            macro_precision: mean(|class| class.precision),
            macro_recall: mean(|class| class.recall),
            macro_f1: mean(|class| class.f1),
            confusion: self.confusion.rows().map(<[u64]>::to_vec).collect(),
            per_class,
        })
    }
}

impl ClassificationReport {
    /// The single numbers with the names they go by in `report.json`.
    pub fn numbers(&self) -> [(&'static str, f64); 7] {
        [
            ("accuracy", self.top1),
            ("top5_accuracy", self.top5),
            ("nll", self.nll),
            ("ece", self.ece),
            ("macro_precision", self.macro_precision),
            ("macro_recall", self.macro_recall),
            ("macro_f1", self.macro_f1),
        ]
    }
}

/// The index of the largest value, the first of several.
pub(super) fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, &value) in row.iter().enumerate() {
        if value > row[best] {
            best = index;
        }
    }
    best
}
