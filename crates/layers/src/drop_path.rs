//! Stochastic depth.
//!
//! Huang et al. 2016, *Deep Networks with Stochastic Depth*, arXiv:1603.09382. Reference: timm's `DropPath`.
//!
//! *Differences* to the paper, shared with timm: whole branches are dropped for each sample on its own rather than for
//! the whole batch, and the kept ones are scaled up in training instead of all being scaled down in evaluation.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Flag, Module, ModuleDisplay, Param};
use burn::tensor::{Distribution, Tensor};

/// Drops a residual branch at random for each sample while training; the identity in evaluation.
///
/// As for burn's `Dropout`, training means that the input's device is an autodiff one and that the layer is not frozen.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct DropPath {
    /// Probability of a sample's branch being dropped, in `[0, 1)`.
    pub probability: f64,
    /// Cleared by `freeze` and `valid`; while it is, nothing is dropped.
    pub training: Param<Flag>,
}

impl DropPath {
    /// Sets each sample to zero with the layer's probability, and divides the others by the probability of being kept.
    ///
    /// # Shapes
    /// - `branch`: `[B, ...]`
    /// - output: as `branch`
    pub fn forward<const D: usize>(&self, branch: Tensor<D>) -> Tensor<D> {
        let idle = self.probability == 0.0 || !self.training.is_enabled();
        if idle || !branch.device().is_autodiff() {
            return branch;
        }
        let kept = 1.0 - self.probability;
        let mut shape = [1; D];
        shape[0] = branch.dims()[0];
        let mask = Tensor::<D>::random(shape, Distribution::Bernoulli(kept), &branch.device());
        branch * (mask / kept)
    }
}

/// Configuration of [`DropPath`].
#[derive(Config, Debug)]
pub struct DropPathConfig {
    /// Probability of a sample's branch being dropped, in `[0, 1)`.
    pub probability: f64,
}

impl DropPathConfig {
    /// The layer.
    ///
    /// # Panics
    /// If the probability is not in `[0, 1)`.
    pub fn init(&self) -> DropPath {
        assert!(
            (0.0..1.0).contains(&self.probability),
            "the probability of dropping a path must be in [0, 1), not {}",
            self.probability
        );
        DropPath { probability: self.probability, training: Param::from_bool(true) }
    }
}

impl ModuleDisplay for DropPath {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        content.add("probability", &self.probability).optional()
    }
}

/// The drop probability of each of `depth` blocks, rising linearly to `last` at the last: `l / depth * last` for the
/// block `l = 1, ..., depth` (Huang et al., equation 4).
///
/// timm starts at 0 instead, with `(l - 1) / (depth - 1) * last`.
pub fn linear_decay(last: f64, depth: usize) -> impl Iterator<Item = f64> {
    (1..=depth).map(move |block| block as f64 / depth as f64 * last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use libellus_backend::testing;

    #[test]
    fn whole_samples_are_dropped_and_the_mean_is_kept() {
        let device = testing::device().autodiff();
        device.seed(7);
        let samples = 1009;
        let output = DropPathConfig::new(0.2).init().forward(Tensor::<3>::ones([samples, 3, 5], &device));
        let output = testing::read(output);
        let values = output.as_slice::<f32>().expect("f32 values");
        let mut kept = 0;
        for sample in values.chunks(15) {
            assert!(sample.iter().all(|&value| value == sample[0]));
            assert!(sample[0] == 0.0 || (sample[0] - 1.25).abs() < 1e-6);
            kept += usize::from(sample[0] != 0.0);
        }
        // 807 expected, with a standard deviation of 12.7: five of them to either side.
        assert!((743..=871).contains(&kept), "{kept} of {samples} kept");
    }

    #[test]
    fn evaluation_is_the_identity() {
        let plain = testing::device();
        let layer = DropPathConfig::new(0.9).init();
        let input = Tensor::<2>::random([53, 2], Distribution::Default, &plain);
        let expected = testing::read(input.clone());
        assert_eq!(testing::read(layer.forward(input.clone())), expected);
        let training = input.autodiff();
        assert_eq!(testing::read(layer.valid().forward(training.clone())), expected);
        assert_eq!(testing::read(layer.freeze().forward(training)), expected);
    }

    #[test]
    fn probabilities_rise_linearly() {
        let probabilities: Vec<f64> = linear_decay(0.5, 4).collect();
        assert_eq!(probabilities, [0.125, 0.25, 0.375, 0.5]);
        assert_eq!(linear_decay(0.5, 0).count(), 0);
    }

    #[test]
    #[should_panic(expected = "must be in [0, 1), not 1")]
    fn certain_drop_is_refused() {
        DropPathConfig::new(1.0).init();
    }
}
