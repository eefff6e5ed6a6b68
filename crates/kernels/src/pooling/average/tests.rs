use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Tensor, TensorData, module};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::{adaptive_avg_pool2d, avg_pool2d};
use crate::device::is_accelerated;
use crate::testing::{Results, assert_same_on_any_threads, fractions, golden, numbers, results, scattered};

/// A few roundings.
const TOLERANCE: f64 = 1e-6;

fn windows(kernel: usize, stride: usize, padding: usize) -> AvgPoolOptions<2> {
    AvgPoolOptions::new([kernel; 2]).with_stride([stride; 2]).with_padding([padding; 2])
}

fn inside(options: AvgPoolOptions<2>) -> AvgPoolOptions<2> {
    options.with_count_include_pad(false)
}

fn ceil(options: AvgPoolOptions<2>) -> AvgPoolOptions<2> {
    options.with_ceil_mode(true)
}

fn value_and_gradient(input: &Tensor<4>, pool: impl Fn(Tensor<4>) -> Tensor<4>) -> Results {
    let weight = fractions(pool(input.clone().detach()).dims(), 2, &input.device());
    results(input, [], &weight, |x, []| pool(x))
}

#[track_caller]
fn agree(input: Tensor<4>, pool: impl Fn(Tensor<4>) -> Tensor<4>, burns: impl Fn(Tensor<4>) -> Tensor<4>) {
    let actual = value_and_gradient(&input, pool);
    let expected = value_and_gradient(&input, burns);
    assert_close(&actual.value, &expected.value, 2.0 * TOLERANCE);
    assert_close(&actual.gradient, &expected.gradient, 2.0 * TOLERANCE);
}

/// Numbers from 1 to 13: where a mean is that of numbers that cancel, burn's has no digits to compare with.
fn positive(shape: [usize; 4]) -> Tensor<4> {
    Tensor::from_data(read(scattered(shape, &device()) + 7.0), &device().autodiff())
}

#[track_caller]
fn agrees(shape: [usize; 4], options: AvgPoolOptions<2>) {
    let input = positive(shape);
    let sees_padding_alone = (0..2).any(|axis| {
        let (before, after) = options.padding[axis];
        before.max(after) >= options.kernel_size[axis]
    });
    if sees_padding_alone && !is_accelerated(&input) {
        // Where the numbers are burn's, its gradient panics on ndarray.
        return;
    }
    agree(input, |x| avg_pool2d(x, options.clone()), |x| module::avg_pool2d(x, options.clone()));
}

#[track_caller]
fn adaptive_agrees(shape: [usize; 4], size: [usize; 2]) {
    agree(positive(shape), |x| adaptive_avg_pool2d(x, size), |x| module::adaptive_avg_pool2d(x, size));
}

#[test]
fn values_and_gradients_of_torch_in_f64() {
    let bytes = golden("average_pooling");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let rectangles =
        AvgPoolOptions::new([2, 5]).with_stride([1, 3]).with_padding([1, 2]).with_count_include_pad(true);
    let check = |name: &str, shape: [usize; 4], pool: &dyn Fn(Tensor<4>) -> Tensor<4>| {
        let actual = value_and_gradient(&fractions(shape, 1, &device().autodiff()), pool);
        assert_close(&actual.value, &numbers(&file, &format!("{name}.value")), TOLERANCE);
        assert_close(&actual.gradient, &numbers(&file, &format!("{name}.input")), TOLERANCE);
    };
    for (name, shape, options) in [
        ("windows", [2, 3, 7, 11], windows(3, 2, 1)),
        ("inside", [2, 3, 7, 11], inside(windows(3, 2, 1))),
        ("ceil", [1, 2, 8, 9], ceil(windows(3, 2, 1))),
        ("ceil_inside", [1, 2, 8, 10], inside(ceil(windows(4, 3, 2)))),
        ("rectangles", [1, 2, 6, 17], rectangles),
        ("gaps", [1, 2, 11, 17], windows(2, 3, 0)),
    ] {
        check(name, shape, &|x| avg_pool2d(x, options.clone()));
    }
    for (name, shape, size) in [
        ("adaptive", [2, 3, 11, 13], [4, 7]),
        ("enlarging", [1, 2, 5, 3], [7, 4]),
        ("global", [2, 5, 9, 7], [1, 1]),
    ] {
        check(name, shape, &|x| adaptive_avg_pool2d(x, size));
    }
}

/// Sizes around those of vectors, lines, blocks and parts, and options that burn's own way takes.
#[test]
fn the_same_as_burns() {
    agrees([2, 3, 7, 11], windows(3, 2, 1));
    agrees([1, 5, 8, 8], windows(2, 2, 0));
    agrees([3, 1, 37, 34], windows(3, 1, 1));
    agrees([1, 2, 9, 70], windows(5, 3, 2));
    agrees([1, 2, 1, 1], windows(1, 1, 0));
    agrees([3, 7, 15, 31], inside(windows(3, 2, 1)));
    agrees([2, 3, 16, 32], windows(2, 1, 1));
    agrees([2, 3, 17, 33], ceil(windows(3, 2, 1)));
    agrees([2, 3, 18, 65], ceil(inside(windows(4, 3, 1))));
    agrees([1, 2, 66, 301], windows(3, 2, 1));
    agrees([1, 2, 6, 40], AvgPoolOptions::new([1, 4]).with_stride([1, 3]));
    agrees([1, 2, 5, 5], windows(2, 3, 1));
    for options in [windows(4, 2, 0), ceil(windows(3, 2, 0))] {
        for options in [inside(options.clone()), options] {
            agrees([1, 2, 6, 7], options.with_padding_pairs([(0, 1), (2, 0)]));
        }
    }
    // Windows of padding alone.
    agrees([1, 2, 3, 4], windows(2, 1, 3));
    agrees([1, 2, 3, 4], inside(ceil(windows(2, 3, 3))));
}

#[test]
fn adaptive_windows_are_burns() {
    for size in [[1, 1], [1, 3], [7, 1], [3, 5], [7, 11], [13, 12]] {
        adaptive_agrees([2, 3, 7, 11], size);
    }
    adaptive_agrees([1, 1, 1, 1], [1, 1]);
    adaptive_agrees([2, 3, 1, 1], [2, 3]);
    adaptive_agrees([2, 5, 32, 33], [7, 7]);
    adaptive_agrees([3, 17, 13, 11], [1, 1]);
    // Means of planes one by one and 16 side by side.
    for [height, width] in [[3, 5], [4, 4], [7, 7], [7, 9], [8, 8]] {
        adaptive_agrees([3, 11, height, width], [1, 1]);
    }
    adaptive_agrees([37, 61, 3, 5], [1, 1]);
}

/// Two windows of three pixels, both of which reach over an edge.
#[test]
fn what_padding_counts() {
    let image = Tensor::<4>::from_data([[[[3.0f32, 9.0, 12.0]]]], &device());
    let options = AvgPoolOptions::new([1, 3]).with_stride([1, 2]).with_padding([0, 1]);
    let with_zeros = read(avg_pool2d(image.clone(), options.clone()));
    assert_close(&with_zeros, &TensorData::from([[[[4.0f32, 7.0]]]]), TOLERANCE);
    let without = read(avg_pool2d(image, inside(options)));
    assert_close(&without, &TensorData::from([[[[6.0f32, 10.5]]]]), TOLERANCE);
}

/// The sum of a million pixels is in 64 bits from piece to piece; in 32 bits it would be off by a hundredth.
#[test]
fn a_global_mean_keeps_its_digits() {
    let device = device();
    if !is_accelerated(&scattered([1], &device)) {
        return;
    }
    let planes = Tensor::<4>::full([1, 2, 1003, 997], 0.1, &device);
    let pixels = Tensor::<4>::full([1, 1003, 997, 2], 0.1, &device).permute([0, 3, 1, 2]);
    for input in [planes, pixels] {
        let expected = TensorData::from([[[[0.1f32]], [[0.1]]]]);
        assert_close(&read(adaptive_avg_pool2d(input, [1, 1])), &expected, 2e-6);
    }
}

#[test]
fn nan_and_infinities_stay_in_their_windows() {
    let device = device();
    if !is_accelerated(&scattered([1], &device)) {
        return;
    }
    let mut values: Vec<f32> = (0..3 * 33 * 35).map(|index| (index % 19) as f32).collect();
    for (place, value) in
        [(70, f32::NAN), (500, f32::INFINITY), (1400, f32::NEG_INFINITY), (1401, f32::INFINITY)]
    {
        values[place] = value;
    }
    let input = Tensor::<4>::from_data(TensorData::new(values, [1, 3, 33, 35]), &device);
    for options in [windows(3, 2, 1), inside(windows(4, 4, 2)), windows(1, 2, 0)] {
        let expected = read(module::avg_pool2d(input.clone(), options.clone()));
        assert_close(&read(avg_pool2d(input.clone(), options)), &expected, TOLERANCE);
    }
    for size in [[1, 1], [5, 4], [40, 41]] {
        let expected = read(module::adaptive_avg_pool2d(input.clone(), size));
        assert_close(&read(adaptive_avg_pool2d(input.clone(), size)), &expected, TOLERANCE);
    }
}

#[test]
fn views_are_read_as_they_look() {
    let device = device();
    let input = scattered([3, 13, 2, 18], &device).swap_dims(1, 2);
    let pooled = read(avg_pool2d(input.clone(), windows(3, 2, 1)));
    let expected = read(module::avg_pool2d(input.clone(), windows(3, 2, 1)));
    assert_close(&pooled, &expected, TOLERANCE);
    let pooled = read(adaptive_avg_pool2d(input.clone(), [1, 1]));
    assert_close(&pooled, &read(module::adaptive_avg_pool2d(input, [1, 1])), TOLERANCE);
}

#[test]
fn a_batch_of_nothing_stays_nothing() {
    let device: Device = device();
    if is_accelerated(&scattered([1], &device)) {
        let nothing = || Tensor::zeros([0, 3, 4, 4], &device);
        assert_eq!(avg_pool2d(nothing(), windows(2, 2, 0)).dims(), [0, 3, 2, 2]);
        assert_eq!(adaptive_avg_pool2d(nothing(), [1, 1]).dims(), [0, 3, 1, 1]);
        assert_eq!(adaptive_avg_pool2d(nothing(), [3, 2]).dims(), [0, 3, 3, 2]);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_same_on_any_threads(|| {
        let input = scattered([3, 41, 37, 29], &device().autodiff());
        [
            value_and_gradient(&input, |x| avg_pool2d(x, windows(3, 2, 1))),
            value_and_gradient(&input, |x| adaptive_avg_pool2d(x, [1, 1])),
        ]
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(
        batch in 1usize..3, channels in 1usize..4, size in [4usize..24, 4usize..40],
        kernel in [1usize..5, 1usize..5], stride in [1usize..5, 1usize..5], padding in [0usize..3, 0usize..3],
        all: bool, up: bool,
    ) {
        let options = AvgPoolOptions::new(kernel).with_stride(stride).with_padding(padding);
        let options = options.with_count_include_pad(all).with_ceil_mode(up);
        agrees([batch, channels, size[0], size[1]], options);
    }

    #[test]
    fn any_size(
        batch in 1usize..3, channels in 1usize..4, from in [1usize..24, 1usize..40], to in [1usize..24, 1usize..40],
    ) {
        adaptive_agrees([batch, channels, from[0], from[1]], to);
    }
}
