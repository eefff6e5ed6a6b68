//! The parts that repeat.

use burn::module::Module;
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor, s};
use libellus_layers::{
    Activation, AfterConv, BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, ConvTranspose2d,
    ConvTranspose2dConfig, Identity, ZeroBias, concat_channels, resize_bilinear,
};

use super::config::he;
use super::{Convolutions, UNetConfig, Upsampling};

/// Two 3x3 convolutions, each followed by a batch norm, if there are any, and a rectifier.
#[derive(Module, Debug)]
pub struct DoubleConv {
    pub(super) conv1: Conv2d,
    pub(super) norm1: Norm,
    conv2: Conv2d,
    norm2: Norm,
}

impl DoubleConv {
    /// A block through `channels`: the input's, those between the convolutions, and the output's.
    pub(super) fn new(
        channels: [usize; 3],
        convolutions: Convolutions,
        batch_norm: bool,
        device: &Device,
    ) -> Self {
        let padding = match convolutions {
            Convolutions::Valid => 0,
            Convolutions::Same => 1,
        };
        let conv = |channels| {
            Conv2dConfig::new(channels, [3, 3])
                .with_padding([padding; 2])
                .with_bias(!batch_norm)
                .with_initializer(he())
                .init(device)
                .with_zero_bias()
        };
        let norm = |channels| match batch_norm {
            true => Norm::Batch(BatchNormConfig::new(channels).init(device)),
            false => Norm::Identity(Identity::new()),
        };
        let [input, between, output] = channels;
        Self {
            conv1: conv([input, between]),
            norm1: norm(between),
            conv2: conv([between, output]),
            norm2: norm(output),
        }
    }

    /// The maps after the second rectifier.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H, W]`, without padding `[B, C', H - 4, W - 4]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let parts = [(&self.conv1, &self.norm1), (&self.conv2, &self.norm2)];
        parts.into_iter().fold(input, |x, (conv, norm)| {
            let norm = match norm {
                Norm::Batch(norm) => Some(norm),
                Norm::Identity(_) => None,
            };
            conv.forward_then(x, AfterConv { norm, residual: None, activation: Activation::Relu })
        })
    }
}

/// What follows a convolution.
///
/// It is no `Option`, because burn counts all that is saved of what is in one as parameters, running statistics too.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network holds eighteen, and a box has no burn Module")]
pub enum Norm {
    /// A batch norm.
    Batch(BatchNorm),
    /// Nothing.
    Identity(Identity),
}

/// A step on the way up: the maps are doubled, joined with those of the same level on the way down, and convolved.
#[derive(Module, Debug)]
pub struct Up {
    pub(super) up: UpSample,
    conv: DoubleConv,
    #[module(skip)]
    convolutions: Convolutions,
}

/// Doubles maps in height and width.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network has four, and a box has no burn Module")]
pub enum UpSample {
    /// By learnt weights.
    Transposed(ConvTranspose2d),
    /// By interpolation.
    Bilinear(Identity),
}

impl Up {
    /// A step to `channels_out` channels, of two joined halves that have `channels` together.
    pub(super) fn new(channels: usize, channels_out: usize, config: &UNetConfig, device: &Device) -> Self {
        let half = channels / 2;
        let (up, between) = match config.upsampling {
            Upsampling::Transposed => {
                let up = ConvTranspose2dConfig::new([channels, half], [2, 2])
                    .with_stride([2, 2])
                    .with_initializer(he())
                    .init(device)
                    .with_zero_bias();
                (UpSample::Transposed(up), channels_out)
            }
            Upsampling::Bilinear => (UpSample::Bilinear(Identity::new()), half),
        };
        let channels = [channels, between, channels_out];
        Self {
            up,
            conv: DoubleConv::new(channels, config.convolutions, config.batch_norm, device),
            convolutions: config.convolutions,
        }
    }

    /// The step's output.
    ///
    /// # Shapes
    /// - `below`: `[B, C, H, W]`, of the level below
    /// - `skip`: `[B, C'', H'', W'']`, of the same level on the way down
    /// - output: `[B, C', H'', W'']`, without padding `[B, C', 2 H - 4, 2 W - 4]`
    pub fn forward(&self, below: Tensor<4>, skip: Tensor<4>) -> Tensor<4> {
        let up = match &self.up {
            UpSample::Transposed(up) => up.forward(below),
            UpSample::Bilinear(_) => {
                let [_, _, height, width] = below.dims();
                resize_bilinear(below, [2 * height, 2 * width])
            }
        };
        let [_, _, height, width] = up.dims();
        let [_, _, rows, columns] = skip.dims();
        // Where the difference is odd, the larger part is at the lower and right side.
        let [top, left] = [(rows - height) / 2, (columns - width) / 2];
        let (skip, up) = match self.convolutions {
            Convolutions::Valid => (skip.slice(s![.., .., top..top + height, left..left + width]), up),
            Convolutions::Same if [height, width] == [rows, columns] => (skip, up),
            Convolutions::Same => {
                let frame = [(0, 0), (0, 0), (top, rows - height - top), (left, columns - width - left)];
                (skip, up.pad(frame, PadMode::Constant(0.0)))
            }
        };
        self.conv.forward(concat_channels(vec![skip, up]))
    }
}
