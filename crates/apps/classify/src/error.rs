//! What can go wrong with a classifier.

use std::path::PathBuf;

use libellus_backend::DeviceError;
use libellus_data::{DataError, TransformError};
use libellus_losses::LossError;
use libellus_models::ConfigError;
use libellus_optim::OptimError;
use libellus_train::metrics::MetricsError;
use libellus_train::{OptionsError, TrainError};
use libellus_weights::WeightsError;

/// A failure to train, evaluate or use a classifier. Every message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClassifyError {
    /// The options can't be read, or can't be met.
    #[error(transparent)]
    Options(#[from] OptionsError),
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
    /// A weights file is not one that `classify train` wrote.
    #[error("{} does not say what it is: `classify` reads models that `classify train` saved", path.display())]
    NotAClassifier {
        /// The file.
        path: PathBuf,
    },
    /// The description in a weights file can't be understood.
    #[error("{}: the description of the model is damaged or of a newer version: {reason}", path.display())]
    BadDescription {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A model has other classes than the data it should be measured on.
    #[error("the model of {} knows {model} classes, {data} has {found}: {example}", path.display())]
    OtherClasses {
        /// The model's file.
        path: PathBuf,
        /// Classes of the model.
        model: usize,
        /// Name of the data set.
        data: String,
        /// Classes of the data set.
        found: usize,
        /// A class that only one of them has.
        example: String,
    },
    /// The folder holds no image.
    #[error("{} holds no image (png, jpg, webp, bmp, gif, tiff)", path.display())]
    NoImages {
        /// The folder.
        path: PathBuf,
    },
    /// Data could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A transform was configured wrongly.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// A device is not to be had.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A model was configured wrongly.
    #[error(transparent)]
    Model(#[from] ConfigError),
    /// An optimiser or schedule was configured wrongly.
    #[error(transparent)]
    Optim(#[from] OptimError),
    /// A loss was configured wrongly.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// Weights could not be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The predictions could not be measured.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The run failed.
    #[error(transparent)]
    Train(#[from] TrainError),
}

impl ClassifyError {
    /// Whether the choices were wrong, rather than the work having failed.
    pub fn is_wrong_arguments(&self) -> bool {
        match self {
            Self::Options(error) => error.is_wrong_arguments(),
            Self::Device(_)
            | Self::Model(_)
            | Self::Optim(_)
            | Self::Loss(_)
            | Self::Transform(_)
            | Self::Train(
                TrainError::Config { .. } | TrainError::OutNotEmpty { .. } | TrainError::NotARun { .. },
            )
            | Self::Data(DataError::UnknownDataset { .. } | DataError::NoFolder { .. }) => true,
            _ => false,
        }
    }
}
