//! Configuration of Vision Transformers.

use burn::tensor::Device;
use libellus_layers::{
    Conv2dConfig, DropoutConfig, EncoderBlockConfig, Initializer, LayerNormConfig, LinearConfig,
    NormPlacement, ZeroBias, linear_decay,
};
use libellus_weights::Layout;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{HUGGING_FACE, TIMM, TORCHVISION, Vit, hugging_face};
use crate::error::{check_multiple, check_positive, check_probability, check_range, check_side, check_width};
use crate::{
    ClassifierPreset, ConfigError, ImageArchitecture, InputSpec, Interpolation, Preset, PresetModel, named,
};

/// The most blocks: four times those of the largest published network.
const MAX_BLOCKS: usize = 256;

/// What timm and torchvision add to the variance in every layer normalisation.
const EPSILON: f64 = 1e-6;

/// Configuration of a [`Vit`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// Number of classes `K`.
    #[serde(deserialize_with = "named::num_classes")]
    pub num_classes: usize,
    /// Channels `C` of the images.
    #[serde(deserialize_with = "named::in_channels")]
    pub in_channels: usize,
    /// Height and width of the images in pixels, multiples of `patch_size`.
    #[serde(deserialize_with = "named::image_size")]
    pub image_size: [usize; 2],
    /// Height and width `P` of a patch in pixels.
    #[serde(deserialize_with = "named::patch_size")]
    pub patch_size: usize,
    /// Width `D` of the tokens.
    #[serde(deserialize_with = "named::d_model")]
    pub d_model: usize,
    /// Number of blocks `L`.
    #[serde(deserialize_with = "named::n_layers")]
    pub n_layers: usize,
    /// Number of heads of the attention, which divides `d_model`.
    #[serde(deserialize_with = "named::n_heads")]
    pub n_heads: usize,
    /// Hidden units of the feed-forward networks ("MLP size").
    #[serde(deserialize_with = "named::d_ff")]
    pub d_ff: usize,
    /// Added to the variance in every layer normalisation; 1e-6 if not given.
    #[serde(default = "epsilon", deserialize_with = "named::epsilon")]
    pub epsilon: f64,
    /// What the head looks at.
    #[serde(default, deserialize_with = "named::pooling")]
    pub pooling: VitPooling,
    /// Probability of an element being dropped in training, in `[0, 1)`: after the positions are added and after every
    /// linear layer but those that make queries, keys and values.
    #[serde(default, deserialize_with = "named::dropout")]
    pub dropout: f64,
    /// Probability of the last block being dropped in training, in `[0, 1)`; those before it are dropped in proportion
    /// to their depth.
    #[serde(default, deserialize_with = "named::drop_path")]
    pub drop_path: f64,
}

fn epsilon() -> f64 {
    EPSILON
}

/// What the head of a [`Vit`] looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VitPooling {
    /// The class token, normalised together with all others.
    #[default]
    ClassToken,
    /// The mean of the patches' tokens, normalised afterwards. There is a class token, to which nobody listens in the
    /// end: timm's `global_pool="avg"`.
    Mean,
}

impl VitConfig {
    /// ViT-Ti/16 for images of 224x224 pixels: 5,717,416 parameters with 1000 classes.
    pub fn vit_tiny_patch16_224(num_classes: usize) -> Self {
        Self::published(num_classes, 16, Size::TINY)
    }

    /// ViT-S/16: 22,050,664 parameters with 1000 classes.
    pub fn vit_small_patch16_224(num_classes: usize) -> Self {
        Self::published(num_classes, 16, Size::SMALL)
    }

    /// ViT-S/32: 22,878,952 parameters with 1000 classes.
    pub fn vit_small_patch32_224(num_classes: usize) -> Self {
        Self::published(num_classes, 32, Size::SMALL)
    }

    /// ViT-B/16, torchvision's `vit_b_16`: 86,567,656 parameters with 1000 classes.
    pub fn vit_base_patch16_224(num_classes: usize) -> Self {
        Self::published(num_classes, 16, Size::BASE)
    }

    /// ViT-B/32, torchvision's `vit_b_32`: 88,224,232 parameters with 1000 classes.
    pub fn vit_base_patch32_224(num_classes: usize) -> Self {
        Self::published(num_classes, 32, Size::BASE)
    }

    /// ViT-L/16, torchvision's `vit_l_16`: 304,326,632 parameters with 1000 classes.
    pub fn vit_large_patch16_224(num_classes: usize) -> Self {
        Self::published(num_classes, 16, Size::LARGE)
    }

    /// ViT-L/32, torchvision's `vit_l_32`: 306,535,400 parameters with 1000 classes.
    pub fn vit_large_patch32_224(num_classes: usize) -> Self {
        Self::published(num_classes, 32, Size::LARGE)
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self {
            num_classes: 7,
            in_channels: 2,
            image_size: [9, 15],
            patch_size: 3,
            d_model: 10,
            n_layers: 2,
            n_heads: 2,
            d_ff: 17,
            epsilon: EPSILON,
            pooling: VitPooling::ClassToken,
            dropout: 0.0,
            drop_path: 0.0,
        }
    }

    fn published(num_classes: usize, patch_size: usize, size: Size) -> Self {
        Self {
            num_classes,
            in_channels: 3,
            image_size: [224, 224],
            patch_size,
            d_model: size.d_model,
            n_layers: size.n_layers,
            n_heads: size.n_heads,
            d_ff: 4 * size.d_model,
            epsilon: EPSILON,
            pooling: VitPooling::ClassToken,
            dropout: 0.0,
            drop_path: 0.0,
        }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_width("num_classes", self.num_classes)?;
        check_width("in_channels", self.in_channels)?;
        check_side("patch_size", self.patch_size)?;
        for side in self.image_size {
            check_side("image_size", side)?;
            check_multiple("image_size", side, "patch_size", self.patch_size)?;
        }
        // The queries, keys and values of a token together must still be a possible layer.
        check_range("d_model", self.d_model, 1 << 15)?;
        check_range("n_layers", self.n_layers, MAX_BLOCKS)?;
        check_range("n_heads", self.n_heads, self.d_model)?;
        check_multiple("d_model", self.d_model, "n_heads", self.n_heads)?;
        check_width("d_ff", self.d_ff)?;
        check_positive("epsilon", self.epsilon)?;
        check_probability("dropout", self.dropout)?;
        check_probability("drop_path", self.drop_path)
    }

    /// The model.
    ///
    /// # Errors
    /// If [`VitConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<Vit, ConfigError> {
        self.validate()?;
        let Self { d_model, patch_size, .. } = *self;
        let normal = |std| Initializer::Normal { mean: 0.0, std };
        let norm = || LayerNormConfig::new(d_model).with_epsilon(self.epsilon).init(device);
        let block = EncoderBlockConfig::new(d_model, self.n_heads, self.d_ff, NormPlacement::Pre)
            .with_epsilon(self.epsilon)
            .with_dropout(self.dropout)
            .with_hidden_dropout(self.dropout)
            .with_initializer(normal(0.02));
        let [rows, columns] = self.image_size.map(|side| side / patch_size);
        Ok(Vit {
            patch_embed: Conv2dConfig::new([self.in_channels, d_model], [patch_size; 2])
                .with_stride([patch_size; 2])
                .init(device),
            cls_token: normal(1e-6).init([1, 1, d_model], device),
            pos_embed: normal(0.02).init([1, 1 + rows * columns, d_model], device),
            dropout: DropoutConfig::new(self.dropout).init(),
            blocks: linear_decay(self.drop_path, self.n_layers)
                .map(|drop_path| block.clone().with_drop_path(drop_path).init(device))
                .collect(),
            norm: (self.pooling == VitPooling::ClassToken).then(norm),
            fc_norm: (self.pooling == VitPooling::Mean).then(norm),
            head: LinearConfig::new(d_model, self.num_classes)
                .with_initializer(normal(0.02))
                .init(device)
                .with_zero_bias(),
            image_size: self.image_size,
            patch_size,
        })
    }
}

/// A row of the paper's table 1; the small ones are from Touvron et al. 2021, arXiv:2012.12877, table 1. The feed-forward
/// networks are four times as wide as the tokens in all of them.
struct Size {
    d_model: usize,
    n_layers: usize,
    n_heads: usize,
}

impl Size {
    const TINY: Self = Self { d_model: 192, n_layers: 12, n_heads: 3 };
    const SMALL: Self = Self { d_model: 384, n_layers: 12, n_heads: 6 };
    const BASE: Self = Self { d_model: 768, n_layers: 12, n_heads: 12 };
    const LARGE: Self = Self { d_model: 1024, n_layers: 24, n_heads: 16 };
}

impl ImageArchitecture for VitConfig {
    fn presets() -> Vec<Preset> {
        let preset = |name, aliases, summary, build| Preset {
            name,
            aliases,
            family: "ViT",
            summary,
            model: PresetModel::Classifier(ClassifierPreset { input: input(), num_classes: 1000, build }),
        };
        vec![
            preset(
                "vit_tiny_patch16_224",
                &[],
                "twelve blocks of width 192, patches of 16x16 pixels",
                |classes, in_channels| Self { in_channels, ..Self::vit_tiny_patch16_224(classes) }.into(),
            ),
            preset(
                "vit_small_patch16_224",
                &[],
                "twelve blocks of width 384, patches of 16x16 pixels",
                |classes, in_channels| Self { in_channels, ..Self::vit_small_patch16_224(classes) }.into(),
            ),
            preset(
                "vit_small_patch32_224",
                &[],
                "twelve blocks of width 384, patches of 32x32 pixels",
                |classes, in_channels| Self { in_channels, ..Self::vit_small_patch32_224(classes) }.into(),
            ),
            preset(
                "vit_base_patch16_224",
                &["vit_b_16"],
                "twelve blocks of width 768, patches of 16x16 pixels",
                |classes, in_channels| Self { in_channels, ..Self::vit_base_patch16_224(classes) }.into(),
            ),
            preset(
                "vit_base_patch32_224",
                &["vit_b_32"],
                "twelve blocks of width 768, patches of 32x32 pixels",
                |classes, in_channels| Self { in_channels, ..Self::vit_base_patch32_224(classes) }.into(),
            ),
            preset(
                "vit_large_patch16_224",
                &["vit_l_16"],
                "twenty-four blocks of width 1024, patches of 16x16 pixels",
                |classes, in_channels| Self { in_channels, ..Self::vit_large_patch16_224(classes) }.into(),
            ),
            preset(
                "vit_large_patch32_224",
                &["vit_l_32"],
                "twenty-four blocks of width 1024, patches of 32x32 pixels",
                |classes, in_channels| Self { in_channels, ..Self::vit_large_patch32_224(classes) }.into(),
            ),
        ]
    }

    fn layouts(&self) -> Vec<Layout> {
        match self.pooling {
            VitPooling::ClassToken => vec![TIMM, TORCHVISION, HUGGING_FACE],
            // The others have the class token only.
            VitPooling::Mean => vec![TIMM],
        }
    }

    image_fields!(dropout, drop_path, input_size = image_size);

    fn from_hugging_face(config: &Value) -> Option<Result<Self, ConfigError>> {
        hugging_face::read(config)
    }
}

/// The images that timm's published weights expect: the shorter side resized to 248 pixels, then the centre of 224 by 224.
fn input() -> InputSpec {
    InputSpec {
        mean: vec![0.5; 3],
        std: vec![0.5; 3],
        interpolation: Interpolation::Bicubic,
        resize_to: Some(248),
        ..InputSpec::imagenet()
    }
}
