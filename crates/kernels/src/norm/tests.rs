use burn::tensor::{Device, Tensor, TensorData, module};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::{composed_rms_norm, layer_norm, rms_norm};
use crate::testing::{
    Results, assert_same_on_any_threads, assert_within, golden, narrow, numbers, results, scattered,
};

const EPSILON: f64 = 1e-5;

/// A layer norm and a norm by the root mean square, in this order.
fn both<const D: usize>(
    input: &Tensor<D>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    weight: &Tensor<D>,
) -> [Results; 2] {
    [
        results(input, [gamma, beta], weight, |x, [gamma, beta]| layer_norm(x, gamma, Some(beta), EPSILON)),
        results(input, [gamma], weight, |x, [gamma]| rms_norm(x, gamma, EPSILON)),
    ]
}

/// The same of burn's operations.
fn both_composed<const D: usize>(
    input: &Tensor<D>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    weight: &Tensor<D>,
) -> [Results; 2] {
    [
        results(input, [gamma, beta], weight, |x, [gamma, beta]| {
            module::layer_norm(x, gamma, Some(beta), EPSILON)
        }),
        results(input, [gamma], weight, |x, [gamma]| composed_rms_norm(x, gamma, EPSILON)),
    ]
}

/// 2e-6 of the largest: the gradient subtracts two means of 67 values from each.
#[test]
fn values_and_gradients_of_torch_in_f64() {
    let bytes = golden("rows");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let device = device().autodiff();
    let [input, weight] =
        ["input", "weight"].map(|name| Tensor::<3>::from_data(narrow(&numbers(&file, name)), &device));
    let [gamma, beta] =
        ["gamma", "beta"].map(|name| Tensor::<1>::from_data(narrow(&numbers(&file, name)), &device));
    for (actual, name) in both(&input, &gamma, &beta, &weight).iter().zip(["layer_norm", "rms_norm"]) {
        assert_close(&actual.value, &numbers(&file, &format!("{name}.value")), 2e-6);
        assert_close(&actual.gradient, &numbers(&file, &format!("{name}.input")), 2e-6);
        for (actual, parameter) in actual.others.iter().zip(["gamma", "beta"]) {
            assert_close(actual, &numbers(&file, &format!("{name}.{parameter}")), 2e-6);
        }
    }
}

/// What torch gives for infinities, NaN, and huge and tiny numbers. Of huge ones the squares overflow; then torch's layer
/// norm has NaN and this one beta, and neither is right.
#[test]
fn extremes() {
    let bytes = golden("rows");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let [gamma, beta] = ["gamma", "beta"]
        .map(|name| Tensor::<1>::from_data(narrow(&numbers(&file, name)), &device()).slice(0..4));
    let input = Tensor::<2>::from_data(narrow(&numbers(&file, "extremes")), &device());
    if !super::is_accelerated(&input) {
        return;
    }
    let outputs = [
        (layer_norm(input.clone(), gamma.clone(), Some(beta), EPSILON), "layer_norm"),
        (rms_norm(input.clone(), gamma, EPSILON), "rms_norm"),
    ];
    for (output, name) in outputs {
        let expected = numbers(&file, &format!("{name}.extremes"));
        for (index, (actual, expected)) in read(output).iter::<f32>().zip(expected.iter::<f32>()).enumerate()
        {
            let overflows = name == "layer_norm" && index / 4 == 4;
            let same = actual == expected || actual.is_nan() && expected.is_nan();
            let close = (actual - expected).abs() <= 1e-6 * expected.abs().max(1.0);
            assert!(overflows || same || close, "{name} {index}: {actual}, not {expected}");
        }
    }
}

#[test]
fn without_a_shift() {
    let device = device().autodiff();
    let [input, weight] = [scattered([5, 13], &device), scattered([5, 13], &device)];
    let gamma = scattered([13], &device);
    let actual = results(&input, [&gamma], &weight, |x, [gamma]| layer_norm(x, gamma, None, EPSILON));
    let expected =
        results(&input, [&gamma], &weight, |x, [gamma]| module::layer_norm(x, gamma, None, EPSILON));
    assert_agree(&actual, &expected, 5e-6);
}

/// The deviations keep their digits where the mean is a thousand times as large.
#[test]
fn a_large_mean_takes_no_digits() {
    let device = device();
    let small = scattered([3, 101], &device);
    let input = (small.clone() * 128.0).round() / 128.0 + 4096.0;
    let [gamma, beta] = [Tensor::ones([101], &device), Tensor::zeros([101], &device)];
    let shifted = layer_norm(input.clone(), gamma.clone(), Some(beta.clone()), EPSILON);
    let plain = layer_norm(input - 4096.0, gamma, Some(beta), EPSILON);
    // Here the mean is off by half a unit in the last place of 4096 at most, 2.4e-4 of deviations around 3.4.
    let tolerance = if super::is_accelerated(&small) { 8e-5 } else { 2e-3 };
    assert_close(&read(shifted), &read(plain), tolerance);
}

/// Widths around that of a vector, numbers of rows beyond those of a piece, and none at all.
#[test]
fn sizes_at_the_edges() {
    let device = device().autodiff();
    // The gradients of one and two values cancel.
    for width in [1, 2] {
        let input = scattered([3, width], &device);
        let [gamma, beta] = [scattered([width], &device), scattered([width], &device)];
        let actual = both(&input, &gamma, &beta, &input);
        for (actual, expected) in actual.iter().zip(&both_composed(&input, &gamma, &beta, &input)) {
            assert_close(&actual.value, &expected.value, 5e-6);
        }
    }
    for width in [3, 7, 15, 16, 17, 31, 32, 33, 64, 127, 16_385] {
        agrees(scattered([3, width], &device), &device);
    }
    for rows in [1, 5, 963, 964, 965, 2_003] {
        agrees(scattered([rows, 17], &device), &device);
    }
    for shape in [[0, 5], [5, 0]] {
        let input = scattered(shape, &device);
        let [gamma, beta] = [Tensor::ones([shape[1]], &device), Tensor::zeros([shape[1]], &device)];
        if super::is_accelerated(&input) {
            for results in both(&input, &gamma, &beta, &input) {
                assert_eq!(results.value.shape().dims::<2>(), shape);
                assert!(results.others.iter().all(|gradient| gradient.iter::<f32>().all(|x| x == 0.0)));
            }
        }
    }
}

/// So many rows that a thread takes more than the usual number at a time.
#[test]
fn gradients_of_parameters_are_sums_over_all_rows() {
    let device = device().autodiff();
    let [input, weight] = [scattered([70_001, 17], &device), scattered([70_001, 17], &device)];
    let [gamma, beta] = [Tensor::ones([17], &device), Tensor::zeros([17], &device)];
    if !super::is_accelerated(&input) {
        return;
    }
    let weights: Vec<f64> = read(weight.clone()).iter().collect();
    for actual in both(&input, &gamma, &beta, &weight) {
        // With a scale of 1 and a shift of 0, the output is the normalised input.
        let mut expected = [vec![0.0; 17], vec![0.0; 17]];
        for (index, (normalized, weight)) in actual.value.iter::<f64>().zip(&weights).enumerate() {
            expected[0][index % 17] += normalized * weight;
            expected[1][index % 17] += weight;
        }
        for (actual, expected) in actual.others.iter().zip(expected) {
            // 1e-6 of the sum of magnitudes, which are 9 on average.
            assert_within(actual, &TensorData::new(expected, [17]), 0.6);
        }
    }
}

fn agrees<const D: usize>(input: Tensor<D>, device: &Device) {
    let width = input.dims()[D - 1];
    let [gamma, beta] = [scattered([width], device), scattered([width], device) * 0.5];
    // Other than the input: with it, gradients would cancel.
    let weight = scattered(input.dims(), device).cos();
    let actual = both(&input, &gamma, &beta, &weight);
    let tolerance = tolerance(&read(input.clone()).iter().collect::<Vec<_>>(), width);
    for (actual, expected) in actual.iter().zip(&both_composed(&input, &gamma, &beta, &weight)) {
        assert_agree(actual, expected, tolerance);
    }
}

#[track_caller]
fn assert_agree(actual: &Results, expected: &Results, tolerance: f64) {
    assert_close(&actual.value, &expected.value, tolerance);
    assert_close(&actual.gradient, &expected.gradient, tolerance);
    for (actual, expected) in actual.others.iter().zip(&expected.others) {
        assert_close(actual, expected, tolerance);
    }
}

/// 5e-6 of the largest, for sums of up to 2,003 in another order; burn's own is worse than this one. Where the numbers of a row are
/// nearly equal, it is the rounding of numbers up to 6, twice on either side, that counts beside their deviation.
fn tolerance(numbers: &[f64], width: usize) -> f64 {
    let deviation = |row: &[f64]| {
        let mean = row.iter().sum::<f64>() / width as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
        (variance + EPSILON).sqrt()
    };
    let smallest = numbers.chunks(width).map(deviation).fold(f64::INFINITY, f64::min);
    (4.0 * 6.0 * f64::from(f32::EPSILON) / 2.0 / smallest).max(5e-6)
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_same_on_any_threads(|| {
        let device = device().autodiff();
        let [input, weight] = [scattered([3, 2_003, 11], &device), scattered([3, 2_003, 11], &device)];
        let [gamma, beta] = [scattered([11], &device), scattered([11], &device)];
        both(&input, &gamma, &beta, &weight)
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(a in 1usize..6, b in 3usize..40, c in 3usize..70, swap: bool) {
        let device = device().autodiff();
        let input = scattered([a, b, c], &device);
        agrees(if swap { input.swap_dims(1, 2) } else { input }, &device);
    }
}
