use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::{composed, cross_entropy};
use crate::testing::{assert_same_on_any_threads, assert_within, golden, narrow, numbers, scattered};

/// The values, and the gradient of the logits where the loss is the sum of the values times `weight`.
fn run(
    logits: &Tensor<2>,
    weight: &Tensor<1>,
    operation: impl FnOnce(Tensor<2>) -> Tensor<1>,
) -> [TensorData; 2] {
    let logits = logits.clone().detach().require_grad();
    let output = operation(logits.clone());
    let gradients = (output.clone() * weight.clone()).sum().backward();
    [read(output.inner()), read(logits.grad(&gradients).expect("the logits take part"))]
}

fn labels(len: usize, classes: usize, device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i64> = (0..len).map(|index| ((index * 31 + 7) % classes) as i64).collect();
    Tensor::from_data(TensorData::new(labels, [len]), device)
}

/// 1e-6 of the largest: an exponential function and a sum of 67. Large logits have the same bits beside the largest.
#[test]
fn values_and_gradients_of_torch_in_f64() {
    let bytes = golden("cross_entropy");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let device = device().autodiff();
    let weight = Tensor::from_data(narrow(&numbers(&file, "weight")), &device);
    let labels = Tensor::<1>::from_data(narrow(&numbers(&file, "labels")), &device).int();
    for smoothing in [0.0, 0.1, 1.0] {
        for name in ["logits", "large"] {
            let logits = Tensor::<2>::from_data(narrow(&numbers(&file, name)), &device);
            let [value, gradient] = run(&logits, &weight, |x| cross_entropy(x, labels.clone(), smoothing));
            assert_close(&value, &numbers(&file, &format!("{name}.{smoothing:?}.value")), 1e-6);
            assert_close(&gradient, &numbers(&file, &format!("{name}.{smoothing:?}.gradient")), 1e-6);
        }
    }
}

/// What torch gives for infinities, NaN, and huge and tiny numbers.
#[test]
fn extremes() {
    let bytes = golden("cross_entropy");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let device = device().autodiff();
    let logits = Tensor::<2>::from_data(narrow(&numbers(&file, "extremes")), &device);
    if !super::is_accelerated(&logits) {
        return;
    }
    let samples = logits.dims()[0];
    for smoothing in [0.0, 0.1, 1.0] {
        let weight = Tensor::ones([samples], &device);
        let labels = Tensor::zeros([samples], &device);
        let actual = run(&logits, &weight, |x| cross_entropy(x, labels, smoothing));
        for (actual, part) in actual.iter().zip(["value", "gradient"]) {
            let expected = numbers(&file, &format!("extremes.{smoothing:?}.{part}"));
            for (actual, expected) in actual.iter::<f32>().zip(expected.iter::<f32>()) {
                let same = actual == expected || actual.is_nan() && expected.is_nan();
                // 1e-7 for differences of probabilities.
                let close = (actual - expected).abs() <= 2e-6 * expected.abs() + 1e-7;
                assert!(same || close, "{part} with {smoothing}: {actual}, not {expected}");
            }
        }
    }
}

/// Value and gradient are those of the composition, to 2e-6 of the largest: a sum of up to 2,053.
#[track_caller]
fn agrees(logits: &Tensor<2>) {
    let ([samples, classes], device) = (logits.dims(), logits.device());
    let weight = scattered([samples], &device) / 6.0;
    let labels = labels(samples, classes, &device);
    for smoothing in [0.0, 0.3] {
        let actual = run(logits, &weight, |x| cross_entropy(x, labels.clone(), smoothing));
        let expected = run(logits, &weight, |x| composed(x, labels.clone(), smoothing));
        assert_close(&actual[0], &expected[0], 2e-6);
        assert_within(&actual[1], &expected[1], 2e-6);
    }
}

#[test]
fn sizes_at_the_edges() {
    let device = device().autodiff();
    for classes in [1, 2, 7, 15, 16, 17, 31, 32, 33, 64, 127, 2_053] {
        agrees(&scattered([3, classes], &device));
    }
    // One piece, several, and one sample beyond a piece.
    for samples in [1, 5, 963, 964, 1_931] {
        agrees(&scattered([samples, 17], &device));
    }
}

#[test]
fn without_samples_there_is_no_loss() {
    let device = device().autodiff();
    for classes in [0, 5] {
        let logits = Tensor::<2>::zeros([0, classes], &device).require_grad();
        if super::is_accelerated(&logits) {
            let output = cross_entropy(logits.clone(), Tensor::zeros([0], &device), 0.1);
            assert_eq!(output.dims(), [0]);
            let gradients = output.sum().backward();
            assert_eq!(logits.grad(&gradients).expect("it takes part").dims(), [0, classes]);
        }
    }
}

/// Each integer type that a data set may have.
#[test]
fn labels_of_any_type() {
    let device = device();
    let logits = scattered([5, 7], &device);
    if super::is_accelerated(&logits) {
        let labels = labels(5, 7, &device);
        let expected = read(cross_entropy(logits.clone(), labels.clone(), 0.0));
        for dtype in [DType::I64, DType::I32, DType::U8, DType::U32] {
            let actual = cross_entropy(logits.clone(), labels.clone().cast(dtype), 0.0);
            assert_eq!(read(actual), expected);
        }
    }
}

/// Autodiff knows nothing of labels; they may come from either device.
#[test]
fn labels_without_autodiff() {
    let plain = device();
    let logits = scattered([5, 7], &plain.clone().autodiff());
    let weight = scattered([5], &logits.device());
    let [here, there] = [labels(5, 7, &logits.device()), labels(5, 7, &plain)];
    let expected = run(&logits, &weight, |x| cross_entropy(x, here, 0.1));
    if super::is_accelerated(&logits) {
        assert_eq!(run(&logits, &weight, |x| cross_entropy(x, there, 0.1)), expected);
    }
}

/// Logits that somebody else still looks at are left alone, forward and backward; those of one who doesn't may be changed.
#[test]
fn inputs_stay() {
    let device = device().autodiff();
    let logits = scattered([5, 7], &device).require_grad();
    let before = read(logits.clone().inner());
    let loss = cross_entropy(logits.clone(), labels(5, 7, &device), 0.1).sum() + (logits.clone() * 2.0).sum();
    let gradients = loss.backward();
    assert_close(&read(logits.clone().inner()), &before, 0.0);
    let ours = read(logits.grad(&gradients).expect("it takes part") - 2.0);
    let weight = Tensor::ones([5], &device);
    let [_, expected] = run(&logits, &weight, |x| cross_entropy(x * 1.0, labels(5, 7, &device), 0.1));
    assert_within(&ours, &expected, 2e-7);
}

#[test]
fn turned_logits_are_read_as_they_look() {
    agrees(&scattered([67, 31], &device().autodiff()).transpose());
    agrees(&scattered([67, 31], &device().autodiff()).narrow(0, 5, 20));
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_same_on_any_threads(|| {
        let device = device().autodiff();
        let (logits, weight) = (scattered([6_007, 11], &device), scattered([6_007], &device));
        run(&logits, &weight, |x| cross_entropy(x, labels(6_007, 11, &device), 0.1))
    });
}

#[test]
#[should_panic(expected = "out of bounds for dimension of size 3")]
fn a_label_beyond_the_classes_is_refused() {
    let device = device();
    let logits = scattered([1, 3], &device);
    assert!(super::is_accelerated(&logits), "out of bounds for dimension of size 3: only flex checks");
    cross_entropy(logits, Tensor::from_ints([3], &device), 0.0);
}

#[test]
#[should_panic(expected = "cross entropy needs one label per sample")]
fn another_number_of_labels_is_refused() {
    let device = device();
    cross_entropy(scattered([2, 3], &device), Tensor::from_ints([0], &device), 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(samples in 1usize..40, classes in 1usize..70, swap: bool) {
        let logits = scattered([samples, classes], &device().autodiff());
        agrees(&if swap { logits.transpose() } else { logits });
    }
}
