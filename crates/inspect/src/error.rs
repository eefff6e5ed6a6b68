//! What can go wrong.

use std::path::PathBuf;

use libellus_layers::trace::TooLarge;
use libellus_models::{ConfigError, InputError};
use libellus_weights::WeightsError;

/// A model that can't be found, read, run or written. Every message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// A preset or a configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A configuration file is wrong.
    #[error("{}: {source}", path.display())]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ConfigError,
    },
    /// A configuration file can't be parsed.
    #[error("{} is neither JSON nor TOML: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where the parser gave up.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A checkpoint is wrong or of another model.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The inputs don't fit the model.
    #[error("{}: {source}", path.display())]
    Input {
        /// The file of the inputs.
        path: PathBuf,
        /// What is wrong with them.
        #[source]
        source: InputError,
    },
    /// The model is larger than any memory.
    #[error("{name} has {parameters} parameters, more than can be drawn at random ({most})")]
    TooLarge {
        /// The preset, or the file of the configuration.
        name: String,
        /// How many parameters it has.
        parameters: usize,
        /// The most that are drawn.
        most: usize,
    },
    /// A configuration describes a model that can't be applied.
    #[error("{name}: {source}")]
    Useless {
        /// The preset, or the file of the configuration.
        name: String,
        /// What it refuses of an input of its own size.
        #[source]
        source: InputError,
    },
    /// The sizes of a configuration are valid one by one, but not together.
    #[error("{name}: {source}")]
    OutputTooLarge {
        /// The preset, or the file of the configuration.
        name: String,
        /// Which layer's output no memory holds.
        #[source]
        source: TooLarge,
    },
    /// A weights file doesn't say what model it is of.
    #[error("{} does not say which model it holds; name it with --arch or --config", path.display())]
    Nameless {
        /// The file.
        path: PathBuf,
    },
    /// The model has no such layout.
    #[error("there is no layout `{name}` for {architecture}, only {}", known.join(", "))]
    UnknownLayout {
        /// The name asked for.
        name: String,
        /// The preset or architecture.
        architecture: String,
        /// The names that there are.
        known: Vec<&'static str>,
    },
}

impl InspectError {
    /// Whether the arguments or a configuration are wrong, rather than the job having failed.
    pub fn is_wrong_arguments(&self) -> bool {
        matches!(
            self,
            Self::Config(_)
                | Self::ConfigFile { .. }
                | Self::Syntax { .. }
                | Self::Nameless { .. }
                | Self::TooLarge { .. }
                | Self::Useless { .. }
                | Self::OutputTooLarge { .. }
                | Self::UnknownLayout { .. }
        )
    }
}
