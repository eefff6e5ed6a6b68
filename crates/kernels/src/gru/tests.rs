use burn::tensor::{Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::{composed, gru};
use crate::testing::{assert_same_on_any_threads, golden, narrow, numbers, scattered};

struct Inputs {
    projected: Tensor<3>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    hidden: Tensor<2>,
}

impl Inputs {
    fn new(steps: usize, batch: usize, d_hidden: usize) -> Self {
        let device = device().autodiff();
        Self {
            projected: scattered([steps, batch, 3 * d_hidden], &device) / 3.0,
            weight: scattered([d_hidden, 3 * d_hidden], &device) / (6.0 * (d_hidden as f64).sqrt()),
            bias: scattered([3 * d_hidden], &device) / 5.0,
            hidden: scattered([batch, d_hidden], &device) / 6.0,
        }
    }

    /// The output, and the gradients of projected input, weight, bias and state for outputs of different weight.
    fn results(
        self,
        operation: impl FnOnce(Tensor<3>, Tensor<2>, Option<Tensor<1>>, Tensor<2>) -> Tensor<3>,
    ) -> [TensorData; 5] {
        let weights = scattered(
            [self.projected.dims()[0], self.hidden.dims()[0], self.hidden.dims()[1]],
            &self.hidden.device(),
        );
        self.results_for(weights, operation)
    }

    fn results_for(
        self,
        weights: Tensor<3>,
        operation: impl FnOnce(Tensor<3>, Tensor<2>, Option<Tensor<1>>, Tensor<2>) -> Tensor<3>,
    ) -> [TensorData; 5] {
        let (projected, bias) = (self.projected.require_grad(), self.bias.require_grad());
        let [weight, hidden] = [self.weight, self.hidden].map(|input| input.require_grad());
        let output = operation(projected.clone(), weight.clone(), Some(bias.clone()), hidden.clone());
        let gradients = (output.clone() * weights).sum().backward();
        [
            read(output.inner()),
            read(projected.grad(&gradients).expect("it takes part")),
            read(weight.grad(&gradients).expect("it takes part")),
            read(bias.grad(&gradients).expect("it takes part")),
            read(hidden.grad(&gradients).expect("it takes part")),
        ]
    }
}

/// 2e-6 of the largest: sums of 37 terms over 5 steps, and gradients that are sums over 15 states.
#[test]
fn values_and_gradients_of_torch_in_f64() {
    let bytes = golden("gru");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let device = device().autodiff();
    let given = |name| narrow(&numbers(&file, name));
    let inputs = Inputs {
        projected: Tensor::from_data(given("projected"), &device),
        weight: Tensor::from_data(given("weight"), &device),
        bias: Tensor::from_data(given("bias"), &device),
        hidden: Tensor::from_data(given("hidden"), &device),
    };
    let found = inputs.results_for(Tensor::from_data(given("coefficients"), &device), gru);
    let names = ["output", "gradient.projected", "gradient.weight", "gradient.bias", "gradient.hidden"];
    for (found, name) in found.iter().zip(names) {
        assert_close(found, &numbers(&file, name), 2e-6);
    }
}

#[track_caller]
fn agrees(steps: usize, batch: usize, d_hidden: usize) {
    let [output, gradients @ ..] = Inputs::new(steps, batch, d_hidden).results(gru);
    let [expected, expected_gradients @ ..] = Inputs::new(steps, batch, d_hidden).results(composed);
    assert_close(&output, &expected, 2e-6);
    for (found, expected) in gradients.iter().zip(&expected_gradients) {
        assert_close(found, expected, 5e-6);
    }
}

/// Units that don't fill a group or a line, batches of fewer and more sequences than a tile has rows. Sums of up to 67 terms
/// over up to 11 steps.
#[test]
fn the_same_as_step_by_step() {
    for (steps, batch, d_hidden) in
        [(1, 1, 1), (2, 1, 32), (5, 3, 7), (7, 2, 16), (3, 37, 5), (11, 5, 41), (4, 29, 33), (2, 2, 67)]
    {
        agrees(steps, batch, d_hidden);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(steps in 1usize..6, batch in 1usize..20, d_hidden in 1usize..50) {
        agrees(steps, batch, d_hidden);
    }
}

#[test]
fn no_bias_is_a_bias_of_zeros() {
    let Inputs { projected, weight, hidden, .. } = Inputs::new(3, 5, 7);
    let zeros = Tensor::zeros([21], &projected.device());
    let without = gru(projected.clone(), weight.clone(), None, hidden.clone());
    let composed = composed(projected.clone(), weight.clone(), None, hidden.clone());
    let with = gru(projected, weight, Some(zeros), hidden);
    assert_close(&read(without.clone().inner()), &read(with.inner()), 0.0);
    assert_close(&read(without.inner()), &read(composed.inner()), 2e-6);
}

/// Inputs that aren't laid out in order: steps and sequences swapped, and a transposed weight.
#[test]
fn views_are_read_as_they_look() {
    let device = device();
    let projected = scattered([5, 3, 21], &device).swap_dims(0, 1);
    let weight = scattered([21, 7], &device).transpose() / 20.0;
    let hidden = scattered([7, 5], &device).transpose() / 6.0;
    let found = gru(projected.clone(), weight.clone(), None, hidden.clone());
    assert_close(&read(found), &read(composed(projected, weight, None, hidden)), 2e-6);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    if libellus_backend::testing::reference() != device() {
        return;
    }
    assert_same_on_any_threads(|| Inputs::new(5, 31, 19).results(gru));
}

/// Saturated gates give a state of 1 or -1, or the one before, and no gradient that isn't a number.
#[test]
fn huge_gates_saturate() {
    let device = device().autodiff();
    let inputs = Inputs {
        projected: Tensor::from_floats([[[-1e30, -1e30, 1e30]], [[1e30, 1e30, -1e30]]], &device),
        weight: Tensor::from_floats([[0.5, -0.5, 0.25]], &device),
        bias: Tensor::from_floats([0.0, 0.0, 0.5], &device),
        hidden: Tensor::from_floats([[0.25]], &device),
    };
    let [output, gradients @ ..] = inputs.results(gru);
    assert_close(&output, &TensorData::from([[[1.0]], [[1.0]]]), 0.0);
    for gradient in &gradients {
        assert!(gradient.iter::<f32>().all(|slope| slope == 0.0), "{gradient:?}");
    }
}

#[test]
fn what_is_not_a_number_stays_in_its_sequence() {
    let Inputs { projected, weight, bias, hidden } = Inputs::new(3, 2, 5);
    let nan = Tensor::<3>::full([1, 1, 15], f32::NAN, &projected.device());
    let output = gru(projected.slice_assign([1..2, 0..1, 0..15], nan), weight, Some(bias), hidden);
    let values: Vec<f32> = read(output.inner()).iter().collect();
    let nans: Vec<bool> = values.chunks(5).map(|units| units.iter().any(|value| value.is_nan())).collect();
    assert_eq!(nans, [false, false, true, false, true, false]);
}

#[test]
fn a_batch_of_none_and_units_of_none_are_possible() {
    let device = libellus_backend::testing::reference();
    for [batch, d_hidden] in [[0, 3], [2, 0]] {
        let output = gru(
            Tensor::zeros([2, batch, 3 * d_hidden], &device),
            Tensor::zeros([d_hidden, 3 * d_hidden], &device),
            None,
            Tensor::zeros([batch, d_hidden], &device),
        );
        assert_eq!(output.dims(), [2, batch, d_hidden]);
    }
}

#[test]
#[should_panic(expected = "a bias of another shape")]
fn a_bias_of_another_shape_is_refused() {
    let Inputs { projected, weight, bias, hidden } = Inputs::new(3, 2, 5);
    gru(projected, weight, Some(bias.narrow(0, 0, 5)), hidden);
}
