use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use libellus_backend::testing::{assert_agrees, assert_close, device, read};

use super::*;

/// Two images of two channels with two pixels: the first channel holds 1, 3, 5, 7, the second ten times that.
fn input(device: &Device) -> Tensor<4> {
    let values = vec![1.0f32, 3.0, 10.0, 30.0, 5.0, 7.0, 50.0, 70.0];
    Tensor::from_data(TensorData::new(values, [2, 2, 1, 2]), device)
}

/// Mean 4 and 40; the squared distances of the first channel are 9, 1, 1, 9: the biased variance is 5, the unbiased
/// 20/3. After one step of weight 0.1 from 0 and 1, by hand.
#[test]
fn running_statistics_are_pytorchs() {
    let layer = BatchNormConfig::new(2).init(&device().autodiff());
    let _ = layer.forward(input(&device().autodiff()));
    assert_close(&read(layer.running_mean.value()), &TensorData::from([0.4f32, 4.0]), 1e-6);
    let variance = [0.9 + 0.1 * 20.0 / 3.0, 0.9 + 0.1 * 2000.0 / 3.0].map(|value| value as f32);
    assert_close(&read(layer.running_var.value()), &TensorData::from(variance), 1e-6);
}

#[test]
fn training_normalises_by_the_biased_variance_of_the_batch() {
    let layer = BatchNormConfig::new(2).with_epsilon(0.0).init(&device().autodiff());
    let output = layer.forward(input(&device().autodiff()));
    let unit = 5.0f32.sqrt().recip();
    let expected = [-3.0, -1.0, -3.0, -1.0, 1.0, 3.0, 1.0, 3.0].map(|distance| distance * unit);
    assert_close(&read(output), &TensorData::new(expected.to_vec(), [2, 2, 1, 2]), 1e-6);
}

#[test]
fn evaluation_uses_the_running_statistics_and_leaves_them() {
    let training = device().autodiff();
    let layer = BatchNormConfig::new(2).init(&training);
    let _ = layer.forward(input(&training));
    let before = read(layer.running_var.value());
    let expected = (input(&device()) - layer.running_mean.value().reshape([1, 2, 1, 1]))
        / (layer.running_var.value() + 1e-5).sqrt().reshape([1, 2, 1, 1]);
    let expected = read(expected);
    assert_close(&read(layer.valid().forward(input(&device()))), &expected, 1e-6);
    // Frozen, on the device on which the rest of the model trains.
    let frozen = layer.freeze();
    assert_close(&read(frozen.forward(input(&training))), &expected, 1e-6);
    assert_eq!(read(frozen.running_var.value()), before);
}

#[test]
fn a_single_value_leaves_the_variance_alone() {
    let device = device().autodiff();
    let layer = BatchNormConfig::new(3).init(&device);
    let output = layer.forward(Tensor::<2>::full([1, 3], 5.0, &device));
    assert_eq!(read(output), TensorData::from([[0.0f32, 0.0, 0.0]]));
    assert_eq!(read(layer.running_var.value()), TensorData::from([1.0f32, 1.0, 1.0]));
    assert_close(&read(layer.running_mean.value()), &TensorData::from([0.5f32, 0.5, 0.5]), 1e-6);
}

/// burn's own state would show the value before the latest update here.
#[test]
fn a_record_holds_the_latest_statistics() {
    let device = device().autodiff();
    let layer = BatchNormConfig::new(2).init(&device);
    let _ = layer.forward(input(&device));
    let copy = BatchNormConfig::new(2).init(&device).load_record(layer.clone().into_record());
    assert_eq!(read(copy.running_mean.value()), read(layer.running_mean.value()));
    assert_eq!(read(copy.running_var.value()), read(layer.running_var.value()));
}

#[test]
fn clones_are_independent() {
    let device = device().autodiff();
    let layer = BatchNormConfig::new(2).init(&device);
    let clone = layer.clone();
    let _ = clone.forward(input(&device));
    assert_eq!(read(layer.running_mean.value()), TensorData::from([0.0f32, 0.0]));
}

#[test]
fn running_statistics_are_no_parameters() {
    let layer = BatchNormConfig::new(7).init(&device().autodiff());
    assert_eq!(layer.num_params(), 14);
    assert!(!layer.running_mean.value().is_autodiff());
}

#[test]
fn gradients_agree_with_the_reference() {
    // Two statistics over eight values and a handful of products.
    assert_agrees(1e-5, |device| {
        let device = device.clone().autodiff();
        let layer = BatchNormConfig::new(2).init(&device);
        let input = input(&device).require_grad();
        let weights = input.clone().detach().powi_scalar(2);
        let gradients = (layer.forward(input.clone()) * weights).sum().backward();
        read(input.grad(&gradients).expect("the input requires it"))
    });
}
