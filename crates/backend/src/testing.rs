//! Help for tests of everything that computes with tensors.
//!
//! A test takes its device from [`device`], so the same test runs on every backend
//! (`cargo xtask test --backend wgpu`), and compares with [`assert_close`] or [`assert_agrees`].
//!
//! ```
//! use burn::tensor::Tensor;
//! use libellus_backend::testing;
//!
//! let x = Tensor::<1>::from_floats([1.0, 2.0, 3.0], &testing::device());
//! let expected = burn::tensor::TensorData::from([2.0f32, 4.0, 6.0]);
//! testing::assert_close(&testing::read(x * 2.0), &expected, 1e-6);
//! ```

use std::env;
use std::sync::OnceLock;

use burn::tensor::{Device, Tensor, TensorData, kind};

use crate::DeviceName;

/// The device under test: the one `LIBELLUS_TEST_DEVICE` names, or flex. Call `.autodiff()` on it for gradients.
///
/// # Panics
/// When the variable names a device that this build or machine doesn't have.
#[track_caller]
pub fn device() -> Device {
    // Opened once: on wgpu, instances that come and go on several test threads can crash a Vulkan loader.
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE
        .get_or_init(|| {
            let name = env::var("LIBELLUS_TEST_DEVICE").unwrap_or_else(|_| "flex".to_owned());
            open(&name)
        })
        .clone()
}

/// The device whose results the others are compared with: flex.
///
/// # Panics
/// When flex is not compiled in.
#[track_caller]
pub fn reference() -> Device {
    open("flex")
}

#[track_caller]
fn open(name: &str) -> Device {
    match name.parse::<DeviceName>().and_then(|name| name.open()) {
        Ok(device) => device,
        Err(error) => panic!("no device to test on: {error}"),
    }
}

/// The values of `tensor`, copied to the host at once.
///
/// On the CubeCL backends `into_data()` copies only when the bytes are first looked at, and shows the outcome of later
/// in-place operations on the same buffer.
///
/// # Panics
/// When the device fails to compute the tensor.
#[track_caller]
pub fn read<const D: usize, K: kind::Basic>(tensor: Tensor<D, K>) -> TensorData {
    let data = tensor.into_data();
    TensorData::from_bytes_vec(data.as_bytes().to_vec(), data.shape(), data.dtype())
}

/// Asserts that every value of `actual` is within `relative_to_max` times the largest magnitude in `expected` of its
/// counterpart. Where `expected` is all zeros, `relative_to_max` counts as an absolute tolerance.
///
/// Relative to the largest value rather than to each: a sum that cancels to nearly nothing carries the rounding of its
/// largest terms. The types of the values may differ; infinities and NaNs match only their own kind.
///
/// # Panics
/// When shapes differ or a value is further away; the message names the worst value.
#[track_caller]
pub fn assert_close(actual: &TensorData, expected: &TensorData, relative_to_max: f64) {
    assert_eq!(actual.shape(), expected.shape(), "shapes differ (actual, expected)");
    let actual: Vec<f64> = actual.iter::<f64>().collect();
    let expected: Vec<f64> = expected.iter::<f64>().collect();
    if let Some(Worst { index, error, largest }) = worst(&actual, &expected)
        && error > relative_to_max
    {
        panic!(
            "element {index} is {} instead of {}: off by {error:.3e} of the largest value {largest:.3e}, allowed \
             {relative_to_max:.3e}",
            actual[index], expected[index],
        );
    }
}

/// The element that is furthest from what was expected.
struct Worst {
    index: usize,
    /// Its distance, in units of the largest value.
    error: f64,
    /// The largest magnitude expected.
    largest: f64,
}

fn worst(actual: &[f64], expected: &[f64]) -> Option<Worst> {
    let largest = expected.iter().filter(|x| x.is_finite()).fold(0.0, |max: f64, x| max.max(x.abs()));
    let unit = if largest > 0.0 { largest } else { 1.0 };
    let errors = actual.iter().zip(expected).map(|(a, e)| distance(*a, *e) / unit).enumerate();
    let (index, error) = errors.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    Some(Worst { index, error, largest })
}

/// Zero for equal values (of the same infinity or both NaN), infinite where only one is finite.
fn distance(a: f64, b: f64) -> f64 {
    if a == b || (a.is_nan() && b.is_nan()) {
        0.0
    } else if a.is_finite() && b.is_finite() {
        (a - b).abs()
    } else {
        f64::INFINITY
    }
}

/// Asserts that `compute` gives on [`device`] what it gives on [`reference()`], within `relative_to_max` of the largest
/// value. `compute` has to make its inputs from data, not from the random numbers of the device.
///
/// # Panics
/// As [`assert_close`].
#[track_caller]
pub fn assert_agrees(relative_to_max: f64, compute: impl Fn(&Device) -> TensorData) {
    assert_close(&compute(&device()), &compute(&reference()), relative_to_max);
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Tensor, TensorData};

    use super::{assert_agrees, assert_close, device, read, worst};

    fn close(actual: &[f64], expected: &[f64], tolerance: f64) -> bool {
        worst(actual, expected).is_none_or(|worst| worst.error <= tolerance)
    }

    #[test]
    fn tolerance_is_relative_to_the_largest() {
        assert!(close(&[100.0, 0.09], &[100.0, 0.0], 1e-3));
        assert!(!close(&[100.0, 0.11], &[100.0, 0.0], 1e-3));
        assert!(close(&[0.0, 1e-4], &[0.0, 0.0], 1e-3));
        assert!(!close(&[0.0, 1e-2], &[0.0, 0.0], 1e-3));
        assert!(close(&[], &[], 0.0));
    }

    #[test]
    fn what_is_not_finite_never_passes_for_a_number() {
        assert!(close(&[f64::NAN, f64::INFINITY], &[f64::NAN, f64::INFINITY], 0.0));
        for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!close(&[wrong], &[1.0], 1e9), "{wrong}");
            assert!(!close(&[1.0, 2.0], &[wrong, 2.0], 1e9), "{wrong}");
        }
        assert!(!close(&[f64::NEG_INFINITY], &[f64::INFINITY], 1e9));
    }

    #[test]
    #[should_panic(expected = "shapes differ")]
    fn shapes_must_match() {
        let flat = TensorData::new(vec![0.0f32; 6], [6]);
        let table = TensorData::new(vec![0.0f32; 6], [2, 3]);
        assert_close(&flat, &table, 1.0);
    }

    #[test]
    fn a_read_value_is_not_changed_by_later_operations() {
        let x = Tensor::<1>::from_floats([1.0, 2.0, 3.0], &device());
        let before = read(x.clone());
        let after = read(x.mul_scalar(5.0));
        assert_close(&before, &TensorData::from([1.0f32, 2.0, 3.0]), 0.0);
        assert_close(&after, &TensorData::from([5.0f32, 10.0, 15.0]), 0.0);
    }

    #[test]
    fn the_device_under_test_agrees_with_the_reference() {
        // f32 has 2^-24 of relative rounding; a product of five terms stays within a few of those.
        assert_agrees(1e-6, |device| {
            let a = Tensor::<2>::from_floats([[1.0, -2.0, 3.5, 0.25, 7.0]], device);
            read(a.clone().matmul(a.transpose()))
        });
    }
}
