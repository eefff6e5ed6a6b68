//! What a trained model is measured by.
//!
//! Metrics work on host arrays, gather sums and counts, and divide once at the end, so that the result
//! doesn't depend on how the samples were cut into batches.

mod calibration;
mod classification;
mod confusion;
mod error;
mod mistakes;

#[cfg(test)]
mod tests;

pub use calibration::{CalibrationBins, N_BINS};
pub use classification::{ClassificationMetrics, ClassificationReport};
pub use confusion::{ClassScore, ConfusionMatrix};
pub use error::MetricsError;
pub use mistakes::{Mistake, Mistakes};
