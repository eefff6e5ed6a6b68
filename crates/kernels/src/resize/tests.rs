use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, TensorData, module};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::{Interpolation, axis, composed, resize2d};
use crate::device::is_accelerated;
use crate::testing::{Results, assert_same_on_any_threads, fractions, golden, numbers, results, scattered};

const ALL: [Interpolation; 3] =
    [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::BilinearCorners];

/// A few roundings.
const TOLERANCE: f64 = 1e-6;

fn value_and_gradient(input: &Tensor<4>, resize: impl Fn(Tensor<4>) -> Tensor<4>) -> Results {
    let weight = fractions(resize(input.clone().detach()).dims(), 2, &input.device());
    results(input, [], &weight, |x, []| resize(x))
}

#[track_caller]
fn agree(input: &Tensor<4>, resize: impl Fn(Tensor<4>) -> Tensor<4>, other: impl Fn(Tensor<4>) -> Tensor<4>) {
    let (actual, expected) = (value_and_gradient(input, resize), value_and_gradient(input, other));
    assert_close(&actual.value, &expected.value, 2.0 * TOLERANCE);
    assert_close(&actual.gradient, &expected.gradient, 2.0 * TOLERANCE);
}

#[track_caller]
fn agrees(input: &Tensor<4>, size: [usize; 2], interpolation: Interpolation) {
    let [_, _, height, width] = input.dims();
    let rows = axis(height, size[0], interpolation);
    let columns = axis(width, size[1], interpolation);
    agree(input, |x| resize2d(x, size, interpolation), |x| composed(x, &rows, &columns));
}

#[test]
fn values_and_gradients_of_torch_in_f64() {
    let bytes = golden("resize");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    for (mode, interpolation) in [
        ("nearest", Interpolation::Nearest),
        ("bilinear", Interpolation::Bilinear),
        ("corners", Interpolation::BilinearCorners),
    ] {
        for (name, shape, size) in [
            ("double", [2, 3, 5, 7], [10, 14]),
            ("larger", [1, 2, 7, 5], [11, 17]),
            ("smaller", [1, 2, 17, 13], [5, 3]),
            ("mixed", [1, 3, 11, 4], [3, 19]),
            ("point", [1, 3, 4, 5], [1, 1]),
            ("from_point", [1, 3, 1, 1], [3, 4]),
        ] {
            let input = fractions(shape, 1, &device().autodiff());
            let actual = value_and_gradient(&input, |x| resize2d(x, size, interpolation));
            assert_close(&actual.value, &numbers(&file, &format!("{mode}.{name}.value")), TOLERANCE);
            assert_close(&actual.gradient, &numbers(&file, &format!("{mode}.{name}.input")), TOLERANCE);
        }
    }
}

/// Sizes around those of vectors, lines, blocks and parts.
#[test]
fn the_same_as_burns() {
    if !is_accelerated(&scattered([1], &device())) {
        return;
    }
    for (shape, size) in [
        ([1, 1, 1, 1], [1, 1]),
        ([2, 3, 7, 11], [14, 22]),
        ([2, 3, 7, 11], [7, 11]),
        ([1, 5, 15, 31], [16, 32]),
        ([1, 5, 17, 33], [16, 32]),
        ([3, 7, 16, 8], [5, 64]),
        ([1, 2, 40, 150], [91, 307]),
        ([1, 2, 91, 307], [40, 150]),
        ([1, 1, 3, 2], [200, 1]),
    ] {
        let input = scattered(shape, &device().autodiff());
        for (mode, align_corners, interpolation) in [
            (InterpolateMode::Nearest, false, Interpolation::Nearest),
            (InterpolateMode::Bilinear, false, Interpolation::Bilinear),
            (InterpolateMode::Bilinear, true, Interpolation::BilinearCorners),
        ] {
            let options =
                InterpolateOptions::new(mode).with_align_corners(align_corners).with_output_size(size);
            let burns = |x| module::interpolate(x, options.clone());
            agree(&input, |x| resize2d(x, size, interpolation), burns);
        }
    }
}

/// Values of torch 2.15, whose 32-bit floats put place 41 of 82 still below pixel 1 of 2.
#[test]
fn the_nearest_pixel_is_torchs() {
    let input = Tensor::<4>::from_data([[[[0.0f32, 1.0]]]], &device());
    let output = read(resize2d(input, [1, 82], Interpolation::Nearest));
    let expected: Vec<f32> = (0..82).map(|place| if place < 42 { 0.0 } else { 1.0 }).collect();
    assert_close(&output, &TensorData::new(expected, [1, 1, 1, 82]), 0.0);
}

#[test]
fn the_same_size_is_the_same() {
    let input = scattered([2, 3, 17, 35], &device());
    for interpolation in ALL {
        assert_close(&read(resize2d(input.clone(), [17, 35], interpolation)), &read(input.clone()), 0.0);
    }
}

/// Corners stay: every other pixel is one of the input.
#[test]
fn a_pixel_that_coincides_is_the_same() {
    let device = device();
    if !is_accelerated(&scattered([1], &device)) {
        return;
    }
    let (nan, infinity) = (f32::NAN, f32::INFINITY);
    let input = Tensor::<4>::from_data([[[[infinity, 1.0, 3.0, nan]]]], &device);
    let output = read(resize2d(input.clone(), [1, 7], Interpolation::BilinearCorners));
    let expected = [[[[infinity, infinity, 1.0, 2.0, 3.0, nan, nan]]]];
    assert_close(&output, &TensorData::from(expected), 1e-7);
    let output = read(resize2d(input, [2, 2], Interpolation::Nearest));
    assert_close(&output, &TensorData::from([[[[infinity, 3.0], [infinity, 3.0]]]]), 0.0);
}

#[test]
fn views_are_read_as_they_look() {
    let input = scattered([3, 13, 2, 18], &device().autodiff()).swap_dims(1, 2);
    for interpolation in ALL {
        agrees(&input, [26, 7], interpolation);
    }
}

#[test]
fn a_batch_of_nothing_stays_nothing() {
    let device = device();
    if is_accelerated(&scattered([1], &device)) {
        let output = resize2d(Tensor::zeros([0, 3, 4, 4], &device), [8, 3], Interpolation::Bilinear);
        assert_eq!(output.dims(), [0, 3, 8, 3]);
    }
}

#[test]
#[should_panic(expected = "an image of 4x0 can't become 3x2")]
fn an_image_without_pixels_is_refused() {
    resize2d(Tensor::zeros([1, 1, 4, 0], &device()), [3, 2], Interpolation::Nearest);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_same_on_any_threads(|| {
        let input = scattered([3, 41, 37, 29], &device().autodiff());
        ALL.map(|interpolation| value_and_gradient(&input, |x| resize2d(x, [53, 61], interpolation)))
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_size(
        batch in 1usize..3, channels in 1usize..4, from in [1usize..40, 1usize..40], to in [1usize..40, 1usize..40],
        interpolation in 0usize..3,
    ) {
        let input = scattered([batch, channels, from[0], from[1]], &device().autodiff());
        agrees(&input, to, ALL[interpolation]);
    }
}
