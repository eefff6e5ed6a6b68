use burn::tensor::{Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::{Function, apply, composed};
use crate::testing::{assert_same_on_any_threads, golden, narrow, numbers, scattered};

const SMOOTH: [(Function, &str); 7] = [
    (Function::Gelu, "gelu"),
    (Function::GeluTanh, "gelu_tanh"),
    (Function::QuickGelu, "quick_gelu"),
    (Function::Silu, "silu"),
    (Function::Sigmoid, "sigmoid"),
    (Function::Tanh, "tanh"),
    (Function::Exp, "exp"),
];

const RECTIFIERS: [(Function, &str); 5] = [
    (Function::Relu, "relu"),
    (Function::LeakyRelu, "leaky_relu"),
    (Function::Relu6, "relu6"),
    (Function::HardSigmoid, "hard_sigmoid"),
    (Function::HardSwish, "hard_swish"),
];

fn functions() -> impl Iterator<Item = Function> {
    SMOOTH.iter().chain(&RECTIFIERS).map(|(function, _)| *function)
}

/// The value and the slope of each element.
fn value_and_slope<const D: usize>(
    input: Tensor<D>,
    function: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> (TensorData, TensorData) {
    let input = input.require_grad();
    let output = function(input.clone());
    let slope = input.grad(&output.clone().sum().backward()).expect("the input takes part");
    (read(output.inner()), read(slope))
}

/// 5e-7 of the largest value: a few roundings of f32. For burn's own, which the other backends run, ten times that; there the
/// slopes of rectifiers at their corners are others than torch's.
#[test]
fn values_and_slopes_of_torch_in_f64() {
    let device = device().autodiff();
    let accelerated = super::is_accelerated(&scattered([1], &device));
    let tolerance = if accelerated { 5e-7 } else { 5e-6 };
    for (file, functions) in [("activations", &SMOOTH[..]), ("rectifiers", &RECTIFIERS)] {
        let bytes = golden(file);
        let tensors = SafeTensors::deserialize(&bytes).expect("a valid file");
        let input = narrow(&numbers(&tensors, "input"));
        for (function, name) in functions {
            let (value, slope) =
                value_and_slope(Tensor::<1>::from_data(input.clone(), &device), |x| apply(x, *function));
            assert_close(&value, &numbers(&tensors, &format!("{name}.value")), tolerance);
            if accelerated || file == "activations" {
                assert_close(&slope, &numbers(&tensors, &format!("{name}.slope")), tolerance);
            }
        }
    }
}

/// Infinities, NaN, subnormal numbers and 1e30 give what torch gives in f64, to a rounding. Other backends have burn's values.
#[test]
fn extremes() {
    for (file, functions) in [("activations", &SMOOTH[..]), ("rectifiers", &RECTIFIERS)] {
        let bytes = golden(file);
        let tensors = SafeTensors::deserialize(&bytes).expect("a valid file");
        let input = Tensor::<1>::from_data(narrow(&numbers(&tensors, "extremes")), &device());
        if !super::is_accelerated(&input) {
            return;
        }
        for (function, name) in functions {
            let actual = read(apply(input.clone(), *function));
            let expected = numbers(&tensors, &format!("{name}.extremes"));
            for ((x, actual), expected) in
                read(input.clone()).iter::<f32>().zip(actual.iter::<f32>()).zip(expected.iter::<f32>())
            {
                let same = actual == expected || actual.is_nan() && expected.is_nan();
                // A subnormal number times 0.5, or a large one times 0.01, may round either way.
                let close = expected.is_finite()
                    && (actual - expected).abs() <= (f32::EPSILON * expected.abs()).max(1e-44);
                assert!(same || close, "{name}({x}) is {actual} instead of {expected}");
            }
        }
    }
}

#[test]
fn slopes_at_large_numbers_are_finite() {
    let device = device().autodiff();
    for (function, low, high) in [
        (Function::Relu, 0.0, 1.0),
        (Function::LeakyRelu, 0.01_f32, 1.0),
        (Function::Relu6, 0.0, 0.0),
        (Function::HardSigmoid, 0.0, 0.0),
        (Function::HardSwish, 0.0, 1.0),
        (Function::Gelu, 0.0, 1.0),
        (Function::GeluTanh, 0.0, 1.0),
        (Function::QuickGelu, 0.0, 1.0),
        (Function::Silu, 0.0, 1.0),
        (Function::Sigmoid, 0.0, 0.0),
        (Function::Tanh, 0.0, 0.0),
    ] {
        let input = Tensor::<1>::from_floats([-1e30, 1e30], &device);
        if !super::is_accelerated(&input) {
            return;
        }
        let (_, slope) = value_and_slope(input, |x| apply(x, function));
        assert_close(&slope, &TensorData::from([low, high]), 0.0);
    }
}

/// Sizes around the width of a vector and the length of a chunk, and none at all.
#[test]
fn sizes_at_the_edges() {
    let device = device().autodiff();
    for len in [0, 1, 2, 7, 8, 15, 16, 17, 31, 33, 127, 16_383, 16_384, 16_385, 2 * 16_384 + 3] {
        let input = scattered([len], &device);
        for function in functions() {
            agrees(input.clone(), function);
        }
    }
}

#[test]
fn views_are_read_as_they_look() {
    let device = device().autodiff();
    for function in functions() {
        let cube = scattered([3, 5, 7], &device);
        agrees(cube.clone().swap_dims(0, 2), function);
        agrees(cube.clone().slice([1..3, 0..5, 2..5]), function);
        agrees(cube.clone().slice([1..2, 0..5, 0..7]), function);
        agrees(cube.slice([0..1, 0..1, 0..7]).expand([4, 5, 7]), function);
    }
}

/// The function is that of burn, in value and slope: 5e-6 of the largest, since burn's approximate GELU and sigmoid
/// lose a few digits.
#[track_caller]
fn agrees<const D: usize>(input: Tensor<D>, function: Function) {
    let (value, slope) = value_and_slope(input.clone().detach(), |x| apply(x, function));
    let (expected_value, expected_slope) = value_and_slope(input.detach(), |x| composed(x, function));
    assert_close(&value, &expected_value, 5e-6);
    assert_close(&slope, &expected_slope, 5e-6);
}

/// Memory that somebody else still looks at is left alone; memory of a part of a tensor as well.
#[test]
fn inputs_stay() {
    let device = device();
    let input = scattered([5, 7], &device);
    let before = read(input.clone());
    for function in functions() {
        let whole = read(apply(input.clone(), function));
        let part = read(apply(input.clone().slice(1..3), function));
        assert_close(&read(input.clone()), &before, 0.0);
        let rows: Vec<f32> = whole.iter::<f32>().skip(7).take(14).collect();
        assert_close(&part, &TensorData::new(rows, [2, 7]), 0.0);
    }
}

#[test]
fn a_gradient_reaches_every_use_of_a_tensor() {
    let input = scattered([11], &device().autodiff()).require_grad();
    let output = apply(input.clone(), Function::Silu) * apply(input.clone(), Function::Tanh);
    let gradient = read(input.grad(&output.sum().backward()).expect("a gradient"));
    let burn = scattered([11], &device().autodiff()).require_grad();
    let output = composed(burn.clone(), Function::Silu) * composed(burn.clone(), Function::Tanh);
    let expected = read(burn.grad(&output.sum().backward()).expect("a gradient"));
    assert_close(&gradient, &expected, 5e-6);
}

/// Elements are independent of one another, so the number of threads changes nothing at all.
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_same_on_any_threads(|| {
        let results = functions().map(|function| {
            value_and_slope(scattered([3, 20_011], &device().autodiff()), |x| apply(x, function))
        });
        results.collect::<Vec<_>>()
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(a in 0usize..6, b in 0usize..40, c in 0usize..70, which in 0..SMOOTH.len() + RECTIFIERS.len(), swap: bool) {
        let input = scattered([a, b, c], &device().autodiff());
        // burn-cubecl 0.22.1 panics where it looks whether a tensor of nothing is contiguous.
        prop_assume!(a * b * c > 0 || super::is_accelerated(&input));
        let input = if swap { input.swap_dims(1, 2) } else { input };
        agrees(input, functions().nth(which).expect("one of them"));
    }
}
