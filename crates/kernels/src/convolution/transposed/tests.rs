use burn::tensor::ops::ConvTransposeOptions;
use burn::tensor::{Tensor, TensorData, module};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::{conv_transpose2d, transposed_of};
use crate::device::is_accelerated;
use crate::testing::{assert_same_on_any_threads, fractions, golden, in_f64, numbers, weighted_results};

/// A few roundings of f32.
const EXACT: f64 = 2e-6;
/// Several more, in Winograd's transforms.
const WINOGRAD: f64 = 2e-5;

/// A transposed convolution to try: input, weight and options.
#[derive(Debug, Clone)]
struct Case {
    input: [usize; 4],
    weight: [usize; 4],
    options: ConvTransposeOptions<2>,
    tolerance: f64,
}

/// With so many pixels of stride, padding and output padding.
fn case(input: [usize; 4], weight: [usize; 4], [stride, padding, padding_out]: [usize; 3]) -> Case {
    let options = ConvTransposeOptions::new([stride; 2], [padding; 2], [padding_out; 2], [1, 1], 1);
    Case { input, weight, options, tolerance: EXACT }
}

fn grouped(case: Case, groups: usize) -> Case {
    Case { options: ConvTransposeOptions { groups, ..case.options.clone() }, ..case }
}

fn dilated(case: Case, dilation: [usize; 2]) -> Case {
    Case { options: ConvTransposeOptions { dilation, ..case.options.clone() }, ..case }
}

/// One that Winograd's transforms take.
fn winograd(input: [usize; 4], channels_out: usize, padding: usize) -> Case {
    Case { tolerance: WINOGRAD, ..case(input, [input[1], channels_out, 3, 3], [1, padding, 0]) }
}

type Convolution = fn(Tensor<4>, Tensor<4>, Option<Tensor<1>>, ConvTransposeOptions<2>) -> Tensor<4>;

/// The output and the gradients of input, weight and bias.
fn output_and_gradients(case: &Case, convolution: Convolution) -> [(&'static str, TensorData); 4] {
    let device = device().autodiff();
    let (input, weight) = (fractions(case.input, 1, &device), fractions(case.weight, 2, &device));
    let bias = fractions([case.weight[1] * case.options.groups], 3, &device);
    let factors = |shape, device: &_| fractions(shape, 4, device);
    let results = weighted_results(input, weight, Some(bias), factors, |input, weight, bias| {
        convolution(input, weight, bias, case.options.clone())
    });
    results.try_into().expect("there is a bias")
}

/// Twice the tolerance of golden numbers, whose sums are shorter.
#[track_caller]
fn agrees(case: &Case) {
    if !is_accelerated(&fractions([1], 1, &device())) {
        return;
    }
    let expected = output_and_gradients(case, |input, weight, bias, options| {
        in_f64(input, weight, bias, |input, weight, bias| {
            module::conv_transpose2d(input, weight, bias, options)
        })
    });
    for ((_, actual), (_, expected)) in output_and_gradients(case, conv_transpose2d).iter().zip(&expected) {
        assert_close(actual, expected, 2.0 * case.tolerance);
    }
}

#[test]
fn numbers_of_torch_in_f64() {
    let bytes = golden("conv_transpose");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    for (name, case) in [
        ("doubling", case([2, 5, 3, 4], [5, 3, 2, 2], [2, 0, 0])),
        ("odd", case([2, 3, 5, 7], [3, 4, 3, 3], [1, 1, 0])),
        ("strided", case([1, 4, 5, 6], [4, 3, 3, 3], [2, 1, 1])),
        ("overlapping", case([1, 6, 4, 5], [6, 5, 4, 4], [2, 1, 0])),
        ("pointwise", case([2, 13, 5, 3], [13, 11, 1, 1], [1, 0, 0])),
        ("spread", case([1, 3, 4, 5], [3, 2, 1, 1], [2, 0, 1])),
        ("dilated", dilated(case([1, 2, 6, 5], [2, 3, 3, 3], [1, 2, 0]), [3, 3])),
        ("grouped", grouped(case([1, 16, 5, 4], [16, 8, 3, 3], [2, 1, 0]), 2)),
        ("depthwise", grouped(case([2, 3, 5, 7], [3, 1, 3, 3], [2, 1, 1]), 3)),
        ("winograd", winograd([1, 33, 6, 5], 32, 1)),
    ] {
        for (part, actual) in output_and_gradients(&case, conv_transpose2d) {
            assert_close(&actual, &numbers(&file, &format!("{name}.{part}")), case.tolerance);
        }
    }
}

/// By hand: two pixels, each a kernel of its own, which overlap in the middle.
#[test]
fn each_pixel_adds_its_multiple_of_the_kernel() {
    let device = device();
    let input = Tensor::<4>::from_data([[[[1.0f32, 10.0]]]], &device);
    let weight = Tensor::<4>::from_data([[[[1.0f32, 2.0, 3.0]]]], &device);
    let bias = Tensor::<1>::from_data([0.5f32], &device);
    let options = ConvTransposeOptions::new([1, 2], [0, 0], [0, 0], [1, 1], 1);
    let output = conv_transpose2d(input, weight, Some(bias), options);
    let expected = TensorData::from([[[[1.5f32, 2.5, 13.5, 20.5, 30.5]]]]);
    assert_close(&read(output), &expected, 0.0);
}

/// Sizes around those of registers, strips, lines and parts.
#[test]
fn sizes_at_the_edges() {
    for case in [
        case([1, 1, 1, 1], [1, 1, 1, 1], [1, 0, 0]),
        case([37, 4, 1, 1], [4, 6, 3, 3], [1, 1, 0]),
        case([2, 31, 4, 8], [31, 33, 1, 1], [1, 0, 0]),
        case([1, 32, 3, 11], [32, 15, 1, 1], [3, 0, 2]),
        case([3, 17, 7, 5], [17, 19, 2, 2], [2, 0, 0]),
        case([1, 130, 5, 6], [130, 7, 3, 3], [2, 1, 1]),
        case([1, 3, 8, 10], [3, 16, 4, 4], [4, 0, 3]),
        case([1, 20, 4, 4], [20, 70, 4, 4], [2, 1, 0]),
        grouped(case([2, 24, 5, 4], [24, 8, 3, 3], [2, 1, 0]), 3),
        grouped(case([2, 6, 5, 4], [6, 2, 3, 3], [2, 1, 0]), 3),
        grouped(case([2, 5, 9, 16], [5, 1, 4, 4], [2, 1, 0]), 5),
        dilated(case([2, 3, 7, 11], [3, 5, 3, 3], [2, 1, 0]), [2, 3]),
        case([2, 33, 7, 9], [33, 40, 3, 3], [2, 1, 0]),
        case([1, 40, 6, 5], [40, 33, 3, 3], [2, 1, 1]),
        case([3, 35, 5, 7], [35, 32, 4, 4], [2, 1, 0]),
        case([1, 64, 9, 6], [64, 47, 4, 4], [2, 1, 1]),
        winograd([2, 33, 7, 9], 40, 0),
        winograd([1, 64, 13, 17], 47, 2),
    ] {
        agrees(&case);
    }
}

/// An output padding of a stride or more leaves pixels that no kernel reaches: burn's way.
#[test]
fn a_large_output_padding() {
    let large = dilated(case([1, 3, 4, 5], [3, 2, 3, 3], [2, 1, 2]), [3, 3]);
    assert_eq!(transposed_of(large.input, large.weight, &large.options), None);
    agrees(&large);
}

#[test]
fn without_a_bias() {
    let device = device();
    let (input, weight) = (fractions([2, 5, 4, 3], 1, &device), fractions([5, 3, 2, 2], 2, &device));
    let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
    let output = read(conv_transpose2d(input.clone(), weight.clone(), None, options.clone()));
    assert_close(&output, &read(module::conv_transpose2d(input, weight, None, options)), EXACT);
}

#[test]
fn an_empty_batch() {
    if !is_accelerated(&fractions([1], 1, &device())) {
        return;
    }
    for case in [case([0, 4, 5, 5], [4, 3, 2, 2], [2, 0, 0]), winograd([0, 32, 5, 5], 32, 1)] {
        let [(_, output), _, (_, weight), (_, bias)] = output_and_gradients(&case, conv_transpose2d);
        assert_eq!(output.shape()[0], 0);
        assert!(weight.iter::<f32>().chain(bias.iter::<f32>()).all(|number| number == 0.0));
    }
}

#[test]
fn a_wrong_number_of_channels_panics_as_in_burn() {
    let device = device();
    let (input, weight) = (fractions([1, 3, 5, 5], 1, &device), fractions([4, 2, 3, 3], 2, &device));
    let options = ConvTransposeOptions::new([1, 1], [1, 1], [0, 0], [1, 1], 1);
    let outcome = std::panic::catch_unwind(move || conv_transpose2d(input, weight, None, options));
    assert!(outcome.is_err());
}

#[test]
fn views_are_read_as_they_look() {
    let device = device();
    let options = ConvTransposeOptions::new([2, 2], [1, 1], [0, 0], [1, 1], 1);
    let input = fractions([2, 5, 9, 7], 1, &device).swap_dims(2, 3);
    let weight = fractions([3, 5, 3, 3], 2, &device).swap_dims(0, 1);
    let output = read(conv_transpose2d(input.clone(), weight.clone(), None, options.clone()));
    assert_close(&output, &read(module::conv_transpose2d(input, weight, None, options)), EXACT);
}

#[test]
fn nan_and_infinity_reach_as_far_as_the_kernel() {
    let device = device();
    for special in [f32::NAN, f32::INFINITY] {
        let spot = Tensor::from_data(TensorData::from([[[[special]]]]), &device);
        let input = fractions([1, 3, 7, 9], 1, &device).slice_assign([0..1, 1..2, 4..5, 6..7], spot);
        let weight = fractions([3, 2, 2, 2], 2, &device);
        let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
        let output = read(conv_transpose2d(input, weight, None, options));
        for (index, number) in output.iter::<f32>().enumerate() {
            let (row, column) = (index / 18 % 14, index % 18);
            assert_eq!(number.is_finite(), [row / 2, column / 2] != [4, 6], "{number} at {row}, {column}");
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let cases = [
        case([3, 17, 12, 9], [17, 19, 3, 3], [2, 1, 1]),
        case([2, 40, 14, 14], [40, 33, 2, 2], [2, 0, 0]),
        case([2, 40, 14, 14], [40, 33, 4, 4], [2, 1, 0]),
        winograd([2, 64, 33, 29], 64, 1),
        grouped(case([2, 24, 11, 9], [24, 1, 3, 3], [2, 1, 0]), 24),
    ];
    if !is_accelerated(&fractions([1], 1, &device())) {
        return;
    }
    assert_same_on_any_threads(|| cases.clone().map(|case| output_and_gradients(&case, conv_transpose2d)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(
        batch in 1usize..4,
        groups in 1usize..4,
        channels in [1usize..20, 1usize..20],
        size in [1usize..14, 1usize..14],
        kernel in [1usize..5, 1usize..5],
        stride in [1usize..4, 1usize..4],
        padding in [0usize..4, 0usize..4],
        padding_out in [0usize..3, 0usize..3],
        dilation in [1usize..3, 1usize..3],
    ) {
        let padding_out = [0, 1].map(|axis| padding_out[axis].min(stride[axis] - 1));
        let whole = |axis: usize| {
            (size[axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1 + padding_out[axis]
        };
        prop_assume!((0..2).all(|axis| whole(axis) > 2 * padding[axis]));
        let options = ConvTransposeOptions::new(stride, padding, padding_out, dilation, groups);
        agrees(&Case {
            input: [batch, channels[0] * groups, size[0], size[1]],
            weight: [channels[0] * groups, channels[1], kernel[0], kernel[1]],
            options,
            tolerance: EXACT,
        });
    }
}
