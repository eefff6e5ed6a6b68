//! Normalisation of groups of channels.
//!
//! The same as burn's layer, which can't be looked on from outside (see [`trace`]) and is composed of an operation for each step.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use crate::trace;

/// Normalises each group of neighbouring channels in each element of the batch, then scales and shifts each channel.
///
/// Wu and He 2018, *Group Normalization*, arXiv:1803.08494. Reference: `torch.nn.GroupNorm`.
#[derive(Module, Debug)]
pub struct GroupNorm {
    /// Scale of each channel, `[C]`.
    pub gamma: Option<Param<Tensor<1>>>,
    /// Shift of each channel, `[C]`.
    pub beta: Option<Param<Tensor<1>>>,
    /// Into how many groups the channels fall.
    pub num_groups: usize,
    /// Number of channels `C`.
    pub num_channels: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

impl GroupNorm {
    /// The normalised groups, the same in training and in evaluation.
    ///
    /// # Shapes
    /// - `input`: `[B, C, ...]`
    /// - output: as `input`
    ///
    /// # Panics
    /// If `input` has less than two dimensions or another number of channels.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let shape = input.dims();
        assert_eq!(
            shape.get(1),
            Some(&self.num_channels),
            "a group norm of {} channels got {shape:?}",
            self.num_channels
        );
        let normalize = |input| {
            let [gamma, beta] = [&self.gamma, &self.beta]
                .map(|parameter| parameter.as_ref().map(|parameter| parameter.val()));
            libellus_kernels::group_norm(input, gamma, beta, self.num_groups, self.epsilon)
        };
        match &self.gamma {
            Some(gamma) => trace::layer("GroupNorm", gamma, input, shape, 0, normalize),
            None if trace::only_shapes() => input,
            None => normalize(input),
        }
    }
}

/// Configuration of [`GroupNorm`].
#[derive(Config, Debug)]
pub struct GroupNormConfig {
    /// Into how many groups the channels fall.
    pub num_groups: usize,
    /// Number of channels `C`.
    pub num_channels: usize,
    /// Added to the variance.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Whether each channel has a scale and a shift.
    #[config(default = true)]
    pub affine: bool,
}

impl GroupNormConfig {
    /// The layer, with a scale of 1 and a shift of 0.
    ///
    /// # Panics
    /// If the groups don't divide the channels.
    pub fn init(&self, device: &Device) -> GroupNorm {
        let Self { num_groups, num_channels, epsilon, affine } = *self;
        assert!(
            num_groups > 0 && num_channels.is_multiple_of(num_groups),
            "{num_groups} groups don't divide {num_channels} channels"
        );
        GroupNorm {
            gamma: affine.then(|| Initializer::Ones.init([num_channels], device)),
            beta: affine.then(|| Initializer::Zeros.init([num_channels], device)),
            num_groups,
            num_channels,
            epsilon,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Event, shapes};
    use burn::tensor::{Distribution, TensorData};
    use libellus_backend::testing::{assert_close, device, read};

    /// Groups 1, 3 and 5, 9: one and two from their means.
    #[test]
    fn groups_are_normalised_and_channels_are_scaled() {
        let device = device();
        let input = Tensor::<2>::from_data([[1.0f32, 3.0, 5.0, 9.0]], &device);
        let mut layer = GroupNormConfig::new(2, 4).with_epsilon(0.0).init(&device);
        let plain = TensorData::from([[-1.0f32, 1.0, -1.0, 1.0]]);
        assert_close(&read(layer.forward(input.clone())), &plain, 1e-6);
        layer.gamma = Some(Param::from_data([1.0f32, 2.0, 3.0, 4.0], &device));
        layer.beta = Some(Param::from_data([0.0f32, 0.5, 0.0, 0.0], &device));
        assert_close(&read(layer.forward(input)), &TensorData::from([[-1.0f32, 2.5, -3.0, 4.0]]), 1e-6);
    }

    #[test]
    fn the_same_as_burns() {
        let device = device();
        let input = Tensor::<4>::random([2, 6, 5, 3], Distribution::Normal(1.0, 2.0), &device);
        for affine in [true, false] {
            let layer = GroupNormConfig::new(3, 6).with_affine(affine).init(&device);
            let burns = burn::nn::GroupNormConfig::new(3, 6).with_affine(affine).init(&device);
            assert_eq!(layer.num_params(), burns.num_params());
            // Sums of 30 values in another order.
            assert_close(&read(layer.forward(input.clone())), &read(burns.forward(input.clone())), 2e-6);
        }
    }

    #[test]
    fn shapes_are_followed_with_parameters_and_without() {
        for (affine, events_expected) in [(true, 1), (false, 0)] {
            let layer = GroupNormConfig::new(2, 4).with_affine(affine).init(&device());
            let input = Tensor::<3>::zeros([2, 4, 5], &device());
            let (output, events) = shapes(|| layer.forward(input)).expect("small");
            assert_eq!(output.dims(), [2, 4, 5]);
            let reported = events.iter().filter(|event| matches!(event, Event::Layer(_))).count();
            assert_eq!(reported, events_expected);
        }
    }

    #[test]
    #[should_panic(expected = "a group norm of 4 channels got [2, 6, 5]")]
    fn another_number_of_channels_is_refused() {
        GroupNormConfig::new(2, 4).init(&device()).forward(Tensor::<3>::zeros([2, 6, 5], &device()));
    }
}
