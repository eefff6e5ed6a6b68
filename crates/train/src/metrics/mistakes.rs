//! The wrong predictions that a model is surest of: wrong labels and blind spots show there first.

use super::classification::argmax;

/// Keeps the most confident wrong predictions of all batches.
#[derive(Debug, Clone)]
pub struct Mistakes {
    keep: usize,
    num_classes: usize,
    seen: usize,
    most_confident: Vec<Mistake>,
}

/// A wrong prediction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mistake {
    /// The sample, counted from 0 in the order of the batches.
    pub sample: usize,
    /// Its true class.
    pub label: usize,
    /// The class it was taken for.
    pub predicted: usize,
    /// The probability given to `predicted`.
    pub confidence: f32,
    /// The probability given to `label`.
    pub of_label: f32,
}

impl Mistakes {
    /// Keeps up to `keep` of them.
    pub fn new(keep: usize, num_classes: usize) -> Self {
        Self { keep, num_classes, seen: 0, most_confident: Vec::new() }
    }

    /// Adds a batch of `N` samples: `probabilities` `[N, K]` row by row, and the `N` labels.
    ///
    /// # Panics
    /// If there aren't `K` probabilities per label, or a label is no class.
    pub fn update(&mut self, probabilities: &[f32], labels: &[usize]) {
        assert_eq!(
            probabilities.len(),
            labels.len() * self.num_classes,
            "one probability per label and class"
        );
        for (row, &label) in probabilities.chunks_exact(self.num_classes).zip(labels) {
            let predicted = argmax(row);
            if predicted != label {
                let (confidence, of_label) = (row[predicted], row[label]);
                self.most_confident.push(Mistake {
                    sample: self.seen,
                    label,
                    predicted,
                    confidence,
                    of_label,
                });
            }
            self.seen += 1;
        }
        // Stable: of equally confident ones, the first stays.
        self.most_confident.sort_by(|left, right| right.confidence.total_cmp(&left.confidence));
        self.most_confident.truncate(self.keep);
    }

    /// The mistakes, the most confident first.
    pub fn most_confident(&self) -> &[Mistake] {
        &self.most_confident
    }
}
