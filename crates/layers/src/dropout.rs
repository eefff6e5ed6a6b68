//! Dropout.
//!
//! Srivastava et al. 2014, *Dropout: A Simple Way to Prevent Neural Networks from Overfitting*, JMLR 15. Reference:
//! `torch.nn.Dropout`.
//!
//! The same as burn's layer, which draws a number for each element on one thread and keeps it as a float.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Flag, Module, ModuleDisplay, Param};
use burn::tensor::Tensor;
use libellus_kernels::dropout;

/// Sets elements to zero at random while training, and divides the others by the probability of being kept; the identity in
/// evaluation.
///
/// As for burn's layer, training means that the input's device is an autodiff one and that the layer is not frozen.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Dropout {
    /// Probability of an element being dropped, in `[0, 1)`.
    pub prob: f64,
    /// Cleared by `freeze` and `valid`; while it is, nothing is dropped.
    pub training: Param<Flag>,
}

impl Dropout {
    /// Drops elements with the layer's probability. The device's seed decides which.
    ///
    /// # Shapes
    /// - `input`: any
    /// - output: as `input`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        if !self.training.is_enabled() || !input.device().is_autodiff() {
            return input;
        }
        dropout(input, self.prob)
    }
}

/// Configuration of [`Dropout`].
#[derive(Config, Debug)]
pub struct DropoutConfig {
    /// Probability of an element being dropped, in `[0, 1)`.
    pub prob: f64,
}

impl DropoutConfig {
    /// The layer.
    ///
    /// # Panics
    /// If the probability is not in `[0, 1)`.
    pub fn init(&self) -> Dropout {
        assert!((0.0..1.0).contains(&self.prob), "a dropout probability is in [0, 1), not {}", self.prob);
        Dropout { prob: self.prob, training: Param::from_bool(true) }
    }
}

impl ModuleDisplay for Dropout {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let content = content.add("prob", &self.prob);
        if self.training.is_enabled() {
            content.optional()
        } else {
            content.add("training", &self.training).optional()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;
    use libellus_backend::testing::{device, read};

    #[test]
    fn elements_are_dropped_and_the_mean_is_kept() {
        let layer = DropoutConfig::new(0.2).init();
        let output = layer.forward(Tensor::<3>::ones([31, 37, 53], &device().autodiff()));
        assert_eq!(output.dims(), [31, 37, 53]);
        let output = read(output.inner());
        let kept = output.iter::<f32>().filter(|&x| x != 0.0).collect::<Vec<_>>();
        assert!(kept.iter().all(|x| (x - 1.25).abs() < 1e-6));
        // 48,632 expected, with a standard deviation of 99: five of them to either side.
        assert!((48_137..=49_127).contains(&kept.len()), "{} kept", kept.len());
    }

    #[test]
    fn evaluation_is_the_identity() {
        let layer = DropoutConfig::new(0.9).init();
        let input = Tensor::<2>::random([53, 2], Distribution::Default, &device());
        let expected = read(input.clone());
        assert_eq!(read(layer.forward(input.clone())), expected);
        let training = input.autodiff();
        assert_ne!(read(layer.forward(training.clone())), expected);
        assert_eq!(read(layer.valid().forward(training.clone())), expected);
        assert_eq!(read(layer.freeze().forward(training.clone())), expected);
        assert_eq!(read(DropoutConfig::new(0.0).init().forward(training)), expected);
    }

    /// Frozen layers are found, and records are read, by the names of burn's layer.
    #[test]
    fn looks_like_burns() {
        let (ours, burns) = (DropoutConfig::new(0.5).init(), burn::nn::DropoutConfig::new(0.5).init());
        assert_eq!(ours.to_string(), burns.to_string());
        assert_eq!(ours.freeze().to_string(), burns.freeze().to_string());
        assert_eq!(
            format!("{:?}", DropoutConfig::new(0.5)),
            format!("{:?}", burn::nn::DropoutConfig::new(0.5))
        );
    }

    #[test]
    #[should_panic(expected = "a dropout probability is in [0, 1), not NaN")]
    fn a_probability_is_a_number() {
        DropoutConfig::new(f64::NAN).init();
    }
}
