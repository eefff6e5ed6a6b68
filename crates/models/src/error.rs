//! What can be wrong with a configuration.

/// A configuration that describes no model, or a name that no preset has.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A size or count is outside what makes a model.
    #[error("`{field}` must be between {min} and {max}, not {value}")]
    OutOfRange {
        /// Name of the field.
        field: &'static str,
        /// What it holds.
        value: usize,
        /// The least that it may hold.
        min: usize,
        /// The most that it may hold.
        max: usize,
    },
    /// A probability is outside `[0, 1)`.
    #[error("`{field}` must be at least 0 and less than 1, not {value}")]
    NotAProbability {
        /// Name of the field.
        field: &'static str,
        /// What it holds.
        value: f64,
    },
    /// A number that has to be positive isn't, or isn't finite.
    #[error("`{field}` must be a positive number, not {value}")]
    NotPositive {
        /// Name of the field.
        field: &'static str,
        /// What it holds.
        value: f64,
    },
    /// A size that is taken in pairs is odd.
    #[error("`{field}` must be even, not {value}")]
    Odd {
        /// Name of the field.
        field: &'static str,
        /// What it holds.
        value: usize,
    },
    /// A CIFAR ResNet's depth is not `6n + 2`.
    #[error(
        "`depth` must be 6n + 2 (8, 14, 20, 32, 44, 56, ...), not {depth}: three stages of n blocks of two layers"
    )]
    Depth {
        /// The depth asked for.
        depth: usize,
    },
    /// A number is infinite or none.
    #[error("`{field}` must be a finite number, not {value}")]
    NotFinite {
        /// Name of the field.
        field: &'static str,
        /// What it holds.
        value: f64,
    },
    /// A ResNet of basic blocks is to have groups.
    #[error("`groups` and `width_per_group` are for bottleneck blocks: basic ones have neither")]
    GroupsWithoutBottleneck,
    /// A kernel has no middle.
    #[error("`kernel` must be odd, not {kernel}: an even one changes the size of the maps")]
    EvenKernel {
        /// Height and width of the kernel.
        kernel: usize,
    },
    /// An image is too small to leave anything after the convolutions.
    #[error("`input_size` must be at least {min}x{min} pixels, not {height}x{width}")]
    InputTooSmall {
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
        /// Least height and width in pixels.
        min: usize,
    },
    /// The images that will be fed are smaller than the model halves them.
    #[error("the model takes images of at least {min}x{min} pixels, the input is {height}x{width}")]
    ImageTooSmall {
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
        /// Least height and width in pixels.
        min: usize,
    },
    /// The images that will be fed are not those that the model is built for.
    #[error("the model takes images of {model}, the input is {input} (channels x height x width)")]
    InputMismatch {
        /// Shape that the model takes; `*` where any size will do.
        model: String,
        /// Shape of the input.
        input: String,
    },
    /// The preset is of another kind of model.
    #[error("{name} ({family}) is no image classifier")]
    NotAClassifier {
        /// The preset.
        name: String,
        /// Its family.
        family: &'static str,
    },
    /// A configuration says nothing of its architecture.
    #[error("the configuration has neither the key `architecture` nor Hugging Face's `model_type`")]
    NoArchitecture,
    /// A configuration is for an architecture that isn't here.
    #[error("{}", match known.as_slice() {
        [] => format!("models with `{key}` `{name}` aren't supported"),
        known => format!("there is no {key} `{name}`, only {}", known.join(", ")),
    })]
    UnknownArchitecture {
        /// The key that names it.
        key: &'static str,
        /// Its name.
        name: String,
        /// The known names, if they are few enough to help.
        known: Vec<&'static str>,
    },
    /// A configuration has an unknown, missing or wrong field.
    #[error("the configuration of `{architecture}` is wrong: {reason}")]
    Malformed {
        /// The architecture.
        architecture: String,
        /// What is wrong, with the field.
        reason: String,
    },
    /// A Hugging Face configuration asks for what isn't here.
    #[error("`{field}` = {value} isn't supported{}", match *supported { "" => String::new(), known => format!("; only {known} is") })]
    Unsupported {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is supported, in words, or nothing.
        supported: &'static str,
    },
    /// Two sizes of a configuration don't go together.
    #[error("`{field}` ({value}) must be a multiple of `{divisor_field}` ({divisor})")]
    Indivisible {
        /// The field whose value is to be divided.
        field: &'static str,
        /// Its value.
        value: usize,
        /// The field that divides it.
        divisor_field: &'static str,
        /// Its value.
        divisor: usize,
    },
    /// An output that shares the embedding reads vectors of another width.
    #[error("`tie_embeddings` needs `d_model` ({d_model}) and `d_hidden` ({d_hidden}) to be the same")]
    TiedWidths {
        /// Width of the embedding.
        d_model: usize,
        /// Width of the output.
        d_hidden: usize,
    },
    /// A configuration is for another kind of model.
    #[error("`{architecture}` is no language model; those are {}", known.join(", "))]
    NotALanguageModel {
        /// The architecture.
        architecture: String,
        /// Those of language models.
        known: &'static [&'static str],
    },
    /// No preset has the name.
    #[error("there is no model `{name}`; did you mean {}?", nearest.join(", "))]
    UnknownPreset {
        /// The name asked for.
        name: String,
        /// The known names nearest to it, best first.
        nearest: Vec<&'static str>,
    },
}

/// The most channels, units or classes that a layer may have. Far above any published model, and far below what
/// could exhaust memory before a batch is seen.
const MAX_WIDTH: usize = 1 << 17;

/// The most pixels that an image may have to a side.
const MAX_SIDE: usize = 1 << 14;

/// Checks that a layer has a possible number of channels, units or classes.
pub(crate) fn check_width(field: &'static str, value: usize) -> Result<(), ConfigError> {
    check_range(field, value, MAX_WIDTH)
}

/// Checks that an image has a possible size.
pub(crate) fn check_side(field: &'static str, value: usize) -> Result<(), ConfigError> {
    check_range(field, value, MAX_SIDE)
}

/// Checks that `value` is at least 1 and at most `max`.
pub(crate) fn check_range(field: &'static str, value: usize, max: usize) -> Result<(), ConfigError> {
    match (1..=max).contains(&value) {
        true => Ok(()),
        false => Err(ConfigError::OutOfRange { field, value, min: 1, max }),
    }
}

/// Checks that `value` is in `[0, 1)`.
pub(crate) fn check_probability(field: &'static str, value: f64) -> Result<(), ConfigError> {
    match (0.0..1.0).contains(&value) {
        true => Ok(()),
        false => Err(ConfigError::NotAProbability { field, value }),
    }
}

/// Checks that one size is a multiple of another.
pub(crate) fn check_multiple(
    field: &'static str,
    value: usize,
    divisor_field: &'static str,
    divisor: usize,
) -> Result<(), ConfigError> {
    match divisor > 0 && value.is_multiple_of(divisor) {
        true => Ok(()),
        false => Err(ConfigError::Indivisible { field, value, divisor_field, divisor }),
    }
}

/// Checks that `value` is positive and finite.
pub(crate) fn check_positive(field: &'static str, value: f64) -> Result<(), ConfigError> {
    match value > 0.0 && value.is_finite() {
        true => Ok(()),
        false => Err(ConfigError::NotPositive { field, value }),
    }
}

/// Checks that `value` is even.
pub(crate) fn check_even(field: &'static str, value: usize) -> Result<(), ConfigError> {
    match value.is_multiple_of(2) {
        true => Ok(()),
        false => Err(ConfigError::Odd { field, value }),
    }
}
