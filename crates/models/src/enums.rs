//! Code that every architecture would repeat: the enums over all of them, made from the lists in `registry.rs`, and the
//! common functions of classifiers.

/// The functions of [`ImageArchitecture`](crate::ImageArchitecture) that are about fields which every configuration of a
/// classifier has, and about those of `dropout`, `drop_path` and `input_size` (or another field in its place) that are
/// named.
macro_rules! image_fields {
    ($($name:ident $(= $field:ident)?),*) => {
        fn num_classes(&self) -> usize {
            self.num_classes
        }

        fn set_num_classes(&mut self, num_classes: usize) {
            self.num_classes = num_classes;
        }

        fn in_channels(&self) -> usize {
            self.in_channels
        }

        $(image_fields!(@ $name $($field)?);)*
    };
    (@ dropout) => {
        fn dropout(&mut self) -> Option<&mut f64> {
            Some(&mut self.dropout)
        }
    };
    (@ drop_path) => {
        fn drop_path(&mut self) -> Option<&mut f64> {
            Some(&mut self.drop_path)
        }
    };
    (@ input_size) => {
        image_fields!(@ input_size input_size);
    };
    (@ input_size $field:ident) => {
        fn input_size(&self) -> Option<[usize; 2]> {
            Some(self.$field)
        }

        fn set_input_size(&mut self, size: [usize; 2]) {
            self.$field = size;
        }
    };
}

/// Makes the enums over all image classifiers from one line for each.
macro_rules! classifiers {
    ($($(#[doc = $doc:literal])+ $tag:literal => $variant:ident($config:ident),)+) => {
        /// An image classifier of any architecture.
        ///
        /// Shapes: `B` batch, `C` channels, `H`/`W` image size, `D` width of the features, `K` classes.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "a program holds one, and a box has no burn Module")]
        pub enum Classifier {
            $($(#[doc = $doc])+ $variant($variant),)+
        }

        impl Classifier {
            /// Class logits of a batch of images.
            ///
            /// # Shapes
            /// - `images`: `[B, C, H, W]`
            /// - output: `[B, K]`
            ///
            /// # Panics
            /// If the images don't have the channels, and where the architecture depends on it the size, of the
            /// configuration.
            pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
                match self {
                    $(Self::$variant(model) => model.forward(images),)+
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
                    $(Self::$variant(model) => model.forward_features(images),)+
                }
            }

            /// The logits of features.
            ///
            /// # Shapes
            /// - `features`: `[B, D]`
            /// - output: `[B, K]`
            ///
            /// # Panics
            /// If the features have another width.
            pub fn forward_head(&self, features: Tensor<2>) -> Tensor<2> {
                match self {
                    $(Self::$variant(model) => model.forward_head(features),)+
                }
            }

            /// The pattern that fits the names of the parameters of the last layer, and of no others: what a transfer to
            /// other classes draws anew, and what stays trainable when the backbone is frozen.
            pub fn head_pattern(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $variant::HEAD,)+
                }
            }
        }

        /// The configuration of a [`Classifier`]. In a file, the key `architecture` says which one it is.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "architecture")]
        pub enum ClassifierConfig {
            $(
                #[doc = concat!("`architecture = \"", $tag, "\"`")]
                #[serde(rename = $tag)]
                $variant($config),
            )+
        }

        $(
            impl From<$config> for ClassifierConfig {
                fn from(config: $config) -> Self {
                    Self::$variant(config)
                }
            }
        )+

        impl ClassifierConfig {
            /// The values that the key `architecture` can have.
            pub const ARCHITECTURES: &'static [&'static str] = &[$($tag),+];

            /// The model, on `device`. Its parameters are drawn when they are first used.
            ///
            /// # Errors
            /// If [`ClassifierConfig::validate`] fails.
            pub fn init(&self, device: &Device) -> Result<Classifier, ConfigError> {
                match self {
                    $(Self::$variant(config) => config.init(device).map(Classifier::$variant),)+
                }
            }

            /// Checks that the configuration describes a model.
            ///
            /// # Errors
            /// The first field that does not, with its value.
            pub fn validate(&self) -> Result<(), ConfigError> {
                match self {
                    $(Self::$variant(config) => config.validate(),)+
                }
            }

            /// The presets of all classifiers.
            pub(crate) fn presets() -> Vec<Preset> {
                [$($config::presets()),+].into_iter().flatten().collect()
            }

            /// The configuration that a Hugging Face `config.json` describes, if it is that of a classifier.
            pub(crate) fn from_hugging_face(value: &Value) -> Option<Result<Self, ConfigError>> {
                $(
                    if let Some(config) = $config::from_hugging_face(value) {
                        return Some(config.map(Self::$variant));
                    }
                )+
                None
            }

            pub(crate) fn architecture(&self) -> &dyn ImageArchitecture {
                match self {
                    $(Self::$variant(config) => config,)+
                }
            }

            pub(crate) fn architecture_mut(&mut self) -> &mut dyn ImageArchitecture {
                match self {
                    $(Self::$variant(config) => config,)+
                }
            }
        }
    };
}

/// Makes the enums over all architectures, image classifiers among them, from one line for each other one.
macro_rules! models {
    ($($(#[doc = $doc:literal])+ $tag:literal => $variant:ident($config:ident),)*) => {
        /// A model of any architecture.
        #[derive(Module, Debug)]
        // Not `expect`: whether one variant stands out depends on the list.
        #[allow(clippy::large_enum_variant, reason = "a program holds a few, and a box has no burn Module")]
        pub enum Model {
            /// An image classifier.
            Classifier(Classifier),
            $($(#[doc = $doc])+ $variant($variant),)*
        }

        /// The configuration of a [`Model`]. In a file, the key `architecture` says which one it is.
        #[derive(Debug, Clone, PartialEq)]
        pub enum ModelConfig {
            /// An image classifier's.
            Classifier(ClassifierConfig),
            $(
                #[doc = concat!("`architecture = \"", $tag, "\"`")]
                $variant($config),
            )*
        }

        impl ModelConfig {
            /// The values that the key `architecture` can have, besides those of [`ClassifierConfig::ARCHITECTURES`].
            pub const ARCHITECTURES: &'static [&'static str] = &[$($tag),*];

            /// The model, on `device`. Its parameters are drawn when they are first used.
            ///
            /// # Errors
            /// If [`ModelConfig::validate`] fails.
            pub fn init(&self, device: &Device) -> Result<Model, ConfigError> {
                match self {
                    Self::Classifier(config) => config.init(device).map(Model::Classifier),
                    $(Self::$variant(config) => config.init(device).map(Model::$variant),)*
                }
            }

            /// Checks that the configuration describes a model.
            ///
            /// # Errors
            /// The first field that does not, with its value.
            pub fn validate(&self) -> Result<(), ConfigError> {
                match self {
                    Self::Classifier(config) => config.validate(),
                    $(Self::$variant(config) => config.validate(),)*
                }
            }

            /// The public checkpoints that it can exchange weights with, besides this project's own.
            pub fn layouts(&self) -> Vec<Layout> {
                match self {
                    Self::Classifier(config) => config.layouts(),
                    $(Self::$variant(config) => config.layouts(),)*
                }
            }

            /// A batch of one of the size that the model is made for, filled with zeros.
            pub fn example(&self) -> Result<Tensors, InputError> {
                match self {
                    Self::Classifier(config) => config.example(),
                    $(Self::$variant(config) => config.example(),)*
                }
            }

            /// Applies `model`, which this configuration made, to named inputs, in inference mode.
            ///
            /// # Errors
            /// If an input is missing, unknown, or not what the model takes.
            ///
            /// # Panics
            /// If the model is of another architecture.
            pub fn run(&self, model: &Model, inputs: &Tensors) -> Result<Tensors, InputError> {
                match (self, model) {
                    (Self::Classifier(config), Model::Classifier(model)) => config.run(model, inputs),
                    $((Self::$variant(config), Model::$variant(model)) => config.run(model, inputs),)*
                    _ => panic!("the model is not of the architecture of the configuration"),
                }
            }

            /// The configuration in a file, with the key `architecture`.
            pub(crate) fn from_parts(architecture: &str, fields: Value) -> Option<Result<Self, ConfigError>> {
                match architecture {
                    $(
                        $tag => Some(parse(architecture, fields).map(Self::$variant)),
                    )*
                    _ => None,
                }
            }

            /// The key `architecture` and the other ones.
            pub(crate) fn to_parts(&self) -> (Option<&'static str>, Result<Value, serde_json::Error>) {
                match self {
                    Self::Classifier(config) => (None, serde_json::to_value(config)),
                    $(Self::$variant(config) => (Some($tag), serde_json::to_value(config)),)*
                }
            }

            /// The configuration that a Hugging Face `config.json` describes, if it is that of a known architecture.
            pub(crate) fn from_hugging_face_config(value: &Value) -> Option<Result<Self, ConfigError>> {
                $(
                    if let Some(config) = $config::from_hugging_face(value) {
                        return Some(config.map(Self::$variant));
                    }
                )*
                ClassifierConfig::from_hugging_face(value).map(|config| config.map(Self::Classifier))
            }

            /// The configuration that the metadata of a GGUF file describe, if it is that of a known architecture.
            pub(crate) fn of_gguf(checkpoint: &Checkpoint) -> Option<Result<Self, ConfigError>> {
                $(
                    if let Some(config) = $config::from_gguf(checkpoint) {
                        return Some(config.map(Self::$variant));
                    }
                )*
                None
            }

            /// The presets of all architectures.
            pub(crate) fn presets() -> Vec<Preset> {
                let mut presets = ClassifierConfig::presets();
                $(presets.extend($config::presets());)*
                presets
            }
        }

        $(
            impl From<$config> for ModelConfig {
                fn from(config: $config) -> Self {
                    Self::$variant(config)
                }
            }
        )*
    };
}
