//! Architectures, one folder each: a configuration that can be checked, a module, and the tables that map its parameter
//! names to those of published checkpoints.
//!
//! The crate knows no files, no losses and no data sets. An architecture's configuration is plain serde data, strict
//! about unknown keys (burn's `Config` derive has no such check, nor defaults for missing keys); `init` validates it
//! once and returns the module. [`preset`] finds a configuration by its published name, with the images that it expects.
//!
//! ```
//! use burn::tensor::Tensor;
//! use libellus_models::preset;
//!
//! let preset = preset("resnet20")?;
//! let device = libellus_backend::testing::device();
//! let model = preset.classifier()?.config().init(&device)?;
//! let logits = model.forward(Tensor::zeros([1, 3, 32, 32], &device));
//! assert_eq!(logits.dims(), [1, 10]);
//! # Ok::<(), libellus_models::ConfigError>(())
//! ```

#[macro_use]
mod enums;

pub mod bert;
pub mod cifar_resnet;
pub mod convnext;
pub mod efficientnet;
pub mod gpt2;
pub mod gru_attention;
pub mod lenet5;
pub mod llama;
pub mod mlp;
pub mod mobilenet_v2;
pub mod resnet;
pub mod rnn;
pub mod rnn_lm;
pub mod transformer;
pub mod unet;
pub mod vgg;
pub mod vit;

mod architecture;
mod causal_lm;
#[cfg(test)]
mod causal_lm_tests;
mod classifier;
mod config_file;
mod device;
mod error;
mod foreign_config;
mod gguf;
mod input;
mod language_model;
#[cfg(test)]
mod language_model_tests;
mod named;
mod preset;
mod registry;
mod tensors;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use architecture::{Architecture, ImageArchitecture};
pub use bert::{Bert, BertConfig};
pub use causal_lm::CausalLm;
pub use cifar_resnet::{CifarResNet, CifarResNetConfig};
pub use convnext::{ConvNeXt, ConvNeXtConfig};
pub use device::device_of;
pub use efficientnet::{EfficientNet, EfficientNetConfig};
pub use error::ConfigError;
pub use gpt2::{Gpt2, Gpt2Config};
pub use gru_attention::{GruAttention, GruAttentionConfig, GruAttentionState};
pub use input::{InputSpec, Interpolation};
pub use language_model::{LanguageModel, LanguageModelConfig, LanguageState};
pub use lenet5::{LeNet5, LeNet5Config};
pub use libellus_layers::{Precision, PrepareInference, Prepared};
pub use llama::{Llama, LlamaConfig};
pub use mlp::{Mlp, MlpConfig};
pub use mobilenet_v2::{MobileNetV2, MobileNetV2Config};
pub use preset::{ClassifierPreset, Preset, PresetModel, preset, presets};
pub use registry::{Classifier, ClassifierConfig, Model, ModelConfig};
pub use resnet::{ResNet, ResNetConfig};
pub use rnn::{Rnn, RnnConfig};
pub use rnn_lm::{RnnLm, RnnLmConfig};
pub use tensors::{InputError, Tensors};
pub use transformer::{Memory, Transformer, TransformerCache, TransformerConfig, TransformerInput};
pub use unet::{UNet, UNetConfig};
pub use vgg::{Vgg, VggConfig};
pub use vit::{Vit, VitConfig};
