//! What a configuration has to offer so that its architecture can be used by name.

use burn::module::Module;
use libellus_weights::{Checkpoint, Layout};
use serde_json::Value;

use crate::{ConfigError, InputError, Preset, Tensors};

/// The configuration of an image classifier.
///
/// Its `init` and `validate` are its own functions; this trait has what the enums over all classifiers need besides.
pub trait ImageArchitecture {
    /// The models with names, small ones first.
    fn presets() -> Vec<Preset>
    where
        Self: Sized;

    /// The public checkpoints that it can exchange weights with, besides this project's own.
    fn layouts(&self) -> Vec<Layout>;

    /// Number of classes `K`.
    fn num_classes(&self) -> usize;

    /// Takes another number of classes.
    fn set_num_classes(&mut self, num_classes: usize);

    /// Channels `C` of the images.
    fn in_channels(&self) -> usize;

    /// Height and width of the images in pixels, where the parameters depend on it.
    fn input_size(&self) -> Option<[usize; 2]> {
        None
    }

    /// The least height and width in pixels of an image.
    fn min_side(&self) -> usize {
        1
    }

    /// Takes images of another size, where the parameters depend on it.
    fn set_input_size(&mut self, _size: [usize; 2]) {}

    /// The probability with which units are dropped in training, where the architecture drops any.
    fn dropout(&mut self) -> Option<&mut f64> {
        None
    }

    /// The probability with which the last residual branch is dropped in training (stochastic depth), where the
    /// architecture has such branches.
    fn drop_path(&mut self) -> Option<&mut f64> {
        None
    }

    /// Height and width in pixels of the images that it is usually applied to.
    fn native_size(&self) -> [usize; 2] {
        self.input_size().unwrap_or([224, 224])
    }

    /// The configuration that a Hugging Face `config.json` describes; `None` if that is of another architecture.
    fn from_hugging_face(_config: &Value) -> Option<Result<Self, ConfigError>>
    where
        Self: Sized,
    {
        None
    }
}

/// Most tokens of an example: the scores and logits of a long text take gigabytes.
pub(crate) const EXAMPLE_TOKENS: usize = 128;

/// The configuration of any other architecture.
pub trait Architecture {
    /// What it configures.
    type Model: Module;

    /// The models with names, small ones first.
    fn presets() -> Vec<Preset>;

    /// The public checkpoints that it can exchange weights with, besides this project's own.
    fn layouts(&self) -> Vec<Layout>;

    /// A batch of one of the size that the model is made for, filled with zeros. Of text it has no more than 128 tokens.
    ///
    /// # Errors
    /// If that is too large to follow the model's shapes with.
    fn example(&self) -> Result<Tensors, InputError>;

    /// Applies the model to named inputs, in inference mode.
    ///
    /// # Errors
    /// If an input is missing, unknown, or not what the model takes; nothing else may make it panic.
    fn run(&self, model: &Self::Model, inputs: &Tensors) -> Result<Tensors, InputError>;

    /// The configuration that a Hugging Face `config.json` describes; `None` if that is of another architecture.
    fn from_hugging_face(_config: &Value) -> Option<Result<Self, ConfigError>>
    where
        Self: Sized,
    {
        None
    }

    /// The configuration that the metadata of a GGUF file describe; `None` if that is of another architecture.
    fn from_gguf(_checkpoint: &Checkpoint) -> Option<Result<Self, ConfigError>>
    where
        Self: Sized,
    {
        None
    }
}
