use burn::tensor::{Device, Tensor, TensorData, module};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::{batch_norm, batch_norm_train, is_fast};
use crate::testing::{
    Results, assert_same_on_any_threads, assert_within, golden, narrow, numbers, results, scattered,
};

const EPSILON: f64 = 1e-5;

/// In training and in evaluation.
fn both<const D: usize>(
    input: &Tensor<D>,
    parameters: [&Tensor<1>; 2],
    [mean, variance]: [&Tensor<1>; 2],
    weight: &Tensor<D>,
) -> [Results; 2] {
    [
        results(input, parameters, weight, |x, [gamma, beta]| {
            batch_norm_train(x, gamma, beta, EPSILON).output
        }),
        results(input, parameters, weight, |x, [gamma, beta]| {
            batch_norm(x, gamma, beta, mean.clone(), variance.clone(), EPSILON)
        }),
    ]
}

/// The same of burn's operations.
fn both_composed<const D: usize>(
    input: &Tensor<D>,
    parameters: [&Tensor<1>; 2],
    [mean, variance]: [&Tensor<1>; 2],
    weight: &Tensor<D>,
) -> [Results; 2] {
    [
        results(input, parameters, weight, |x, [gamma, beta]| {
            module::batch_norm_train(x, gamma, beta, EPSILON).output
        }),
        results(input, parameters, weight, |x, [gamma, beta]| {
            module::batch_norm(x, gamma, beta, mean.clone(), variance.clone(), EPSILON)
        }),
    ]
}

/// 2e-6 of the largest: the gradient subtracts two means of 231 values from each.
#[test]
fn values_and_gradients_of_torch_in_f64() {
    let bytes = golden("channels");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let device = device().autodiff();
    let [input, weight] =
        ["input", "weight"].map(|name| Tensor::<4>::from_data(narrow(&numbers(&file, name)), &device));
    let [gamma, beta, mean, variance] = ["gamma", "beta", "mean", "variance"]
        .map(|name| Tensor::<1>::from_data(narrow(&numbers(&file, name)), &device));
    let results = both(&input, [&gamma, &beta], [&mean, &variance], &weight);
    for (actual, mode) in results.iter().zip(["train", "eval"]) {
        assert_close(&actual.value, &numbers(&file, &format!("{mode}.value")), 2e-6);
        assert_close(&actual.gradient, &numbers(&file, &format!("{mode}.input")), 2e-6);
        for (actual, parameter) in actual.others.iter().zip(["gamma", "beta"]) {
            assert_close(actual, &numbers(&file, &format!("{mode}.{parameter}")), 2e-6);
        }
    }
    let batch = batch_norm_train(input, gamma, beta, EPSILON);
    assert_close(&read(batch.mean), &numbers(&file, "train.mean"), 1e-6);
    assert_close(&read(batch.variance), &numbers(&file, "train.variance"), 1e-6);
}

/// Lengths around the width of a vector, few and many channels, and none at all.
#[test]
fn sizes_at_the_edges() {
    let device = device().autodiff();
    for length in [1, 7, 8, 15, 16, 17, 31, 32, 33, 64, 127, 2_053] {
        agrees(scattered([3, 5, length], &device), &device);
    }
    for channels in [1, 2, 67] {
        agrees(scattered([2, channels, 3, 13], &device), &device);
    }
    agrees(scattered([1, 3, 5, 2, 7], &device), &device);
    agrees(scattered([31, 7], &device), &device);
    let input = scattered([0, 5, 9], &device);
    if is_fast(&input) {
        let [gamma, beta] = [Tensor::ones([5], &device), Tensor::zeros([5], &device)];
        assert_eq!(batch_norm_train(input, gamma, beta, EPSILON).output.dims(), [0, 5, 9]);
    }
}

fn agrees<const D: usize>(input: Tensor<D>, device: &Device) {
    let channels = input.dims()[1];
    let [gamma, beta] = [scattered([channels], device), scattered([channels], device) * 0.5];
    let [mean, variance] = [beta.clone() * 0.1, gamma.clone().square() + 0.2];
    // Other than the input: with it, gradients would cancel.
    let weight = scattered(input.dims(), device).cos();
    let actual = both(&input, [&gamma, &beta], [&mean, &variance], &weight);
    let expected = both_composed(&input, [&gamma, &beta], [&mean, &variance], &weight);
    for (actual, expected) in actual.iter().zip(&expected) {
        // 5e-6 of the largest, for sums in another order and two roundings more or less.
        assert_close(&actual.value, &expected.value, 5e-6);
        assert_close(&actual.gradient, &expected.gradient, 5e-6);
        // Sums of so many terms, up to 13 in size, may cancel.
        let terms = (input.dims().iter().product::<usize>() / channels) as f64;
        for (actual, expected) in actual.others.iter().zip(&expected.others) {
            assert_within(actual, expected, 1e-6 * terms.max(10.0));
        }
    }
}

/// The deviations keep their digits where the mean is a thousand times as large.
#[test]
fn a_large_mean_takes_no_digits() {
    let device = device();
    let small = (scattered([3, 5, 101], &device) * 128.0).round() / 128.0;
    let run = |input| {
        let [gamma, beta] = [Tensor::ones([5], &device), Tensor::zeros([5], &device)];
        read(batch_norm_train(input, gamma, beta, EPSILON).output)
    };
    // Here the mean is off by half a unit in the last place of 4096 at most, 2.4e-4 of deviations around 3.4.
    let tolerance = if is_fast(&small) { 8e-5 } else { 2e-3 };
    assert_close(&run(small.clone() + 4096.0), &run(small), tolerance);
}

#[test]
fn what_is_not_finite_stays_in_its_channel() {
    let device = device();
    let mut values = vec![0.5; 2 * 3 * 11];
    values[11 + 2] = f32::NAN;
    values[22 + 5] = f32::INFINITY;
    let input = Tensor::<3>::from_data(TensorData::new(values, [2, 3, 11]), &device);
    let [gamma, beta] = [Tensor::ones([3], &device), Tensor::zeros([3], &device)];
    let output = read(batch_norm_train(input, gamma, beta, EPSILON).output);
    for (index, value) in output.iter::<f32>().enumerate() {
        assert_eq!(value.is_nan(), index / 11 % 3 != 0, "element {index}: {value}");
    }
}

/// Memory that somebody else still looks at is left alone.
#[test]
fn inputs_stay() {
    let device = device();
    let input = scattered([2, 3, 11], &device);
    let before = read(input.clone());
    let parameters = || [Tensor::ones([3], &device), Tensor::zeros([3], &device)];
    let [gamma, beta] = parameters();
    batch_norm_train(input.clone(), gamma, beta, EPSILON);
    let ([gamma, beta], [variance, mean]) = (parameters(), parameters());
    batch_norm(input.clone(), gamma, beta, mean, variance, EPSILON);
    assert_close(&read(input), &before, 0.0);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_same_on_any_threads(|| {
        let device = device().autodiff();
        let [input, weight] = [scattered([3, 7, 2_003], &device), scattered([3, 7, 2_003], &device)];
        let [gamma, beta] = [scattered([7], &device), scattered([7], &device)];
        let [mean, variance] = [Tensor::zeros([7], &device), Tensor::ones([7], &device)];
        both(&input, [&gamma, &beta], [&mean, &variance], &weight)
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(a in 1usize..4, b in 1usize..9, c in 4usize..12, d in 3usize..20, swap: bool) {
        let device = device().autodiff();
        let input = scattered([a, b, c, d], &device);
        agrees(if swap { input.swap_dims(1, 2) } else { input }, &device);
    }
}
