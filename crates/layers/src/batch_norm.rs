//! Batch normalisation with PyTorch's running statistics.
//!
//! Ioffe and Szegedy 2015, *Batch Normalization*, arXiv:1502.03167, algorithms 1 and 2. Reference: `torch.nn.BatchNorm2d`.
//!
//! burn's layer normalises in the same way, but on a CPU several times as slowly, and it feeds the *biased* variance of the
//! batch to the running variance, where the paper (algorithm 2, step 10) and PyTorch use the unbiased one,
//! `n / (n - 1)` times as large: with few values in a channel, as in the last stage of a ResNet on small images, the
//! two differ by several percent. See also [`RunningStatistic`].
//!
//! *Differences* to PyTorch: a batch with a single value in each channel, which PyTorch refuses in training, leaves the
//! running variance alone (it says nothing about the variance) and yields `beta`. `num_batches_tracked`, which only
//! matters without a momentum, is not kept.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Flag, Module, ModuleDisplay, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use libellus_kernels::{ChannelNorm, batch_norm, batch_norm_train};

use crate::{RunningStatistic, trace};

/// Normalises each channel by the statistics of the batch in training and by the running ones in evaluation.
///
/// As in burn's layer, training means that the input's device is an autodiff one and that the layer is not frozen: a
/// frozen backbone normalises as in evaluation and its running statistics stay.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct BatchNorm {
    /// Scale of each channel, `[C]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift of each channel, `[C]`.
    pub beta: Param<Tensor<1>>,
    /// Running mean of each channel, `[C]`.
    pub running_mean: RunningStatistic,
    /// Running unbiased variance of each channel, `[C]`.
    pub running_var: RunningStatistic,
    /// Cleared by `freeze` and `valid`; while it is, the layer works as in evaluation.
    pub training: Param<Flag>,
    /// Added to the variance.
    pub epsilon: f64,
    /// Weight of a new batch in the running statistics.
    pub momentum: f64,
}

impl BatchNorm {
    /// Normalises over all dimensions but the second.
    ///
    /// # Shapes
    /// - `input`: `[B, C, ...]`
    /// - output: as `input`
    ///
    /// # Panics
    /// If `input` has less than two dimensions or another number of channels.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let shape = input.dims();
        trace::layer("BatchNorm", &self.gamma, input, shape, 0, |input| {
            if input.device().is_autodiff() && self.training.is_enabled() {
                self.normalize_by_batch(input)
            } else {
                self.normalize_by_running(input)
            }
        })
    }

    fn normalize_by_batch<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let values = input.shape().num_elements() / input.dims()[1].max(1);
        let batch = batch_norm_train(input, self.gamma.val(), self.beta.val(), self.epsilon);
        self.running_mean.update(batch.mean, self.momentum);
        if values > 1 {
            let unbiased = values as f64 / (values - 1) as f64;
            self.running_var.update(batch.variance * unbiased, self.momentum);
        }
        batch.output
    }

    fn normalize_by_running<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let ChannelNorm { gamma, beta, mean, variance, epsilon } = self.channel_norm(&input.device());
        batch_norm(input, gamma, beta, mean, variance, epsilon)
    }

    /// The norm by running statistics.
    pub(crate) fn channel_norm(&self, device: &Device) -> ChannelNorm {
        ChannelNorm {
            gamma: self.gamma.val(),
            beta: self.beta.val(),
            mean: self.running_mean.value().to_device(device),
            variance: self.running_var.value().to_device(device),
            epsilon: self.epsilon,
        }
    }
}

/// Configuration of [`BatchNorm`].
#[derive(Config, Debug)]
pub struct BatchNormConfig {
    /// Number of channels `C`.
    pub channels: usize,
    /// Added to the variance.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Weight of a new batch in the running statistics.
    #[config(default = 0.1)]
    pub momentum: f64,
    /// What `gamma` starts with.
    #[config(default = "Initializer::Ones")]
    pub gamma: Initializer,
}

impl BatchNormConfig {
    /// The layer, with a running mean of 0 and a running variance of 1.
    pub fn init(&self, device: &Device) -> BatchNorm {
        BatchNorm {
            gamma: self.gamma.init([self.channels], device),
            beta: Initializer::Zeros.init([self.channels], device),
            running_mean: RunningStatistic::new(Tensor::zeros([self.channels], device)),
            running_var: RunningStatistic::new(Tensor::ones([self.channels], device)),
            training: Param::from_bool(true),
            epsilon: self.epsilon,
            momentum: self.momentum,
        }
    }
}

impl ModuleDisplay for BatchNorm {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [channels] = self.beta.lazy_shape().dims();
        content
            .add("channels", &channels)
            .add("epsilon", &self.epsilon)
            .add("momentum", &self.momentum)
            .optional()
    }
}

#[cfg(test)]
mod tests;
