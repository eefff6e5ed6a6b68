//! The images that a model expects.

use serde::{Deserialize, Serialize};

/// How to turn an image into a model's input. It travels inside the saved model, so that training, evaluation and
/// prediction can't disagree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Channels: 1 for grey, 3 for red, green, blue.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Mean of each channel, which is subtracted from pixels in `[0, 1]`.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, by which the difference is divided.
    pub std: Vec<f32>,
    /// How images of another size are resized.
    pub interpolation: Interpolation,
    /// The length in pixels to which an image's shorter side is resized before the centre crop to `height` by `width`;
    /// without it, the image is resized to `height` by `width` at once.
    pub resize_to: Option<usize>,
}

/// How pixels between pixels are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// From the two nearest pixels in each direction.
    #[default]
    Bilinear,
    /// From the four nearest pixels in each direction.
    Bicubic,
}

impl InputSpec {
    /// The 8x8 scans of handwritten digits, with their mean and standard deviation.
    pub fn digits() -> Self {
        Self::native([8, 8], &[0.3053], &[0.3760])
    }

    /// MNIST, with the mean and standard deviation of its training images.
    pub fn mnist() -> Self {
        Self::native([28, 28], &[0.1307], &[0.3081])
    }

    /// CIFAR-10, with the means and standard deviations of its training images.
    pub fn cifar() -> Self {
        Self::native([32, 32], &[0.4914, 0.4822, 0.4465], &[0.2470, 0.2435, 0.2616])
    }

    /// ImageNet as torchvision evaluates most of its models on it: the shorter side resized to 256 pixels, then the
    /// centre of 224 by 224.
    pub fn imagenet() -> Self {
        Self {
            resize_to: Some(256),
            ..Self::native([224, 224], &[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225])
        }
    }

    fn native([height, width]: [usize; 2], mean: &[f32], std: &[f32]) -> Self {
        Self {
            channels: mean.len(),
            height,
            width,
            mean: mean.to_vec(),
            std: std.to_vec(),
            interpolation: Interpolation::Bilinear,
            resize_to: None,
        }
    }

    /// The same for images of another size, which are resized to it at once.
    pub fn with_size(mut self, height: usize, width: usize) -> Self {
        if [height, width] != [self.height, self.width] {
            self.resize_to = None;
        }
        self.height = height;
        self.width = width;
        self
    }

    /// The same for another number of channels: each gets the average mean and standard deviation of those here.
    pub fn with_channels(mut self, channels: usize) -> Self {
        if channels != self.channels {
            let average = |values: &[f32]| values.iter().sum::<f32>() / values.len().max(1) as f32;
            self.mean = vec![average(&self.mean); channels];
            self.std = vec![average(&self.std); channels];
            self.channels = channels;
        }
        self
    }
}
