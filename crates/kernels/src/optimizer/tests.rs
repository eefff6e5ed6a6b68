use burn::tensor::{Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};

use super::{
    AdamAverages, AdamStep, LionStep, SgdDirection, SgdStep, adam_step, composed_adam, composed_lion,
    composed_sgd, lion_step, scale, sgd_step, sum_of_squares,
};
use crate::testing::{assert_same_on_any_threads, scattered};

/// Around the length of a vector and of a chunk, and none at all.
const LENGTHS: [usize; 8] = [0, 1, 17, 67, 16_383, 16_384, 16_385, 50_021];

fn zeros(len: usize) -> Tensor<1> {
    Tensor::zeros([len], &device())
}

/// Gradients that differ from step to step.
fn gradient(len: usize, step: usize) -> Tensor<1> {
    (scattered([len], &device()) + step as f32).sin()
}

/// Bit by bit: every operation is rounded as in the composition. Other backends may have another square root.
#[test]
fn adam_is_the_composed_one() {
    for (len, amsgrad) in LENGTHS.into_iter().flat_map(|len| [(len, false), (len, true)]) {
        for [shrink, decay] in [[1.0, 0.0], [0.999, 0.0], [1.0, 0.03]] {
            let step = AdamStep { betas: [0.9, 0.98], shrink, decay, size: 1e-2, eps: 1e-7 };
            let start = || {
                let largest = amsgrad.then(|| zeros(len));
                (scattered([len], &device()), AdamAverages { first: zeros(len), second: zeros(len), largest })
            };
            let (mut actual, mut expected) = (start(), start());
            for time in 0..3 {
                actual = adam_step(actual.0, gradient(len, time), actual.1, step);
                expected = composed_adam(expected.0, gradient(len, time), expected.1, step);
            }
            assert_close(&read(actual.0), &read(expected.0), 0.0);
            assert_close(&read(actual.1.first), &read(expected.1.first), 0.0);
            assert_close(&read(actual.1.second), &read(expected.1.second), 0.0);
            if let (Some(actual), Some(expected)) = (actual.1.largest, expected.1.largest) {
                assert_close(&read(actual), &read(expected), 0.0);
            }
        }
    }
}

#[test]
fn gradient_descent_is_the_composed_one() {
    let cases = [
        (None, SgdDirection::Velocity),
        (Some(0.0), SgdDirection::Velocity),
        (Some(0.3), SgdDirection::Velocity),
        (Some(0.0), SgdDirection::LookAhead),
    ];
    for (len, (dampening, direction)) in LENGTHS.into_iter().flat_map(|len| cases.map(|case| (len, case))) {
        for decay in [0.0, 0.03] {
            let (velocity, dampening) = (dampening.map(|_| zeros(len)), dampening.unwrap_or(0.0));
            let step = SgdStep { lr: 0.1, decay, momentum: 0.9, dampening, direction };
            let mut actual = (scattered([len], &device()), velocity.clone());
            let mut expected = actual.clone();
            for time in 0..3 {
                actual = sgd_step(actual.0, gradient(len, time), actual.1, step);
                expected = composed_sgd(expected.0, gradient(len, time), expected.1, step);
            }
            assert_close(&read(actual.0), &read(expected.0), 0.0);
            if let (Some(actual), Some(expected)) = (actual.1, expected.1) {
                assert_close(&read(actual), &read(expected), 0.0);
            }
        }
    }
}

/// What somebody else still looks at, as a moving average of the weights does, is left alone.
#[test]
fn shared_tensors_stay() {
    let parameter = scattered([5, 7], &device());
    let averages = AdamAverages {
        first: parameter.clone() * 0.5,
        second: parameter.clone().square(),
        largest: Some(parameter.clone().square()),
    };
    let before = [&parameter, &averages.first, &averages.second].map(|x| read(x.clone()));
    let step = AdamStep { betas: [0.9, 0.98], shrink: 0.9, decay: 0.0, size: 1e-2, eps: 1e-7 };
    let (after, _) = adam_step(parameter.clone(), parameter.clone(), averages.clone(), step);
    let step =
        SgdStep { lr: 0.1, decay: 0.0, momentum: 0.9, dampening: 0.0, direction: SgdDirection::Velocity };
    sgd_step(parameter.clone(), parameter.clone(), Some(averages.first.clone()), step);
    for (tensor, before) in [&parameter, &averages.first, &averages.second].into_iter().zip(&before) {
        assert_close(&read(tensor.clone()), before, 0.0);
    }
    assert_ne!(read(after), before[0]);
}

/// Strided parameters and gradients, as loaded and transposed ones are.
#[test]
fn views_are_read_as_they_look() {
    let parameter = scattered([5, 7], &device()).transpose();
    let gradient = scattered([7, 5], &device()).sin();
    let step =
        SgdStep { lr: 0.1, decay: 0.01, momentum: 0.0, dampening: 0.0, direction: SgdDirection::Velocity };
    let (actual, _) = sgd_step(parameter.clone(), gradient.clone(), None, step);
    let (expected, _) = composed_sgd(parameter, gradient, None, step);
    assert_close(&read(actual), &read(expected), 0.0);
}

#[test]
fn lion_is_the_composed_one() {
    for (len, shrink) in LENGTHS.into_iter().flat_map(|len| [(len, 1.0), (len, 0.997)]) {
        let step = LionStep { betas: [0.9, 0.99], shrink, lr: 1e-2 };
        let start = || (scattered([len], &device()), zeros(len));
        let (mut actual, mut expected) = (start(), start());
        for time in 0..3 {
            actual = lion_step(actual.0, gradient(len, time), actual.1, step);
            expected = composed_lion(expected.0, gradient(len, time), expected.1, step);
        }
        assert_close(&read(actual.0), &read(expected.0), 0.0);
        assert_close(&read(actual.1), &read(expected.1), 0.0);
    }
}

/// Whatever the size of a gradient, the parameter moves by the learning rate; without a sign it stays.
#[test]
fn lion_goes_by_the_sign() {
    let device = device();
    let gradient = [f32::INFINITY, -1e-30, 0.0, -0.0, f32::NEG_INFINITY, 3.0];
    let parameter = Tensor::<1>::zeros([6], &device);
    let step = LionStep { betas: [0.5, 0.5], shrink: 1.0, lr: 0.25 };
    let (moved, _) = lion_step(parameter.clone(), Tensor::from_floats(gradient, &device), parameter, step);
    assert_close(&read(moved), &TensorData::from([-0.25_f32, 0.25, 0.0, 0.0, 0.25, -0.25]), 0.0);
    // Of NaN, burn says 0; other backends have their own opinion.
    let nan = Tensor::<1>::from_floats([f32::NAN], &device);
    if super::is_fast(&nan) {
        let (moved, momentum) = lion_step(Tensor::ones([1], &device), nan, Tensor::zeros([1], &device), step);
        assert_close(&read(moved), &TensorData::from([1.0_f32]), 0.0);
        assert!(momentum.into_scalar::<f32>().is_nan());
    }
}

/// Whole numbers, so that the sums are exact.
#[test]
fn squares_are_summed() {
    let device = device();
    for len in LENGTHS {
        let numbers: Vec<f32> = (0..len).map(|index| (index * 7 % 13) as f32 - 6.0).collect();
        let expected: f32 = numbers.iter().map(|x| x * x).sum();
        let tensor = Tensor::<1>::from_data(TensorData::new(numbers, [len]), &device);
        if len == 0 && !super::is_fast(&tensor) {
            continue;
        }
        assert_close(&read(sum_of_squares(tensor)), &TensorData::from([expected]), 0.0);
    }
    let turned = Tensor::<2>::from_floats([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], &device).transpose();
    let part = turned.narrow(0, 1, 2);
    assert_close(&read(sum_of_squares(part)), &TensorData::from([4.0_f32 + 9.0 + 25.0 + 36.0]), 0.0);
    let huge = Tensor::<1>::from_floats([1e30, 1.0], &device);
    assert_eq!(sum_of_squares(huge).into_scalar::<f32>(), f32::INFINITY);
}

/// A million equal numbers, whose roundings all go the same way: added up one by one in 32 bits, they would be off by 1e-2. Here 512
/// are, whose sum is off by up to 1e-5.
#[test]
fn squares_of_many_numbers_keep_their_digits() {
    let tensor = Tensor::<1>::full([1_000_003], 0.1, &device());
    if super::is_fast(&tensor) {
        let expected = TensorData::from([1_000_003.0 * f64::from(0.1_f32).powi(2)]);
        assert_close(&read(sum_of_squares(tensor)), &expected, 1e-5);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_same_on_any_threads(|| {
        let tensor = scattered([50_021], &device()).sin();
        read(sum_of_squares(tensor))
    });
}

#[test]
fn scaling_is_a_product() {
    let device = device();
    for len in LENGTHS {
        for factor in [0.3, 1.0, 0.0] {
            let tensor = scattered([len], &device);
            let expected = tensor.clone().mul_scalar(factor);
            let actual = scale(tensor.clone(), Tensor::from_floats([factor], &device));
            assert_close(&read(actual), &read(expected), 0.0);
            // Somebody else's memory.
            assert_close(&read(tensor), &read(scattered([len], &device)), 0.0);
        }
    }
    let turned = scattered([5, 7], &device).transpose();
    let actual = scale(turned.clone(), Tensor::from_floats([0.3], &device));
    assert_close(&read(actual), &read(turned.mul_scalar(0.3)), 0.0);
    let finite = Tensor::<1>::from_floats([1.0, -2.0], &device);
    let nan = read(scale(finite, Tensor::from_floats([f32::NAN], &device)));
    assert!(nan.iter::<f32>().all(f32::is_nan));
}

#[test]
#[should_panic(expected = "a step of Lion needs equal shapes")]
fn lion_refuses_other_shapes() {
    let step = LionStep { betas: [0.9, 0.99], shrink: 1.0, lr: 0.1 };
    lion_step(zeros(5), zeros(5), zeros(7), step);
}
