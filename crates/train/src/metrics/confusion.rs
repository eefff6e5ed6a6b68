//! Which class is taken for which.

use serde::{Deserialize, Serialize};

/// Counts of samples by label (row) and predicted class (column).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    num_classes: usize,
    counts: Vec<u64>,
}

/// The scores of one class. A rate whose denominator is 0 is 0, as with scikit-learn's `zero_division=0`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// Of the samples taken for this class, the part that belongs to it.
    pub precision: f64,
    /// Of the samples of this class, the part that was taken for it.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Number of samples of this class.
    pub support: u64,
}

impl ConfusionMatrix {
    /// Without samples.
    ///
    /// # Panics
    /// If `num_classes` is 0.
    pub fn new(num_classes: usize) -> Self {
        assert!(num_classes > 0, "there must be a class");
        Self { num_classes, counts: vec![0; num_classes * num_classes] }
    }

    /// Counts one sample.
    ///
    /// # Panics
    /// If `label` or `predicted` is no class.
    pub fn add(&mut self, label: usize, predicted: usize) {
        assert!(label < self.num_classes && predicted < self.num_classes, "no such class");
        self.counts[label * self.num_classes + predicted] += 1;
    }

    /// The rows: for each label, the counts by predicted class.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u64]> {
        self.counts.chunks_exact(self.num_classes)
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Number of samples whose predicted class is the label.
    pub fn correct(&self) -> u64 {
        self.counts.iter().step_by(self.num_classes + 1).sum()
    }

    /// Precision, recall and F1 of every class.
    pub fn scores(&self) -> Vec<ClassScore> {
        let mut predicted = vec![0; self.num_classes];
        for row in self.rows() {
            predicted.iter_mut().zip(row).for_each(|(sum, count)| *sum += count);
        }
        let score = |(class, row): (usize, &[u64])| {
            let (hits, support) = (row[class], row.iter().sum());
            ClassScore {
                precision: ratio(hits, predicted[class]),
                recall: ratio(hits, support),
                f1: ratio(2 * hits, predicted[class] + support),
                support,
            }
        };
        self.rows().enumerate().map(score).collect()
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
