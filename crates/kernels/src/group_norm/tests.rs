use burn::tensor::{Device, Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::{composed, group_norm};
use crate::device::is_accelerated;
use crate::testing::{
    Results, assert_same_on_any_threads, assert_within, golden, narrow, numbers, results, scattered,
};

const EPSILON: f64 = 1e-5;

type GroupNorm<const D: usize> = fn(Tensor<D>, Option<Tensor<1>>, Option<Tensor<1>>, usize, f64) -> Tensor<D>;

/// With a scale and a shift.
fn scaled<const D: usize>(
    input: &Tensor<D>,
    parameters: [&Tensor<1>; 2],
    weight: &Tensor<D>,
    groups: usize,
    norm: GroupNorm<D>,
) -> Results {
    results(input, parameters, weight, |x, [gamma, beta]| norm(x, Some(gamma), Some(beta), groups, EPSILON))
}

/// 2e-6 of the largest: the gradient subtracts two means of 105 and 175 values from each.
#[test]
fn values_and_gradients_of_torch_in_f64() {
    let bytes = golden("groups");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let device = device().autodiff();
    let [input, weight] =
        ["input", "weight"].map(|name| Tensor::<4>::from_data(narrow(&numbers(&file, name)), &device));
    let [gamma, beta] =
        ["gamma", "beta"].map(|name| Tensor::<1>::from_data(narrow(&numbers(&file, name)), &device));
    let actual = scaled(&input, [&gamma, &beta], &weight, 3, group_norm);
    assert_close(&actual.value, &numbers(&file, "three.value"), 2e-6);
    assert_close(&actual.gradient, &numbers(&file, "three.input"), 2e-6);
    for (actual, parameter) in actual.others.iter().zip(["gamma", "beta"]) {
        assert_close(actual, &numbers(&file, &format!("three.{parameter}")), 2e-6);
    }
    let actual = results(&input, [], &weight, |x, []| group_norm(x, None, None, 5, EPSILON));
    assert_close(&actual.value, &numbers(&file, "plain.value"), 2e-6);
    assert_close(&actual.gradient, &numbers(&file, "plain.input"), 2e-6);
}

/// By hand: groups 1, 3 and 5, 9 in the first element of the batch, 0, 4 and -1, 1 in the second.
#[test]
fn each_group_has_its_own_mean_and_deviation() {
    let device = device();
    let input = Tensor::<2>::from_data([[1.0f32, 3.0, 5.0, 9.0], [0.0, 4.0, -1.0, 1.0]], &device);
    let gamma = Tensor::from_data([1.0f32, 2.0, 3.0, 4.0], &device);
    let beta = Tensor::from_data([0.0f32, 0.0, 0.0, 10.0], &device);
    let output = read(group_norm(input, Some(gamma), Some(beta), 2, 0.0));
    let row = [-1.0f32, 2.0, -3.0, 14.0];
    assert_close(&output, &TensorData::from([row, row]), 1e-6);
}

/// Lengths around the width of a vector and of a sum's piece, one group, as many groups as channels, and no extent.
#[test]
fn sizes_at_the_edges() {
    let device = device().autodiff();
    for length in [1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 64, 127, 2_053, 4_099] {
        agrees(scattered([3, 6, length], &device), 2, &device);
    }
    for groups in [1, 5, 35] {
        agrees(scattered([2, 35, 3, 13], &device), groups, &device);
    }
    agrees(scattered([1, 4, 5, 2, 7], &device), 2, &device);
    agrees(scattered([31, 21], &device), 3, &device);
    // More groups than a thread takes at a time, so that pieces start within an element of the batch.
    agrees(scattered([101, 33, 23], &device), 11, &device);
}

#[test]
fn nothing_stays_nothing() {
    let device = device().autodiff();
    if !is_accelerated(&scattered([1], &device)) {
        return;
    }
    for shape in [[0, 4, 9], [2, 4, 0]] {
        let input = scattered(shape, &device);
        let [gamma, beta] = [Tensor::ones([4], &device), Tensor::zeros([4], &device)];
        let results = scaled(&input, [&gamma, &beta], &input, 2, group_norm);
        assert_eq!(results.value.shape().dims::<3>(), shape);
        assert!(results.others.iter().all(|gradient| gradient.iter::<f32>().all(|x| x == 0.0)));
    }
}

#[track_caller]
fn agrees<const D: usize>(input: Tensor<D>, groups: usize, device: &Device) {
    let channels = input.dims()[1];
    let [gamma, beta] = [scattered([channels], device), scattered([channels], device) * 0.5];
    // Other than the input: with it, gradients would cancel.
    let weight = scattered(input.dims(), device).cos();
    let actual = scaled(&input, [&gamma, &beta], &weight, groups, group_norm);
    let expected = scaled(&input, [&gamma, &beta], &weight, groups, composed);
    // 5e-6 of the largest, for sums in another order and two roundings more or less.
    assert_close(&actual.value, &expected.value, 5e-6);
    // A group of two values has no gradient but what epsilon lets through.
    if input.dims()[1..].iter().product::<usize>() > 2 * groups {
        assert_close(&actual.gradient, &expected.gradient, 5e-6);
    }
    // Sums of so many terms, up to 13 in size, may cancel.
    let terms = (input.dims().iter().product::<usize>() / channels) as f64;
    for (actual, expected) in actual.others.iter().zip(&expected.others) {
        assert_within(actual, expected, 1e-6 * terms.max(10.0));
    }
}

#[test]
fn a_scale_or_a_shift_alone() {
    let device = device().autodiff();
    let [input, weight] = [scattered([2, 6, 13], &device), scattered([2, 6, 13], &device).cos()];
    let parameter = scattered([6], &device);
    let norms: [fn(GroupNorm<3>, Tensor<3>, Tensor<1>) -> Tensor<3>; 2] = [
        |norm, x, gamma| norm(x, Some(gamma), None, 3, EPSILON),
        |norm, x, beta| norm(x, None, Some(beta), 3, EPSILON),
    ];
    for run in norms {
        let actual = results(&input, [&parameter], &weight, |x, [parameter]| run(group_norm, x, parameter));
        let expected = results(&input, [&parameter], &weight, |x, [parameter]| run(composed, x, parameter));
        assert_close(&actual.value, &expected.value, 5e-6);
        assert_close(&actual.gradient, &expected.gradient, 5e-6);
        assert_close(&actual.others[0], &expected.others[0], 5e-6);
    }
}

/// The deviations keep their digits where the mean is a thousand times as large.
#[test]
fn a_large_mean_takes_no_digits() {
    let device = device();
    let small = (scattered([3, 4, 101], &device) * 128.0).round() / 128.0;
    let run = |input| read(group_norm(input, None, None, 2, EPSILON));
    // Here the mean is off by half a unit in the last place of 4096 at most, 2.4e-4 of deviations around 3.4.
    let tolerance = if is_accelerated(&small) { 8e-5 } else { 2e-3 };
    assert_close(&run(small.clone() + 4096.0), &run(small), tolerance);
}

#[test]
fn what_is_not_finite_stays_in_its_group() {
    let device = device();
    let mut values = vec![0.5; 2 * 6 * 11];
    values[2 * 11 + 2] = f32::NAN;
    values[8 * 11 + 5] = f32::INFINITY;
    let input = Tensor::<3>::from_data(TensorData::new(values, [2, 6, 11]), &device);
    let output = read(group_norm(input, None, None, 3, EPSILON));
    for (index, value) in output.iter::<f32>().enumerate() {
        let group = index / 22;
        assert_eq!(value.is_nan(), group == 1 || group == 4, "element {index}: {value}");
    }
}

/// Memory that somebody else still looks at is left alone.
#[test]
fn inputs_stay() {
    let device = device();
    let input = scattered([2, 4, 11], &device);
    let before = read(input.clone());
    group_norm(input.clone(), None, None, 2, EPSILON);
    assert_close(&read(input), &before, 0.0);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_same_on_any_threads(|| {
        let device = device().autodiff();
        let [input, weight] = [scattered([5, 6, 2_003], &device), scattered([5, 6, 2_003], &device).cos()];
        let [gamma, beta] = [scattered([6], &device), scattered([6], &device)];
        scaled(&input, [&gamma, &beta], &weight, 3, group_norm)
    });
}

#[test]
#[should_panic(expected = "3 groups don't divide 4 channels")]
fn groups_have_to_divide_the_channels() {
    group_norm(Tensor::<2>::zeros([1, 4], &device()), None, None, 3, EPSILON);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(a in 1usize..4, groups in 1usize..6, b in 1usize..5, c in 2usize..12, d in 2usize..20, swap: bool) {
        let device = device().autodiff();
        if swap {
            agrees(scattered([a, c, groups * b, d], &device).swap_dims(1, 2), groups, &device);
        } else {
            agrees(scattered([a, groups * b, c, d], &device), groups, &device);
        }
    }
}
