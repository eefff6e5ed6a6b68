use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData, module};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::{ChannelNorm, Epilogue, Nonlinearity, conv2d, conv2d_fused};
use crate::device::is_accelerated;
use crate::testing::{assert_same_on_any_threads, fractions, golden, in_f64, numbers, weighted_results};
use crate::{Precision, PrepareInference, adaptive_avg_pool2d, max_pool2d, silu};

/// A few roundings of f32.
const EXACT: f64 = 2e-6;
/// Several more, in Winograd's transforms.
const WINOGRAD: f64 = 2e-5;

/// A convolution to try: input, weight and options.
#[derive(Debug, Clone)]
struct Case {
    input: [usize; 4],
    weight: [usize; 4],
    options: ConvOptions<2>,
    tolerance: f64,
}

fn case(input: [usize; 4], weight: [usize; 4], stride: usize, padding: usize) -> Case {
    let options = ConvOptions::new([stride; 2], [padding; 2], [1, 1], input[1] / weight[1].max(1));
    Case { input, weight, options, tolerance: EXACT }
}

/// One that Winograd's transforms take.
fn winograd(input: [usize; 4], channels_out: usize, padding: usize) -> Case {
    Case { tolerance: WINOGRAD, ..case(input, [channels_out, input[1], 3, 3], 1, padding) }
}

fn dilated(case: Case, dilation: [usize; 2]) -> Case {
    Case { options: ConvOptions { dilation, ..case.options.clone() }, ..case }
}

type Convolution = fn(Tensor<4>, Tensor<4>, Option<Tensor<1>>, ConvOptions<2>) -> Tensor<4>;

/// The output and the gradients of input, weight and bias.
fn output_and_gradients(case: &Case, convolution: Convolution) -> [(&'static str, TensorData); 4] {
    let device = device().autodiff();
    let (input, weight) = (fractions(case.input, 1, &device), fractions(case.weight, 2, &device));
    let bias = fractions([case.weight[0]], 3, &device);
    let factors = |shape, device: &_| fractions(shape, 4, device);
    let results = weighted_results(input, weight, Some(bias), factors, |input, weight, bias| {
        convolution(input, weight, bias, case.options.clone())
    });
    results.try_into().expect("there is a bias")
}

/// Twice the tolerance of golden numbers, whose sums are shorter. Where the numbers are burn's anyway there is nothing to compare.
#[track_caller]
fn agrees(case: &Case) {
    if !is_accelerated(&fractions([1], 1, &device())) {
        return;
    }
    let expected = output_and_gradients(case, |input, weight, bias, options| {
        in_f64(input, weight, bias, |input, weight, bias| module::conv2d(input, weight, bias, options))
    });
    for ((_, actual), (_, expected)) in output_and_gradients(case, conv2d).iter().zip(&expected) {
        assert_close(actual, expected, 2.0 * case.tolerance);
    }
}

#[test]
fn numbers_of_torch_in_f64() {
    let cases = [
        ("odd", case([2, 3, 7, 11], [5, 3, 3, 3], 1, 1)),
        ("strided", case([3, 5, 9, 7], [7, 5, 3, 3], 2, 1)),
        ("stem", case([1, 3, 17, 19], [5, 3, 7, 7], 2, 3)),
        ("pointwise", case([2, 13, 5, 3], [11, 13, 1, 1], 1, 0)),
        ("dilated", dilated(case([1, 2, 13, 11], [3, 2, 3, 3], 1, 2), [3, 3])),
        ("grouped", case([1, 16, 5, 7], [24, 8, 3, 3], 1, 1)),
        ("depthwise", case([2, 3, 9, 19], [3, 1, 3, 3], 1, 1)),
        ("depthwise_strided", case([1, 3, 11, 13], [3, 1, 5, 5], 2, 2)),
        ("winograd", winograd([1, 32, 6, 5], 33, 1)),
    ];
    let large = [
        ("strided_3x3", case([1, 32, 8, 7], [33, 32, 3, 3], 2, 1)),
        ("strided_4x4", case([1, 33, 9, 8], [32, 33, 4, 4], 2, 1)),
    ];
    let cases = cases.map(|(name, case)| ("convolution", name, case));
    for (file, name, case) in cases.into_iter().chain(large.map(|(name, case)| (name, name, case))) {
        let bytes = golden(file);
        let file = SafeTensors::deserialize(&bytes).expect("a valid file");
        for (part, actual) in output_and_gradients(&case, conv2d) {
            assert_close(&actual, &numbers(&file, &format!("{name}.{part}")), case.tolerance);
        }
    }
}

/// What follows the convolution, at random.
fn epilogue(shape: [usize; 4], parts: usize, nonlinearity: Nonlinearity, device: &Device) -> Epilogue {
    let of_channels = |seed| fractions([shape[1]], seed, device);
    Epilogue {
        bias: (parts & 1 != 0).then(|| of_channels(5)),
        norm: (parts & 2 != 0).then(|| ChannelNorm {
            gamma: of_channels(6),
            beta: of_channels(7),
            mean: of_channels(8),
            variance: of_channels(9) + 1.25,
            epsilon: 1e-3,
        }),
        residual: (parts & 4 != 0).then(|| fractions(shape, 10, device)),
        nonlinearity,
    }
}

/// On an autodiff device the same function is composed.
#[test]
fn all_at_once_is_one_after_the_other() {
    let device = device();
    let nonlinearities = [
        Nonlinearity::Identity,
        Nonlinearity::Relu,
        Nonlinearity::LeakyRelu,
        Nonlinearity::Relu6,
        Nonlinearity::HardSwish,
        Nonlinearity::Silu,
    ];
    for (index, case) in [
        case([2, 3, 7, 11], [5, 3, 3, 3], 1, 1),
        case([3, 17, 13, 9], [19, 17, 3, 3], 2, 1),
        case([1, 130, 5, 6], [7, 130, 3, 3], 1, 1),
        case([2, 31, 4, 8], [33, 31, 1, 1], 1, 0),
        case([3, 34, 7, 7], [33, 34, 1, 1], 2, 0),
        case([2, 3, 9, 19], [3, 1, 3, 3], 1, 1),
        case([1, 3, 11, 13], [3, 1, 5, 5], 2, 2),
        case([2, 40, 9, 19], [40, 1, 3, 3], 1, 1),
        case([2, 21, 3, 9], [21, 1, 5, 5], 1, 2),
        // More channels than kernels of this size stay in a cache for.
        case([1, 97, 4, 12], [97, 1, 7, 7], 1, 3),
        case([1, 33, 11, 14], [33, 1, 5, 5], 2, 2),
        case([2, 16, 9, 13], [16, 1, 3, 3], 2, 1),
        case([1, 20, 13, 12], [20, 1, 7, 7], 2, 3),
        dilated(case([1, 17, 11, 13], [17, 1, 5, 3], 2, 3), [1, 2]),
        dilated(case([2, 7, 12, 11], [16, 7, 3, 3], 1, 3), [2, 3]),
        case([1, 5, 1, 2], [18, 5, 4, 4], 3, 4),
        case([7, 300, 6, 7], [530, 300, 1, 1], 1, 0),
        // Windows that see nothing but padding.
        case([1, 17, 2, 3], [16, 17, 1, 1], 2, 5),
        case([2, 16, 3, 2], [16, 1, 1, 1], 1, 4),
        case([1, 3, 2, 2], [16, 3, 2, 1], 1, 4),
        case([2, 24, 9, 8], [24, 8, 3, 3], 3, 2),
        case([2, 4, 9, 8], [6, 2, 3, 3], 1, 0),
        winograd([3, 33, 9, 14], 35, 1),
        winograd([9, 32, 17, 17], 33, 0),
        case([3, 33, 13, 18], [35, 33, 3, 3], 2, 1),
        case([2, 34, 15, 12], [40, 34, 4, 4], 2, 1),
    ]
    .into_iter()
    .enumerate()
    {
        for parts in 0..8 {
            let nonlinearity = nonlinearities[(index + parts) % nonlinearities.len()];
            let compute = |device: &Device| {
                let (input, weight) = (fractions(case.input, 1, device), fractions(case.weight, 2, device));
                let shape = module::conv2d(input.clone(), weight.clone(), None, case.options.clone()).dims();
                let epilogue = epilogue(shape, parts, nonlinearity, device);
                read(conv2d_fused(input, weight, case.options.clone(), epilogue))
            };
            let (fused, composed) = (compute(&device), compute(&device.clone().autodiff()));
            println!("{case:?}, {parts}, {nonlinearity:?}");
            assert_close(&fused, &composed, case.tolerance);
        }
    }
}

/// What one leaves in the order of pixels, the next ones take as it is, and everything else as any other tensor.
#[test]
fn one_after_the_other() {
    let net = |device: &Device| {
        let weight = |shape: [usize; 4], seed| fractions(shape, seed, device);
        let options =
            |stride, kernel: usize, groups| ConvOptions::new([stride; 2], [kernel / 2; 2], [1, 1], groups);
        let windows = MaxPoolOptions {
            kernel_size: [3, 3],
            stride: [2, 2],
            padding: [(1, 1); 2],
            dilation: [1, 1],
            ceil_mode: false,
        };
        let relu = Epilogue { nonlinearity: Nonlinearity::Relu, ..Epilogue::default() };
        let input = fractions([2, 3, 37, 31], 1, device);
        let stem = conv2d_fused(input, weight([20, 3, 5, 5], 2), options(2, 5, 1), relu.clone());
        let pooled = max_pool2d(stem.clone(), windows);
        let wide = conv2d_fused(pooled, weight([33, 20, 1, 1], 3), options(1, 1, 1), relu.clone());
        let residual = Epilogue { residual: Some(wide.clone()), ..relu.clone() };
        let winograd = conv2d_fused(wide.clone(), weight([33, 33, 3, 3], 4), options(1, 3, 1), residual);
        let residual = Epilogue { residual: Some(winograd.clone()), ..relu };
        let depthwise = conv2d_fused(winograd, weight([33, 1, 3, 3], 5), options(1, 3, 33), residual);
        let grouped =
            conv2d_fused(depthwise.clone(), weight([6, 11, 3, 3], 6), options(1, 3, 3), Epilogue::default());
        let mean = adaptive_avg_pool2d(depthwise.clone(), [1, 1]).flatten::<2>(1, 3);
        let halves = adaptive_avg_pool2d(depthwise.clone(), [2, 2]);
        let all = [
            stem.swap_dims(1, 2).flatten::<1>(0, 3),
            (silu(wide) + 1.0).flatten(0, 3),
            depthwise.slice([0..1, 3..7, 1..4, 2..3]).flatten(0, 3),
            grouped.flatten(0, 3),
            halves.flatten(0, 3),
            mean.flatten(0, 1),
        ];
        all.map(read)
    };
    let device = device();
    for (actual, expected) in net(&device).iter().zip(&net(&device.clone().autodiff())) {
        assert_close(actual, expected, 2.0 * WINOGRAD);
    }
}

/// Sizes around those of registers, strips, lines and parts.
#[test]
fn sizes_at_the_edges() {
    for case in [
        case([1, 1, 1, 1], [1, 1, 1, 1], 1, 0),
        case([37, 4, 1, 1], [6, 4, 3, 3], 1, 1),
        case([2, 5, 4, 3], [7, 5, 1, 1], 1, 0),
        case([2, 31, 4, 8], [33, 31, 1, 1], 1, 0),
        case([1, 32, 3, 11], [15, 32, 1, 1], 1, 0),
        case([5, 34, 7, 7], [33, 34, 1, 1], 2, 0),
        case([3, 17, 13, 9], [19, 17, 3, 3], 2, 1),
        case([2, 17, 8, 8], [14, 17, 2, 2], 2, 0),
        case([1, 3, 33, 40], [16, 3, 4, 4], 4, 0),
        case([3, 3, 37, 29], [35, 3, 7, 7], 2, 3),
        case([2, 1, 20, 18], [16, 1, 3, 3], 1, 1),
        dilated(case([2, 5, 19, 33], [50, 5, 3, 2], 1, 2), [3, 1]),
        case([1, 2, 9, 9], [3, 2, 5, 5], 1, 4),
        case([1, 130, 5, 6], [7, 130, 3, 3], 1, 1),
        case([2, 24, 9, 8], [24, 8, 3, 3], 3, 2),
        case([1, 80, 1, 67], [33, 80, 1, 3], 1, 0),
        dilated(case([2, 3, 7, 11], [5, 3, 3, 3], 2, 3), [2, 3]),
    ] {
        agrees(&case);
    }
}

/// Sizes around those of tiles and bands, and channels around those of lines and groups.
#[test]
fn winograd_at_the_edges() {
    for case in [
        winograd([1, 32, 4, 4], 32, 1),
        winograd([1, 33, 5, 4], 35, 1),
        winograd([3, 40, 7, 9], 65, 0),
        winograd([2, 34, 6, 5], 47, 2),
        winograd([7, 32, 17, 15], 33, 1),
        winograd([1, 100, 6, 40], 50, 1),
        winograd([2, 64, 33, 29], 64, 1),
        winograd([5, 135, 14, 13], 260, 1),
    ] {
        agrees(&case);
    }
}

/// The same with stride 2, whose last tiles see rows and columns beyond the image, of input and gradient, or not.
#[test]
fn winograd_of_stride_2_at_the_edges() {
    for (kernel, [batch, channels_in, height, width], channels_out) in [
        (3, [1, 32, 7, 8], 32),
        (3, [3, 40, 11, 9], 65),
        (3, [2, 33, 17, 16], 47),
        (3, [7, 32, 33, 30], 33),
        (3, [5, 135, 28, 26], 260),
        (4, [1, 32, 8, 8], 32),
        (4, [2, 33, 9, 10], 35),
        (4, [7, 35, 21, 18], 64),
        (4, [1, 100, 12, 41], 50),
    ] {
        let weight = [channels_out, channels_in, kernel, kernel];
        agrees(&case([batch, channels_in, height, width], weight, 2, 1));
    }
}

#[test]
fn depthwise_at_the_edges() {
    for kernel in [3, 5] {
        for stride in [1, 2] {
            for [height, width] in [[1, 1], [5, 7], [9, 16], [8, 17], [7, 33], [20, 6]] {
                agrees(&case([2, 5, height, width], [5, 1, kernel, kernel], stride, kernel / 2));
            }
        }
    }
}

/// Sums of a hundred thousand products, which one after the other would be off by more.
#[test]
fn gradients_over_many_pixels() {
    let device = device().autodiff();
    if !is_accelerated(&fractions([1], 1, &device)) {
        return;
    }
    for (weight, stride) in [([3, 1, 1, 2], 1), ([32, 32, 3, 3], 2)] {
        let side = 320 * stride / weight[1].min(4);
        let input: Tensor<4> = fractions([1, weight[1], side, side], 1, &device) * 0.37 + 1.0;
        let kernels = fractions(weight, 2, &device).require_grad();
        let options = ConvOptions::new([stride; 2], [stride - 1; 2], [1, 1], 1);
        let output = conv2d(input.clone(), kernels.clone(), None, options);
        let [_, _, height, width] = output.dims();
        let gradients = kernels.grad(&output.backward()).expect("it was required");
        // Each output's gradient is 1, so that a weight's is the sum of what it meets.
        let numbers: Vec<f64> = read(input).iter::<f32>().map(f64::from).collect();
        let expected = |index: usize| -> f64 {
            let (row, column) = (index / weight[3] % weight[2], index % weight[3]);
            let plane = &numbers[index / (weight[2] * weight[3]) % weight[1] * side * side..];
            let places = |first: usize, count: usize| {
                (0..count).filter_map(move |place| (place * stride + first).checked_sub(stride - 1))
            };
            let inside = |&place: &usize| place < side;
            let rows = places(row, height).filter(inside);
            rows.flat_map(|row| places(column, width).filter(inside).map(move |column| (row, column)))
                .map(|(row, column)| plane[row * side + column])
                .sum()
        };
        let count = weight.iter().product();
        let expected = TensorData::new((0..count).map(expected).collect::<Vec<f64>>(), weight);
        assert_close(&read(gradients), &expected, 1e-6);
    }
}

/// Nothing in, nothing out, and gradients of 0.
#[test]
fn an_empty_batch() {
    let device = device();
    if !is_accelerated(&fractions([1], 1, &device)) {
        return;
    }
    for case in [
        case([0, 3, 5, 5], [4, 3, 3, 3], 1, 1),
        winograd([0, 32, 5, 5], 32, 1),
        case([0, 32, 8, 8], [32, 32, 3, 3], 2, 1),
        case([0, 3, 64, 64], [16, 3, 3, 3], 1, 1),
        case([0, 4, 5, 5], [4, 1, 3, 3], 1, 1),
    ] {
        let [(_, output), _, (_, weight), _] = output_and_gradients(&case, conv2d);
        assert_eq!(output.shape()[0], 0);
        assert!(weight.iter::<f32>().all(|number| number == 0.0));
    }
}

#[test]
fn a_wrong_number_of_channels_panics_as_in_burn() {
    let device = device();
    let (input, weight) = (fractions([1, 3, 5, 5], 1, &device), fractions([2, 4, 3, 3], 2, &device));
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let outcome = std::panic::catch_unwind(move || conv2d(input, weight, None, options));
    assert!(outcome.is_err());
}

#[test]
fn views_are_read_as_they_look() {
    let device = device();
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    for channels in [5, 32] {
        let input = fractions([2, channels, 9, 7], 1, &device).swap_dims(2, 3);
        let weight = fractions([channels, 34, 3, 3], 2, &device).swap_dims(0, 1);
        let output = conv2d(input.clone(), weight.clone(), None, options.clone());
        assert_close(&read(output), &read(module::conv2d(input, weight, None, options.clone())), WINOGRAD);
    }
}

/// The direct sum spreads a NaN over the kernel's reach, and so do the transforms of stride 2; those of stride 1 over the tiles that see it.
#[test]
fn nan_and_infinity_stay_visible() {
    let device = device();
    if !is_accelerated(&fractions([1], 1, &device)) {
        return;
    }
    for (channels, stride, reach) in [(5, 1, 1), (32, 1, 5), (5, 2, 1), (32, 2, 1)] {
        let options = ConvOptions::new([stride; 2], [1, 1], [1, 1], 1);
        let size = 16 / stride;
        for special in [f32::NAN, f32::INFINITY] {
            let input = fractions([1, channels, 16, 16], 1, &device);
            let spot = Tensor::from_data(TensorData::from([[[[special]]]]), &device);
            let input = input.slice_assign([0..1, 1..2, 6..7, 9..10], spot);
            let weight = fractions([channels, channels, 3, 3], 2, &device);
            let output = read(conv2d(input, weight, None, options.clone()));
            for (index, number) in output.iter::<f32>().enumerate() {
                let (row, column) = (index / size % size * stride, index % size * stride);
                let distance = row.abs_diff(6).max(column.abs_diff(9));
                assert!(distance > 1 || !number.is_finite(), "{number} at {row}, {column}");
                assert!(distance <= reach || number.is_finite(), "{number} at {row}, {column}");
            }
        }
    }
}

/// Whatever follows, and whichever instructions compare.
#[test]
fn nan_and_infinity_pass_nonlinearities() {
    let device = device();
    // A product in registers, one with what is added, and a convolution by channel.
    for (weight, groups, adds) in
        [([32, 17, 1, 1], 1, false), ([32, 17, 1, 1], 1, true), ([17, 1, 3, 3], 17, false)]
    {
        for (nonlinearity, highest) in [
            (Nonlinearity::Identity, f32::INFINITY),
            (Nonlinearity::Relu, f32::INFINITY),
            (Nonlinearity::Relu6, 6.0),
        ] {
            let options = ConvOptions::new([1, 1], [weight[2] / 2; 2], [1, 1], groups);
            let ones = |shape: [usize; 4]| Tensor::<4>::ones(shape, &device);
            let residual = adds.then(|| ones([1, weight[0], 6, 6]));
            for (special, expected) in [(f32::NAN, f32::NAN), (f32::INFINITY, highest)] {
                let spot = Tensor::from_data(TensorData::from([[[[special]]]]), &device);
                let input = ones([1, 17, 6, 6]).slice_assign([0..1, 3..4, 2..3, 4..5], spot);
                let epilogue = Epilogue { nonlinearity, residual: residual.clone(), ..Epilogue::default() };
                let output = read(conv2d_fused(input, ones(weight), options.clone(), epilogue));
                // Of the channel that sees it, in any case.
                let number = output.iter::<f32>().nth(3 * 36 + 2 * 6 + 4).expect("it is there");
                assert!(
                    number == expected || number.is_nan() && expected.is_nan(),
                    "{number} for {expected}"
                );
            }
        }
    }
}

/// Parts are cut by the shape alone and summed in order, so the number of threads changes nothing at all.
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let cases = [
        case([3, 17, 23, 19], [19, 17, 3, 3], 2, 1),
        case([2, 40, 14, 14], [33, 40, 1, 1], 1, 0),
        winograd([2, 64, 33, 29], 64, 1),
        winograd([2, 135, 14, 13], 260, 1),
        case([2, 64, 33, 29], [64, 64, 3, 3], 2, 1),
        case([2, 135, 15, 13], [260, 135, 4, 4], 2, 1),
        case([3, 3, 50, 41], [35, 3, 5, 5], 2, 2),
        case([2, 24, 23, 19], [24, 1, 3, 3], 1, 1),
    ];
    if !is_accelerated(&fractions([1], 1, &device())) {
        return;
    }
    assert_same_on_any_threads(|| cases.clone().map(|case| output_and_gradients(&case, conv2d)));
    assert_same_on_any_threads(|| {
        cases.clone().map(|case| {
            let (input, weight) = (fractions(case.input, 1, &device()), fractions(case.weight, 2, &device()));
            [("output", read(conv2d_fused(input, weight, case.options, Epilogue::default())))]
        })
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(
        batch in 1usize..4,
        groups in 1usize..4,
        channels in [1usize..20, 1usize..20],
        size in [1usize..24, 1usize..24],
        kernel in [1usize..5, 1usize..5],
        stride in [1usize..4, 1usize..4],
        padding in [0usize..4, 0usize..4],
        dilation in [1usize..3, 1usize..3],
    ) {
        let reach = |axis: usize| dilation[axis] * (kernel[axis] - 1) + 1;
        prop_assume!((0..2).all(|axis| size[axis] + 2 * padding[axis] >= reach(axis)));
        let [channels_in, channels_out] = channels.map(|channels| channels * groups);
        agrees(&Case {
            input: [batch, channels_in, size[0], size[1]],
            weight: [channels_out, channels[0], kernel[0], kernel[1]],
            options: ConvOptions::new(stride, padding, dilation, groups),
            tolerance: EXACT,
        });
    }

    /// Pixel by pixel as plane by plane.
    #[test]
    fn any_shape_at_once(
        batch in 1usize..4,
        channels in 16usize..40,
        channels_in in 1usize..40,
        is_depthwise: bool,
        size in [1usize..24, 1usize..24],
        kernel in [1usize..5, 1usize..5],
        stride in [1usize..4, 1usize..4],
        padding in [0usize..6, 0usize..6],
        dilation in [1usize..3, 1usize..3],
    ) {
        let reach = |axis: usize| dilation[axis] * (kernel[axis] - 1) + 1;
        prop_assume!((0..2).all(|axis| size[axis] + 2 * padding[axis] >= reach(axis)));
        let (channels_in, group_in, groups) =
            if is_depthwise { (channels, 1, channels) } else { (channels_in, channels_in, 1) };
        let device = device();
        let input = fractions([batch, channels_in, size[0], size[1]], 1, &device);
        let weight = fractions([channels, group_in, kernel[0], kernel[1]], 2, &device);
        let options = ConvOptions::new(stride, padding, dilation, groups);
        let expected = read(conv2d(input.clone(), weight.clone(), None, options.clone()));
        let relu = Epilogue { nonlinearity: Nonlinearity::Relu, ..Epilogue::default() };
        let output = read(conv2d_fused(input, weight, options, relu));
        let expected = TensorData::new(
            expected.iter::<f32>().map(|number| number.max(0.0)).collect(),
            expected.shape(),
        );
        assert_close(&output, &expected, 2.0 * EXACT);
    }
}

#[derive(Module, Debug)]
struct Conv2d {
    weight: Param<Tensor<4>>,
}

/// In bfloat16, kernels are rounded, and the inputs of products too where the processor multiplies such numbers: for a pixel, a stride,
/// and more patches than are packed at a time. Winograd's, those of few channels and those by channel multiply floats.
#[test]
fn rounded_kernels() {
    let device = device();
    for (case, is_narrow) in [
        (case([1, 33, 5, 7], [20, 33, 1, 1], 1, 0), true),
        (case([2, 17, 9, 9], [35, 17, 3, 3], 2, 1), true),
        (case([3, 16, 14, 14], [48, 16, 2, 2], 2, 0), true),
        (case([2, 3, 13, 13], [20, 3, 5, 5], 2, 2), false),
        (winograd([1, 32, 9, 9], 33, 1), false),
        (case([1, 20, 9, 9], [20, 1, 3, 3], 1, 1), false),
    ] {
        let (input, weight) = (fractions(case.input, 1, &device), fractions(case.weight, 2, &device));
        let layer = Conv2d { weight: Param::from_tensor(weight.clone()) };
        let layer = layer.prepare_inference_in(Precision::Bf16);
        assert_ne!(read(layer.weight.val()), read(weight), "nothing was rounded");
        let epilogue = Epilogue { nonlinearity: Nonlinearity::Relu, ..Epilogue::default() };
        let output = conv2d_fused(input.clone(), layer.weight.val(), case.options.clone(), epilogue);
        let seen = if is_narrow { rounded_where_narrow(&input) } else { input };
        let expected = relu(module::conv2d(seen, layer.weight.val(), None, case.options.clone()));
        assert_close(&read(output), &read(expected), 2.0 * case.tolerance);
    }
}

/// A kept weight is transformed where there are many tiles, and multiplied as it is where there are few.
#[test]
fn prepared_with_stride_2() {
    let device = device();
    for (case, precision) in [
        (case([2, 33, 29, 30], [40, 33, 3, 3], 2, 1), Precision::F32),
        (case([1, 33, 9, 8], [40, 33, 3, 3], 2, 1), Precision::F32),
        (case([4, 33, 18, 17], [40, 33, 4, 4], 2, 1), Precision::F32),
        (case([2, 33, 29, 30], [40, 33, 3, 3], 2, 1), Precision::Bf16),
    ] {
        let (input, weight) = (fractions(case.input, 1, &device), fractions(case.weight, 2, &device));
        let layer = Conv2d { weight: Param::from_tensor(weight) }.prepare_inference_in(precision);
        let output =
            conv2d_fused(input.clone(), layer.weight.val(), case.options.clone(), Epilogue::default());
        let seen = if precision == Precision::Bf16 { rounded_where_narrow(&input) } else { input };
        let expected = module::conv2d(seen, layer.weight.val(), None, case.options.clone());
        assert_close(&read(output), &read(expected), 2.0 * case.tolerance);
    }
}

/// The first shape that asks for a kept weight doesn't decide for the next ones.
#[test]
fn one_prepared_weight_in_several_shapes() {
    let device = device();
    let layer = Conv2d { weight: Param::from_tensor(fractions([16, 3, 1, 1], 2, &device)) };
    let layer = layer.prepare_inference_in(Precision::Bf16);
    let input = fractions([1, 3, 80, 80], 1, &device);
    for stride in [1, 2] {
        let options = ConvOptions::new([stride; 2], [0, 0], [1, 1], 1);
        let expected = read(module::conv2d(input.clone(), layer.weight.val(), None, options.clone()));
        let fused = conv2d_fused(input.clone(), layer.weight.val(), options.clone(), Epilogue::default());
        assert_close(&read(fused), &expected, 2.0 * EXACT);
        let planes = conv2d(input.clone(), layer.weight.val(), None, options);
        assert_close(&read(planes), &expected, 2.0 * EXACT);
    }
}

/// What is multiplied on processors with instructions for bfloat16.
#[cfg(feature = "flex")]
fn rounded_where_narrow(input: &Tensor<4>) -> Tensor<4> {
    if !crate::device::is_plain(input) || crate::narrow::Bf16Dot::new().is_none() {
        return input.clone();
    }
    let mut numbers: Vec<f32> = read(input.clone()).iter().collect();
    crate::quantize::round_to_bf16(&mut numbers, 1);
    Tensor::from_data(TensorData::new(numbers, input.dims()), &input.device())
}

#[cfg(not(feature = "flex"))]
fn rounded_where_narrow(input: &Tensor<4>) -> Tensor<4> {
    input.clone()
}
