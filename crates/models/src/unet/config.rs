//! Configuration of U-Nets.

use burn::tensor::Device;
use libellus_layers::{Conv2dConfig, DropoutConfig, Initializer, MaxPool2dConfig, ZeroBias};
use libellus_weights::Layout;
use serde::{Deserialize, Serialize};

use super::{DoubleConv, PYTORCH_UNET, UNet, Up};
use crate::error::{check_probability, check_range, check_width};
use crate::{Architecture, ConfigError, InputError, Preset, PresetModel, Tensors, device_of, named};

/// Configuration of a [`UNet`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UNetConfig {
    /// Number of classes `K`.
    #[serde(deserialize_with = "named::num_classes")]
    pub num_classes: usize,
    /// Channels `C` of the images.
    #[serde(deserialize_with = "named::in_channels")]
    pub in_channels: usize,
    /// Channels of the first level (64 in the paper); each level below has twice those of the one above.
    #[serde(deserialize_with = "named::width")]
    pub width: usize,
    /// How often the maps are halved (4 times in the paper).
    #[serde(deserialize_with = "named::depth")]
    pub depth: usize,
    /// Whether convolutions are padded.
    #[serde(deserialize_with = "named::convolutions")]
    pub convolutions: Convolutions,
    /// Whether a batch norm follows each convolution, which then has no bias.
    #[serde(default, deserialize_with = "named::batch_norm")]
    pub batch_norm: bool,
    /// How the maps are doubled on the way up.
    #[serde(default, deserialize_with = "named::upsampling")]
    pub upsampling: Upsampling,
    /// Probability of each value of the lowest maps being dropped in training, in `[0, 1)`.
    #[serde(default, deserialize_with = "named::dropout")]
    pub dropout: f64,
}

/// What a 3x3 convolution does at the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Convolutions {
    /// It has no value where a pixel is missing: a row or column less at each side. What comes from the way down is
    /// cropped to the maps that it joins.
    Valid,
    /// It takes missing pixels for zeros, and the size stays. Maps that lack a row or column of what comes from the way
    /// down, because that was odd, get zeros.
    Same,
}

/// How maps are doubled in height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upsampling {
    /// By a 2x2 transposed convolution that halves the channels.
    #[default]
    Transposed,
    /// By bilinear interpolation that keeps the corners. The convolutions before it put out half as many channels
    /// instead.
    Bilinear,
}

impl UNetConfig {
    /// The network of the paper, for grey images: 31,030,658 parameters with 2 classes.
    ///
    /// The paper only says that the end of the way down is dropped in training; 0.5 is the published network's.
    pub fn unet(num_classes: usize) -> Self {
        Self {
            num_classes,
            in_channels: 1,
            width: 64,
            depth: 4,
            convolutions: Convolutions::Valid,
            batch_norm: false,
            upsampling: Upsampling::Transposed,
            dropout: 0.5,
        }
    }

    /// Padded and with batch norms, for colour images: 31,037,698 parameters with 2 classes.
    pub fn unet_bn(num_classes: usize) -> Self {
        Self {
            in_channels: 3,
            convolutions: Convolutions::Same,
            batch_norm: true,
            dropout: 0.0,
            ..Self::unet(num_classes)
        }
    }

    /// The smallest one that has every part, for tests and examples.
    pub fn tiny() -> Self {
        Self { in_channels: 2, width: 5, depth: 2, ..Self::unet_bn(3) }
    }

    /// Checks that the configuration describes a model.
    ///
    /// # Errors
    /// The first field that does not, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_width("num_classes", self.num_classes)?;
        check_width("in_channels", self.in_channels)?;
        check_range("depth", self.depth, 8)?;
        // The lowest level is up to 256 times as wide, and must still be a possible layer.
        check_range("width", self.width, 1 << 9)?;
        check_probability("dropout", self.dropout)
    }

    /// Height and width of the logits for images of a height and width in pixels; `None` if the images are too small to
    /// leave any.
    pub fn output_size(&self, image: [usize; 2]) -> Option<[usize; 2]> {
        let [height, width] = image.map(|side| self.output_side(side));
        Some([height?, width?])
    }

    /// The least height and width of an image in pixels for which there are logits.
    pub fn min_side(&self) -> usize {
        // A side less by a pixel never leaves more.
        (1..).find(|&side| self.output_side(side).is_some()).unwrap_or(usize::MAX)
    }

    fn output_side(&self, image: usize) -> Option<usize> {
        let border = match self.convolutions {
            // Two convolutions take a pixel at each end.
            Convolutions::Valid => 4,
            Convolutions::Same => 0,
        };
        let convolved = |side: usize| side.checked_sub(border).filter(|&side| side > 0);
        let mut side = convolved(image)?;
        for _ in 0..self.depth {
            side = convolved(side / 2)?;
        }
        match self.convolutions {
            Convolutions::Valid => (0..self.depth).try_fold(side, |side, _| convolved(2 * side)),
            Convolutions::Same => Some(image),
        }
    }

    /// The model.
    ///
    /// # Errors
    /// If [`UNetConfig::validate`] fails.
    pub fn init(&self, device: &Device) -> Result<UNet, ConfigError> {
        self.validate()?;
        let block = |channels_in, between, channels_out| {
            DoubleConv::new([channels_in, between, channels_out], self.convolutions, self.batch_norm, device)
        };
        // Channels that leave the upper of two levels for the way down, and those that come back to it from below.
        let down = |level: usize| self.width << level;
        let halved = match self.upsampling {
            Upsampling::Transposed => 1,
            Upsampling::Bilinear => 2,
        };
        let up = |level: usize| if level == 0 { self.width } else { down(level) / halved };
        let lowest = |level: usize| if level == self.depth { down(level) / halved } else { down(level) };
        Ok(UNet {
            inc: block(self.in_channels, self.width, self.width),
            pool: MaxPool2dConfig::new([2, 2]).init(),
            down: (1..=self.depth)
                .map(|level| block(down(level - 1), lowest(level), lowest(level)))
                .collect(),
            dropout: DropoutConfig::new(self.dropout).init(),
            up: (0..self.depth)
                .rev()
                .map(|level| Up::new(down(level + 1), up(level), self, device))
                .collect(),
            outc: Conv2dConfig::new([self.width, self.num_classes], [1, 1])
                .with_initializer(he())
                .init(device)
                .with_zero_bias(),
        })
    }
}

impl Architecture for UNetConfig {
    type Model = UNet;

    fn presets() -> Vec<Preset> {
        let preset = |name, summary, config: Self| Preset {
            name,
            aliases: &[],
            family: "U-Net",
            summary,
            model: PresetModel::Other(config.into()),
        };
        vec![
            preset("unet", "unpadded, for two classes in grey images, as in the paper", Self::unet(2)),
            preset(
                "unet_bn",
                "padded and with batch norms, for two classes in colour images",
                Self::unet_bn(2),
            ),
        ]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![PYTORCH_UNET]
    }

    fn example(&self) -> Result<Tensors, InputError> {
        let native = match self.convolutions {
            // The paper's.
            Convolutions::Valid => 572,
            Convolutions::Same => 256,
        };
        let side = self.min_side().max(native);
        Tensors::new().with_zeros::<f32, 4>("images", [1, self.in_channels, side, side])
    }

    fn run(&self, model: &UNet, inputs: &Tensors) -> Result<Tensors, InputError> {
        inputs.only(&["images"])?;
        let images = inputs.float::<4>("images", &device_of(model))?;
        inputs.length_within("images", 0, 1, usize::MAX)?;
        inputs.length("images", 1, self.in_channels)?;
        let least = self.min_side();
        [2, 3].iter().try_for_each(|&dim| inputs.length_within("images", dim, least, usize::MAX))?;
        Ok(Tensors::new().with("logits", model.forward(images)))
    }
}

/// He's normal distribution over the incoming connections (He et al. 2015, arXiv:1502.01852, equation 10).
pub(super) fn he() -> Initializer {
    Initializer::KaimingNormal { gain: std::f64::consts::SQRT_2, fan_out_only: false }
}
