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
    /// A temperature divides.
    #[error("`temperature` is {value}: it must be above 0")]
    Temperature {
        /// What it was set to.
        value: f64,
    },
    /// A margin is a distance.
    #[error("`margin` is {value}: it must be at least 0")]
    Margin {
        /// What it was set to.
        value: f64,
    },
}
