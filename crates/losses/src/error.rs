//! What can be wrong with a configuration.

use thiserror::Error;

/// A configuration that can't be used.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LossError {
    /// Label smoothing is a share of the probability.
    #[error("`label_smoothing` is {value}: it must be from 0 to 1")]
    LabelSmoothing {
        /// What it was set to.
        value: f64,
    },
}
