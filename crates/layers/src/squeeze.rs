//! Squeeze and excitation.
//!
//! Hu, Shen and Sun 2018, *Squeeze-and-Excitation Networks*, arXiv:1709.01507, section 3. Reference:
//! `torchvision.ops.SqueezeExcitation`.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use libellus_kernels::{adaptive_avg_pool2d, scale_channels};

use crate::{Activation, Conv2d, ZeroBias, conv_before_norm};

/// Weighs each channel by a number in `[0, 1]` that two small layers compute from the averages of all channels.
#[derive(Module, Debug)]
pub struct SqueezeExcitation {
    /// To fewer channels: `[S, C, 1, 1]` and a bias.
    pub fc1: Conv2d,
    /// Back to all of them: `[C, S, 1, 1]` and a bias.
    pub fc2: Conv2d,
    /// Between the two.
    #[module(skip)]
    pub activation: Activation,
}

impl SqueezeExcitation {
    /// The weighted maps (equations 2 to 4).
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: as `input`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let squeezed = adaptive_avg_pool2d(input.clone(), [1, 1]);
        let excited = self.fc2.forward(self.activation.forward(self.fc1.forward(squeezed)));
        scale_channels(input, Activation::Sigmoid.forward(excited))
    }
}

/// Configuration of [`SqueezeExcitation`].
#[derive(Config, Debug)]
pub struct SqueezeExcitationConfig {
    /// Channels `C` of the maps.
    pub channels: usize,
    /// Channels `S` that they are squeezed to.
    pub squeezed: usize,
    /// Between the two layers.
    #[config(default = "Activation::Relu")]
    pub activation: Activation,
}

impl SqueezeExcitationConfig {
    /// The layer. Its weights are drawn as those of convolutions before norms; its biases start at zero.
    pub fn init(&self, device: &Device) -> SqueezeExcitation {
        let layer = |channels_in, channels_out| {
            conv_before_norm(channels_in, channels_out, 1, 1).with_bias(true).init(device).with_zero_bias()
        };
        SqueezeExcitation {
            fc1: layer(self.channels, self.squeezed),
            fc2: layer(self.squeezed, self.channels),
            activation: self.activation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use libellus_backend::testing::{assert_close, device, read};

    #[test]
    fn channels_are_weighed_by_their_averages() {
        let device = device();
        let mut layer = SqueezeExcitationConfig::new(2, 1).init(&device);
        layer.fc1.weight = layer.fc1.weight.map(|_| Tensor::from_data([[[[1.0f32]], [[-1.0]]]], &device));
        layer.fc2.weight = layer.fc2.weight.map(|_| Tensor::from_data([[[[1.0f32]]], [[[-2.0]]]], &device));
        // The averages 3 and 2 squeeze to 1, which the second layer turns into 1 and -2.
        let input = Tensor::from_data([[[[1.0f32, 5.0]], [[4.0, 0.0]]]], &device);
        let [first, second] = [1.0f64, -2.0].map(|x| (1.0 / (1.0 + (-x).exp())) as f32);
        let expected = TensorData::from([[[[first, 5.0 * first]], [[4.0 * second, 0.0]]]]);
        assert_close(&read(layer.forward(input)), &expected, 1e-6);
    }

    #[test]
    fn images_of_a_batch_are_weighed_on_their_own() {
        let device = device();
        device.seed(3);
        let layer = SqueezeExcitationConfig::new(5, 2).with_activation(Activation::Silu).init(&device);
        let ones = Tensor::<4>::ones([1, 5, 3, 7], &device);
        let batch = Tensor::cat(vec![ones.clone(), ones.clone() * 2.0], 0);
        let alone = Tensor::cat(vec![layer.forward(ones.clone()), layer.forward(ones * 2.0)], 0);
        assert_close(&read(layer.forward(batch)), &read(alone), 1e-6);
    }
}
