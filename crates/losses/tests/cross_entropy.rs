//! Cross entropy against PyTorch's, and its properties.

use burn::tensor::{Int, Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use libellus_losses::{CrossEntropy, CrossEntropyConfig, LossError};
use safetensors::SafeTensors;

const GOLDEN: &[u8] = include_bytes!("golden/cross_entropy.safetensors");

/// Sums over a handful of classes, so a few units of f32's 6e-8 rounding; GPU drivers compute exp and log to a few more.
const TOLERANCE: f64 = 1e-6;

fn loss(label_smoothing: f64) -> CrossEntropy {
    CrossEntropyConfig { label_smoothing }.init().expect("smoothing within its range")
}

fn golden(name: &str) -> TensorData {
    let file = SafeTensors::deserialize(GOLDEN).expect("the golden file is whole");
    let view = file.tensor(name).expect("the golden file has this tensor");
    match view.dtype() {
        safetensors::Dtype::F32 => {
            let values: Vec<f32> = view
                .data()
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
                .collect();
            TensorData::new(values, view.shape())
        }
        other => panic!("{name} is {other:?}"),
    }
}

fn golden_labels() -> Vec<i64> {
    let file = SafeTensors::deserialize(GOLDEN).expect("the golden file is whole");
    let view = file.tensor("labels").expect("the golden file has labels");
    let label = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    view.data().chunks_exact(8).map(label).collect()
}

#[test]
fn values_and_gradients_equal_pytorch() {
    let device = device().autodiff();
    let labels = Tensor::<1, Int>::from_ints(golden_labels().as_slice(), &device);
    let targets = Tensor::<2>::from_data(golden("targets"), &device);
    for logits in ["ordinary", "extreme"] {
        for smoothing in [0.0, 0.1] {
            for kind in ["hard", "soft"] {
                let leaf =
                    Tensor::<2>::from_data(golden(&format!("{logits}.logits")), &device).require_grad();
                let value = match kind {
                    "hard" => loss(smoothing).forward(leaf.clone(), labels.clone()),
                    _ => loss(smoothing).forward_soft(leaf.clone(), targets.clone()),
                };
                let gradient = leaf.grad(&value.backward()).expect("the logits have a gradient");
                // `assert_close` lets no NaN or infinity pass for a number.
                let case = format!("{logits}.{kind}.{smoothing:?}");
                assert_close(&read(value), &golden(&format!("{case}.loss")), TOLERANCE);
                assert_close(&read(gradient), &golden(&format!("{case}.gradient")), TOLERANCE);
            }
        }
    }
}

#[test]
fn equals_a_hand_computed_value() {
    let device = device();
    // Softmax (1/4, 3/4): -ln(3/4) for class 1, -ln(1/4) for class 0.
    let logits = Tensor::<2>::from_floats([[0.0, 3.0f32.ln()]], &device);
    let value = |label: i32, smoothing| {
        let labels = Tensor::<1, Int>::from_ints([label], &device);
        loss(smoothing).forward(logits.clone(), labels).into_scalar::<f32>()
    };
    let (right, wrong) = (-(0.75f32.ln()), -(0.25f32.ln()));
    assert!((value(1, 0.0) - right).abs() < 1e-6);
    assert!((value(0, 0.0) - wrong).abs() < 1e-6);
    assert!((value(1, 0.2) - (0.9 * right + 0.1 * wrong)).abs() < 1e-6);
}

#[test]
fn is_zero_at_its_optimum() {
    let device = device();
    let logits = Tensor::<2>::from_floats([[200.0, 0.0, 0.0], [0.0, 0.0, 200.0]], &device);
    let labels = Tensor::<1, Int>::from_ints([0, 2], &device);
    let value = loss(0.0).forward(logits, labels);
    assert_close(&read(value), &TensorData::from([0.0f32]), 0.0);
}

#[test]
fn gradient_is_zero_where_the_softmax_equals_the_target() {
    let device = device().autodiff();
    let targets = Tensor::<2>::from_floats([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]], &device);
    let logits = targets.clone().log().require_grad();
    let value = loss(0.0).forward_soft(logits.clone(), targets);
    let gradient = logits.grad(&value.backward()).expect("the logits have a gradient");
    // Probabilities below 1 with a rounding of 6e-8 each.
    assert_close(&read(gradient), &TensorData::from([[0.0f32; 3]; 2]), 2e-7);
}

#[test]
fn soft_targets_of_one_class_are_labels() {
    let device = device();
    let logits = Tensor::<2>::from_floats([[0.5, -1.0, 2.0], [1.5, 0.25, -3.0]], &device);
    let labels = Tensor::<1, Int>::from_ints([2, 1], &device);
    let targets = Tensor::<2>::from_floats([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]], &device);
    for smoothing in [0.0, 0.3, 1.0] {
        let hard = read(loss(smoothing).forward(logits.clone(), labels.clone()));
        let soft = read(loss(smoothing).forward_soft(logits.clone(), targets.clone()));
        assert_close(&soft, &hard, TOLERANCE);
    }
}

#[test]
fn a_batch_is_the_mean_of_its_samples() {
    let device = device();
    let logits = Tensor::<2>::from_data(golden("ordinary.logits"), &device);
    let labels = golden_labels();
    let whole = Tensor::<1, Int>::from_ints(labels.as_slice(), &device);
    let batched = read(loss(0.1).forward(logits.clone(), whole));
    let singles: f32 = labels
        .iter()
        .enumerate()
        .map(|(sample, label)| {
            let row = logits.clone().narrow(0, sample, 1);
            loss(0.1).forward(row, Tensor::from_ints([*label], &device)).into_scalar::<f32>()
        })
        .sum();
    assert_close(&TensorData::from([singles / labels.len() as f32]), &batched, TOLERANCE);
}

#[test]
fn smoothing_outside_its_range_is_an_error() {
    for value in [-0.1, 1.5, f64::INFINITY] {
        let error = CrossEntropyConfig { label_smoothing: value }.init().err();
        assert_eq!(error, Some(LossError::LabelSmoothing { value }));
    }
    assert!(CrossEntropyConfig { label_smoothing: f64::NAN }.init().is_err());
    assert!(serde_json::from_str::<CrossEntropyConfig>(r#"{ "smoothing": 0.1 }"#).is_err());
}
