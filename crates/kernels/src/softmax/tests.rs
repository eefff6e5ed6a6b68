use burn::tensor::{Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::{Function, apply, composed};
use crate::testing::{
    Results, assert_same_on_any_threads, assert_within, golden, narrow, numbers, results, scattered,
};

const FUNCTIONS: [Function; 3] = [Function::Softmax, Function::MaskedSoftmax, Function::LogSoftmax];

fn run<const D: usize>(
    input: &Tensor<D>,
    weight: &Tensor<D>,
    operation: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Results {
    results(input, [], weight, |input, []| operation(input))
}

/// 1e-6 of the largest value: an exponential function and a sum of 67.
#[test]
fn values_and_gradients_of_torch_in_f64() {
    let bytes = golden("rows");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let device = device().autodiff();
    let [input, weight] =
        ["input", "weight"].map(|name| Tensor::<3>::from_data(narrow(&numbers(&file, name)), &device));
    for (function, name) in FUNCTIONS.into_iter().zip(["softmax", "softmax", "log_softmax"]) {
        let actual = run(&input, &weight, |x| apply(x, function));
        assert_close(&actual.value, &numbers(&file, &format!("{name}.value")), 1e-6);
        assert_close(&actual.gradient, &numbers(&file, &format!("{name}.input")), 1e-6);
    }
}

/// What torch gives for infinities, NaN, and huge and tiny numbers.
#[test]
fn extremes() {
    let bytes = golden("rows");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let input = Tensor::<2>::from_data(narrow(&numbers(&file, "extremes")), &device());
    if !super::is_accelerated(&input) {
        return;
    }
    for (function, name) in [(Function::Softmax, "softmax"), (Function::LogSoftmax, "log_softmax")] {
        let actual = read(apply(input.clone(), function));
        let expected = numbers(&file, &format!("{name}.extremes"));
        for (actual, expected) in actual.iter::<f32>().zip(expected.iter::<f32>()) {
            let same = actual == expected || actual.is_nan() && expected.is_nan();
            assert!(same || (actual - expected).abs() <= 2e-6 * expected.abs(), "{actual}, not {expected}");
        }
    }
}

/// A vector hidden in part and one hidden as a whole, which has no gradient either.
#[test]
fn what_is_hidden_weighs_nothing() {
    let device = device().autodiff();
    let hidden = f32::NEG_INFINITY;
    let input = Tensor::<2>::from_floats([[hidden, 1.0, hidden, 1.0], [hidden; 4]], &device);
    let weight = Tensor::from_floats([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]], &device);
    let actual = run(&input, &weight, |x| apply(x, Function::MaskedSoftmax));
    assert_close(&actual.value, &TensorData::from([[0.0, 0.5, 0.0, 0.5], [0.0; 4]]), 1e-7);
    if super::is_accelerated(&input) {
        assert_close(&actual.gradient, &TensorData::from([[0.0, -0.5, 0.0, 0.5], [0.0; 4]]), 1e-6);
    }
}

#[test]
fn nan_in_a_masked_vector_is_not_hidden() {
    let input = Tensor::<2>::from_floats([[f32::NEG_INFINITY, f32::NAN]], &device());
    if super::is_accelerated(&input) {
        let output = read(apply(input, Function::MaskedSoftmax));
        assert!(output.iter::<f32>().all(f32::is_nan));
    }
}

/// Widths around that of a vector, and none at all.
#[test]
fn sizes_at_the_edges() {
    let device = device().autodiff();
    for width in [1, 2, 7, 15, 16, 17, 31, 32, 33, 64, 127, 2_053] {
        agrees(&scattered([3, width], &device));
    }
    for rows in [1, 5, 1_000, 1_031] {
        agrees(&scattered([rows, 17], &device));
    }
    for shape in [[0, 5], [5, 0]] {
        let input = scattered(shape, &device);
        if super::is_accelerated(&input) {
            for function in FUNCTIONS {
                assert_eq!(apply(input.clone(), function).dims(), shape);
            }
        }
    }
}

/// Value and gradient are those of burn's operations, to 2e-6 of the largest: a sum of up to 2,053.
#[track_caller]
fn agrees<const D: usize>(input: &Tensor<D>) {
    let weight = scattered(input.dims(), &input.device()) / 6.0;
    for function in FUNCTIONS {
        let actual = run(input, &weight, |x| apply(x, function));
        let expected = run(input, &weight, |x| composed(x, function));
        assert_close(&actual.value, &expected.value, 2e-6);
        // Differences of weights of up to 1; burn's have passed through more operations.
        assert_within(&actual.gradient, &expected.gradient, 2e-6);
    }
}

/// Memory that somebody else still looks at is left alone.
#[test]
fn inputs_stay() {
    let input = scattered([5, 7], &device());
    let before = read(input.clone());
    for function in FUNCTIONS {
        let whole = read(apply(input.clone(), function));
        let part = read(apply(input.clone().slice(1..3), function));
        assert_close(&read(input.clone()), &before, 0.0);
        let rows: Vec<f32> = whole.iter::<f32>().skip(7).take(14).collect();
        assert_close(&part, &TensorData::new(rows, [2, 7]), 0.0);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_same_on_any_threads(|| {
        let device = device().autodiff();
        let [input, weight] = [scattered([3, 2_003, 11], &device), scattered([3, 2_003, 11], &device)];
        FUNCTIONS.map(|function| run(&input, &weight, |x| apply(x, function)))
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(a in 1usize..6, b in 1usize..40, c in 1usize..70, swap: bool) {
        let input = scattered([a, b, c], &device().autodiff());
        agrees(&if swap { input.swap_dims(1, 2) } else { input });
    }
}
