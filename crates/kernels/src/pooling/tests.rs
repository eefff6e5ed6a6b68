use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor, TensorData, module};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;

use super::max_pool2d;
use crate::testing::scattered;

fn windows(kernel: usize, stride: usize, padding: usize) -> MaxPoolOptions<2> {
    MaxPoolOptions {
        kernel_size: [kernel; 2],
        stride: [stride; 2],
        padding: [(padding, padding); 2],
        dilation: [1, 1],
        ceil_mode: false,
    }
}

fn value_and_gradient(
    input: Tensor<4>,
    pool: impl FnOnce(Tensor<4>) -> Tensor<4>,
) -> (TensorData, TensorData) {
    let input = input.require_grad();
    let output = pool(input.clone());
    let weight = scattered(output.dims(), &output.device());
    let gradients = (output.clone() * weight).sum().backward();
    (read(output.inner()), read(input.grad(&gradients).expect("the input takes part")))
}

/// Nothing but a choice and sums of a few gradients.
#[track_caller]
fn agrees(shape: [usize; 4], windows: MaxPoolOptions<2>) {
    let input = || scattered(shape, &device().autodiff());
    let (value, gradient) = value_and_gradient(input(), |x| max_pool2d(x, windows.clone()));
    let (expected_value, expected_gradient) = value_and_gradient(input(), |x| module::max_pool2d(x, windows));
    assert_close(&value, &expected_value, 0.0);
    assert_close(&gradient, &expected_gradient, 1e-6);
}

#[test]
fn the_same_as_burns() {
    agrees([2, 3, 7, 11], windows(3, 2, 1));
    agrees([1, 5, 8, 8], windows(2, 2, 0));
    agrees([3, 1, 37, 34], windows(3, 1, 1));
    agrees([1, 2, 9, 70], windows(5, 3, 2));
    agrees([1, 2, 1, 1], windows(1, 1, 0));
    agrees([2, 3, 13, 17], MaxPoolOptions { dilation: [2, 3], ..windows(3, 2, 1) });
    agrees([1, 2, 6, 40], MaxPoolOptions { kernel_size: [1, 4], stride: [1, 3], ..windows(1, 1, 0) });
    agrees([1, 2, 6, 7], MaxPoolOptions { padding: [(0, 0), (2, 2)], ..windows(4, 2, 0) });
    agrees([1, 2, 6, 7], MaxPoolOptions { padding: [(0, 1), (2, 0)], ..windows(4, 2, 0) });
    agrees([1, 2, 6, 7], MaxPoolOptions { ceil_mode: true, ..windows(3, 2, 1) });
}

/// Values of torch 2.15: the first of equal numbers gets the gradient, each of its windows'.
#[test]
fn the_first_of_equal_numbers_gets_the_gradient() {
    let image = [[[[1.0f32, 1.0, 0.0], [1.0, -2.0, 5.0], [5.0, 5.0, 5.0]]]];
    let input = Tensor::<4>::from_data(image, &device().autodiff()).require_grad();
    let output = max_pool2d(input.clone(), windows(2, 1, 0));
    let weight = Tensor::from_data([[[[1.0f32, 10.0], [100.0, 1000.0]]]], &output.device());
    let gradients = (output.clone() * weight).sum().backward();
    assert_close(&read(output.inner()), &TensorData::from([[[[1.0f32, 5.0], [5.0, 5.0]]]]), 0.0);
    let expected = [[[[1.0f32, 0.0, 0.0], [0.0, 0.0, 1010.0], [100.0, 0.0, 0.0]]]];
    assert_close(&read(input.grad(&gradients).expect("it takes part")), &TensorData::from(expected), 0.0);
}

#[test]
fn nan_and_infinities_are_seen() {
    let device = device();
    if !crate::device::is_accelerated(&scattered([1], &device)) {
        return;
    }
    let (nan, infinity) = (f32::NAN, f32::INFINITY);
    let input = Tensor::<4>::from_data([[[[nan, 3.0, 1.0, infinity], [2.0, -1.0, -infinity, 4.0]]]], &device);
    let expected = TensorData::from([[[[nan, 3.0, infinity]]]]);
    assert_close(&read(max_pool2d(input.clone(), windows(2, 1, 0))), &expected, 0.0);
    let nothing = Tensor::<4>::from_data([[[[-infinity; 3]; 3]]], &device);
    let output = read(max_pool2d(nothing, windows(3, 2, 1)));
    assert_close(&output, &TensorData::from([[[[-infinity; 2]; 2]]]), 0.0);
}

#[test]
fn a_batch_of_nothing_stays_nothing() {
    let device: Device = device();
    if crate::device::is_accelerated(&scattered([1], &device)) {
        let output = max_pool2d(Tensor::zeros([0, 3, 4, 4], &device), windows(2, 2, 0));
        assert_eq!(output.dims(), [0, 3, 2, 2]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(
        batch in 1usize..3, channels in 1usize..4, height in 5usize..24, width in 5usize..40,
        kernel in 1usize..5, stride in 1usize..4, padding in 0usize..3,
    ) {
        agrees([batch, channels, height, width], windows(kernel, stride, padding.min(kernel / 2)));
    }
}
