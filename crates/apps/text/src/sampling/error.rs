//! What can go wrong when a token is chosen.

/// A wrong option, or logits that nothing can be chosen from. Every message is one line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplingError {
    /// An option is out of its range, or contradicts another.
    #[error("--{option} {value}: {reason}")]
    Option {
        /// The option, as on the command line.
        option: &'static str,
        /// The value given.
        value: String,
        /// What is allowed.
        reason: String,
    },
    /// The model gave a logit that is NaN or positive infinity.
    #[error("the model gave the logit {value} to token {token}: its weights or its input are damaged")]
    NotFinite {
        /// The first such token.
        token: usize,
        /// Its logit.
        value: f32,
    },
    /// There are no logits, or all are negative infinity.
    #[error("none of the model's {vocabulary} tokens may be chosen: all logits are negative infinity")]
    NothingToChoose {
        /// Number of logits.
        vocabulary: usize,
    },
}

impl SamplingError {
    /// Whether the choices were wrong, rather than the model's output.
    pub fn is_wrong_arguments(&self) -> bool {
        matches!(self, Self::Option { .. })
    }
}

/// An error if the value of an option is not `allowed`.
pub(super) fn check(
    allowed: bool,
    option: &'static str,
    value: impl ToString,
    reason: impl Into<String>,
) -> Result<(), SamplingError> {
    if allowed {
        return Ok(());
    }
    Err(SamplingError::Option { option, value: value.to_string(), reason: reason.into() })
}
