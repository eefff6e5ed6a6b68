use burn::tensor::Tensor;
use libellus_backend::testing::{assert_close, device, read};

use super::{
    AdamAverages, AdamStep, SgdDirection, SgdStep, adam_step, composed_adam, composed_sgd, sgd_step,
};
use crate::testing::scattered;

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
