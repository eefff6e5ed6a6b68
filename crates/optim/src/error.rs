//! What can be wrong with a configuration.

use thiserror::Error;

/// A configuration that can't be used.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum OptimError {
    /// A number lies outside its range.
    #[error("`{key}` is {value}: it must be {expected}")]
    OutOfRange {
        /// The configuration's key.
        key: &'static str,
        /// What it was set to.
        value: f64,
        /// The range in words.
        expected: &'static str,
    },
    /// Nesterov momentum is only defined with momentum and without dampening.
    #[error("`nesterov` needs `momentum` above 0 and `dampening` 0, but they are {momentum} and {dampening}")]
    Nesterov {
        /// The momentum set.
        momentum: f64,
        /// The dampening set.
        dampening: f64,
    },
    /// The steps of a milestone schedule don't increase.
    #[error("`at` must list increasing steps, but {later} comes after {earlier}")]
    MilestoneOrder {
        /// The step listed first.
        earlier: u64,
        /// The step listed behind it, which isn't larger.
        later: u64,
    },
    /// No optimiser has this name.
    #[error("unknown optimizer `{name}`: choose one of sgd, adam, adamw, rmsprop, lion")]
    UnknownOptimizer {
        /// The name asked for.
        name: String,
    },
}

/// Fails unless `value` is `valid`; `expected` says in words what that means.
pub(crate) fn require(
    valid: bool,
    key: &'static str,
    value: f64,
    expected: &'static str,
) -> Result<(), OptimError> {
    if valid { Ok(()) } else { Err(OptimError::OutOfRange { key, value, expected }) }
}

/// Fails unless `value` is a finite number that isn't negative.
pub(crate) fn require_non_negative(key: &'static str, value: f64) -> Result<(), OptimError> {
    require(value.is_finite() && value >= 0.0, key, value, "a number from 0 up")
}

/// Fails unless `value` can be the decay of a moving average.
pub(crate) fn require_decay(key: &'static str, value: f64) -> Result<(), OptimError> {
    require((0.0..1.0).contains(&value), key, value, "at least 0 and below 1")
}
