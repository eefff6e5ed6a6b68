//! Predictions that can't be measured.

/// A prediction or label that makes a metric meaningless.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// A probability is not a number, or not between 0 and 1.
    #[error(
        "the model's probability of class {class} for sample {sample} is {value}: it must lie between 0 and 1"
    )]
    NotAProbability {
        /// The sample, counted from 0 over all batches.
        sample: u64,
        /// The class.
        class: usize,
        /// The value found.
        value: f32,
    },
    /// A label names no class.
    #[error("the label of sample {sample} is {label}, but there are {num_classes} classes")]
    LabelOutOfRange {
        /// The sample, counted from 0 over all batches.
        sample: u64,
        /// The label found.
        label: usize,
        /// The number of classes.
        num_classes: usize,
    },
    /// There was nothing to measure.
    #[error("there are no samples to evaluate on")]
    Empty,
}
