//! Any image classifier, chosen by configuration.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::{
    CifarResNet, CifarResNetConfig, ConfigError, InputSpec, LeNet5, LeNet5Config, Mlp, MlpConfig, ResNet,
    ResNetConfig,
};

/// An image classifier of any architecture.
///
/// Shapes: `B` batch, `C` channels, `H`/`W` image size, `D` width of the features, `K` classes.
#[derive(Module, Debug)]
pub enum Classifier {
    /// A multilayer perceptron.
    Mlp(Mlp),
    /// LeNet-5.
    LeNet5(LeNet5),
    /// A residual network for large images.
    ResNet(ResNet),
    /// A residual network for small images.
    CifarResNet(CifarResNet),
}

impl Classifier {
    /// Class logits of a batch of images.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, K]`
    ///
    /// # Panics
    /// If the images don't have the channels, and where the architecture depends on it the size, of the configuration.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            Self::Mlp(model) => model.forward(images),
            Self::LeNet5(model) => model.forward(images),
            Self::ResNet(model) => model.forward(images),
            Self::CifarResNet(model) => model.forward(images),
        }
    }

    /// The features from which the last layer computes the logits.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, D]`
    ///
    /// # Panics
    /// As [`Classifier::forward`].
    pub fn forward_features(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            Self::Mlp(model) => model.forward_features(images),
            Self::LeNet5(model) => model.forward_features(images),
            Self::ResNet(model) => model.forward_features(images),
            Self::CifarResNet(model) => model.forward_features(images),
        }
    }

    /// The pattern that fits the names of the parameters of the last layer, and of no others: what a transfer to other
    /// classes draws anew, and what stays trainable when the backbone is frozen.
    pub fn head_pattern(&self) -> &'static str {
        match self {
            Self::Mlp(_) => Mlp::HEAD,
            Self::LeNet5(_) => LeNet5::HEAD,
            Self::ResNet(_) => ResNet::HEAD,
            Self::CifarResNet(_) => CifarResNet::HEAD,
        }
    }
}

/// The configuration of a [`Classifier`]. In a file, the key `architecture` says which one it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "architecture", rename_all = "snake_case")]
pub enum ClassifierConfig {
    /// `architecture = "mlp"`
    Mlp(MlpConfig),
    /// `architecture = "lenet5"`
    #[serde(rename = "lenet5")]
    LeNet5(LeNet5Config),
    /// `architecture = "resnet"`
    #[serde(rename = "resnet")]
    ResNet(ResNetConfig),
    /// `architecture = "cifar_resnet"`
    #[serde(rename = "cifar_resnet")]
    CifarResNet(CifarResNetConfig),
}

impl ClassifierConfig {
    /// The model, on `device`. Its parameters are drawn when they are first used.
    ///
    /// # Errors
    /// If [`ClassifierConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<Classifier, ConfigError> {
        Ok(match self {
            Self::Mlp(config) => Classifier::Mlp(config.init(device)?),
            Self::LeNet5(config) => Classifier::LeNet5(config.init(device)?),
            Self::ResNet(config) => Classifier::ResNet(config.init(device)?),
            Self::CifarResNet(config) => Classifier::CifarResNet(config.init(device)?),
        })
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::Mlp(config) => config.validate(),
            Self::LeNet5(config) => config.validate(),
            Self::ResNet(config) => config.validate(),
            Self::CifarResNet(config) => config.validate(),
        }
    }

    /// Checks that images as `input` describes them fit the model.
    ///
    /// # Errors
    /// [`ConfigError::InputMismatch`] if they don't.
    pub fn check_input(&self, input: &InputSpec) -> Result<(), ConfigError> {
        let size = self.input_size();
        let fits = input.channels == self.in_channels()
            && size.is_none_or(|size| size == [input.height, input.width]);
        if fits {
            return Ok(());
        }
        let [height, width] =
            size.map_or(["*".to_owned(), "*".to_owned()], |size| size.map(|side| side.to_string()));
        Err(ConfigError::InputMismatch {
            model: format!("{}x{height}x{width}", self.in_channels()),
            input: format!("{}x{}x{}", input.channels, input.height, input.width),
        })
    }

    /// Number of classes `K`.
    pub fn num_classes(&self) -> usize {
        match self {
            Self::Mlp(config) => config.num_classes,
            Self::LeNet5(config) => config.num_classes,
            Self::ResNet(config) => config.num_classes,
            Self::CifarResNet(config) => config.num_classes,
        }
    }

    /// Channels `C` of the images.
    pub fn in_channels(&self) -> usize {
        match self {
            Self::Mlp(config) => config.in_channels,
            Self::LeNet5(config) => config.in_channels,
            Self::ResNet(config) => config.in_channels,
            Self::CifarResNet(config) => config.in_channels,
        }
    }

    /// Height and width of the images in pixels, where the parameters depend on it; residual networks take any size.
    pub fn input_size(&self) -> Option<[usize; 2]> {
        match self {
            Self::Mlp(config) => Some(config.input_size),
            Self::LeNet5(config) => Some(config.input_size),
            Self::ResNet(_) | Self::CifarResNet(_) => None,
        }
    }

    /// The same for another number of classes.
    pub fn with_num_classes(mut self, num_classes: usize) -> Self {
        match &mut self {
            Self::Mlp(config) => config.num_classes = num_classes,
            Self::LeNet5(config) => config.num_classes = num_classes,
            Self::ResNet(config) => config.num_classes = num_classes,
            Self::CifarResNet(config) => config.num_classes = num_classes,
        }
        self
    }

    /// The same with units dropped in training, each with this probability; `None` where the architecture has no dropout.
    pub fn with_dropout(self, probability: f64) -> Option<Self> {
        match self {
            Self::Mlp(config) => Some(Self::Mlp(MlpConfig { dropout: probability, ..config })),
            Self::LeNet5(_) | Self::ResNet(_) | Self::CifarResNet(_) => None,
        }
    }

    /// The same with residual branches dropped in training, the last one with this probability (stochastic depth); `None`
    /// where the architecture has no such branches.
    pub fn with_drop_path(self, probability: f64) -> Option<Self> {
        match self {
            Self::Mlp(_) | Self::LeNet5(_) => None,
            Self::ResNet(config) => Some(Self::ResNet(ResNetConfig { drop_path: probability, ..config })),
            Self::CifarResNet(config) => {
                Some(Self::CifarResNet(CifarResNetConfig { drop_path: probability, ..config }))
            }
        }
    }

    /// The same for images of another size, in pixels.
    pub fn with_input_size(self, height: usize, width: usize) -> Self {
        match self {
            Self::Mlp(config) => Self::Mlp(MlpConfig { input_size: [height, width], ..config }),
            Self::LeNet5(config) => Self::LeNet5(LeNet5Config { input_size: [height, width], ..config }),
            config @ (Self::ResNet(_) | Self::CifarResNet(_)) => config,
        }
    }
}
