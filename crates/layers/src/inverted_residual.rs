//! The inverted residual block of mobile networks.
//!
//! Sandler et al. 2018, *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, arXiv:1801.04381, section 3.3, and
//! with squeeze and excitation Tan et al. 2019, *MnasNet*, arXiv:1807.11626, figure 7. References: torchvision's
//! `InvertedResidual` and `MBConv`.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use libellus_kernels::inverted_residual;

use crate::conv::is_layer_by_layer;
use crate::{
    Activation, ConvNorm, ConvNormConfig, DropPath, DropPathConfig, Identity, SqueezeExcitation,
    SqueezeExcitationConfig, trace,
};

/// A 1x1 convolution to more channels, a depthwise convolution, and a 1x1 convolution to few channels that no
/// nonlinearity follows; beside it an identity, where the shape stays.
#[derive(Module, Debug)]
pub struct InvertedResidual {
    /// To the inner channels.
    pub expand: Expand,
    /// Each inner channel on its own; carries the stride.
    pub depthwise: ConvNorm,
    /// Weighs the inner channels.
    pub squeeze: Option<SqueezeExcitation>,
    /// To the output's channels.
    pub project: ConvNorm,
    /// Drops the convolutions at random in training, where there is an identity beside them.
    pub drop_path: DropPath,
    /// Whether the input is added to the output.
    pub has_shortcut: bool,
}

impl InvertedResidual {
    /// The block's output.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H', W']` with `H' = ceil(H / stride)`, `W' = ceil(W / stride)`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        if let Some(output) = self.forward_at_once(&input) {
            return output;
        }
        let inner = self.depthwise.forward(self.expand.forward(input.clone()));
        let inner = match &self.squeeze {
            Some(squeeze) => squeeze.forward(inner),
            None => inner,
        };
        match self.has_shortcut {
            // In training the convolutions may be dropped before they meet the input.
            true if input.device().is_autodiff() => {
                self.drop_path.forward(self.project.forward(inner)) + input
            }
            true => self.project.forward_plus(inner, Some(input)),
            false => self.project.forward(inner),
        }
    }

    /// In evaluation, without a squeeze in between, the three convolutions go through the image together.
    fn forward_at_once(&self, input: &Tensor<4>) -> Option<Tensor<4>> {
        if is_layer_by_layer(input) || trace::is_recording() || self.squeeze.is_some() {
            return None;
        }
        let device = &input.device();
        let expand = match &self.expand {
            Expand::Identity(_) => None,
            Expand::ConvNorm(layer) => Some(layer.fused(None, device)?),
        };
        let residual = self.has_shortcut.then(|| input.clone());
        let (depthwise, project) =
            (self.depthwise.fused(None, device)?, self.project.fused(residual, device)?);
        Some(inverted_residual(input.clone(), expand, depthwise, project))
    }
}

/// How the inner channels of an [`InvertedResidual`] come about.
///
/// It is no `Option`, because burn counts all that is saved of what is in one as parameters, running statistics too.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network holds a few dozen, and a box has no burn Module")]
pub enum Expand {
    /// They are the input's.
    Identity(Identity),
    /// By a 1x1 convolution.
    ConvNorm(ConvNorm),
}

impl Expand {
    /// The inner channels.
    ///
    /// # Shapes
    /// - `input`: `[B, C, H, W]`
    /// - output: `[B, C', H, W]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Identity(identity) => identity.forward(input),
            Self::ConvNorm(layer) => layer.forward(input),
        }
    }
}

/// Configuration of [`InvertedResidual`]. Kernel, channels and drop probability are to be checked by the architecture
/// that computes them.
#[derive(Config, Debug)]
pub struct InvertedResidualConfig {
    /// Channels `C` of the input.
    pub channels_in: usize,
    /// Channels `C'` of the output.
    pub channels_out: usize,
    /// Inner channels for each channel of the input; with 1, the input is not expanded.
    pub expansion: usize,
    /// Odd height and width of the depthwise kernel.
    #[config(default = 3)]
    pub kernel: usize,
    /// Stride of the depthwise convolution.
    #[config(default = 1)]
    pub stride: usize,
    /// After the first two convolutions, and in the squeeze and excitation.
    #[config(default = "Activation::Relu6")]
    pub activation: Activation,
    /// Channels of the squeeze and excitation; without a number, there is none.
    #[config(default = "None")]
    pub squeezed: Option<usize>,
    /// Probability of the convolutions being dropped in training, in `[0, 1)`.
    #[config(default = 0.0)]
    pub drop_path: f64,
}

impl InvertedResidualConfig {
    /// The block.
    ///
    /// # Panics
    /// If the drop probability is not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> InvertedResidual {
        let inner = self.channels_in * self.expansion;
        let pointwise = |channels_in, channels_out, activation| {
            ConvNormConfig::new(channels_in, channels_out, 1).with_activation(activation).init(device)
        };
        InvertedResidual {
            expand: match self.expansion {
                1 => Expand::Identity(Identity::new()),
                _ => Expand::ConvNorm(pointwise(self.channels_in, inner, self.activation)),
            },
            depthwise: ConvNormConfig::new(inner, inner, self.kernel)
                .with_stride(self.stride)
                .with_groups(inner)
                .with_activation(self.activation)
                .init(device),
            squeeze: self.squeezed.map(|squeezed| {
                SqueezeExcitationConfig::new(inner, squeezed).with_activation(self.activation).init(device)
            }),
            project: pointwise(inner, self.channels_out, Activation::Identity),
            drop_path: DropPathConfig::new(self.drop_path).init(),
            has_shortcut: self.stride == 1 && self.channels_in == self.channels_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libellus_backend::testing::{device, read};

    #[test]
    fn parts_are_there_when_they_are_asked_for() {
        let device = device();
        let block = InvertedResidualConfig::new(3, 5, 1).init(&device);
        assert!(matches!(block.expand, Expand::Identity(_)));
        assert!(block.squeeze.is_none() && !block.has_shortcut);
        // Depthwise 3x3 and norm, projection and norm.
        assert_eq!(block.num_params(), 3 * 9 + 2 * 3 + 3 * 5 + 2 * 5);

        let config = InvertedResidualConfig::new(3, 3, 7).with_kernel(5).with_squeezed(Some(2));
        let block = config.init(&device);
        assert!(block.has_shortcut);
        let expand = 3 * 21 + 2 * 21;
        let depthwise = 25 * 21 + 2 * 21;
        let squeeze = 21 * 2 + 2 + 2 * 21 + 21;
        let project = 21 * 3 + 2 * 3;
        assert_eq!(block.num_params(), expand + depthwise + squeeze + project);
        assert!(!config.with_stride(2).init(&device).has_shortcut);
    }

    #[test]
    fn sizes_are_rounded_up() {
        let device = device();
        let block = InvertedResidualConfig::new(2, 5, 3).with_kernel(5).with_stride(2).init(&device);
        assert_eq!(block.forward(Tensor::zeros([3, 2, 7, 4], &device)).dims(), [3, 5, 4, 2]);
    }

    /// Where the convolutions are dropped, the input is left.
    #[test]
    fn dropped_convolutions_leave_the_input() {
        let device = device().autodiff();
        device.seed(5);
        let block = InvertedResidualConfig::new(1, 1, 3).with_drop_path(0.5).init(&device);
        let input = Tensor::<4>::random([41, 1, 3, 3], burn::tensor::Distribution::Default, &device);
        let [before, after] = [read(input.clone()), read(block.forward(input))];
        let [before, after] = [&before, &after].map(|data| data.as_slice::<f32>().expect("f32 values"));
        let kept = before.chunks(9).zip(after.chunks(9)).filter(|(before, after)| before == after).count();
        // 20.5 expected, with a standard deviation of 3.2: five of them to either side.
        assert!((5..=36).contains(&kept), "{kept} of 41 left as they were");
    }
}
