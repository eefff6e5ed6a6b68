//! Functions of one number, without branches, so that a loop over them becomes vector instructions.
//!
//! Errors are relative to the exact value, measured over all that a test walks through. NaN stays NaN.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

/// 2^23 + 2^22: adding it to a number below 2^22 leaves that number, rounded, in the low bits.
const ROUNDS: f32 = 12_582_912.0;

/// `e^x`, to 1.5e-7 where the result is normal. Overflows to infinity, underflows through the subnormal numbers to 0.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Beyond these bounds the result is infinite or 0 anyway; within them the exponent below can be built in halves.
    let x = x.clamp(-105.0, 89.0);
    // x = n ln 2 + r, with ln 2 in two parts, so that r keeps its digits; then e^x = 2^n e^r.
    let shifted = x.mul_add(LOG2_E, ROUNDS);
    let n = shifted - ROUNDS;
    let r = n.mul_add(-0.693_359_4, x);
    let r = n.mul_add(2.121_944_4e-4, r);
    // e^r = 1 + r + r^2 q(r), with the polynomial of the Cephes library.
    let mut q = 1.987_569_1e-4_f32;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        q = q.mul_add(r, coefficient);
    }
    let mantissa = q.mul_add(r * r, r) + 1.0;
    // 2^n in two factors: n goes from -151 to 128, further than one factor could.
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUNDS.to_bits() as i32);
    let half = n >> 1;
    mantissa * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// `2^n` for an `n` of -126 to 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// [`sigmoid`] and its slope `sigmoid(x) (1 - sigmoid(x))`, without cancellation on either side.
#[inline(always)]
pub(crate) fn sigmoid_and_slope(x: f32) -> (f32, f32) {
    let e = exp(-x.abs());
    let above = 1.0 / (1.0 + e);
    let below = e * above;
    (if x < 0.0 { below } else { above }, above * below)
}

/// The hyperbolic tangent, to 2e-7.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let magnitude = x.abs();
    // Near 0 the formula below would cancel: there the polynomial of the Cephes library.
    let square = x * x;
    let mut p = -5.704_988_7e-3_f32;
    for coefficient in [2.063_908_8e-2, -5.373_971_5e-2, 1.333_144_2e-1, -3.333_328e-1] {
        p = p.mul_add(square, coefficient);
    }
    let near = (p * square).mul_add(x, x);
    let far = 1.0 - 2.0 / (exp(2.0 * magnitude) + 1.0);
    (if magnitude < 0.625 { near } else { far }).copysign(x)
}

/// The distribution function and the density of the standard normal distribution.
///
/// The smaller tail is computed, `erfc(z) / 2` with `z = |x| / sqrt(2)`, so that no digits cancel on the negative side.
#[inline(always)]
pub(crate) fn normal(x: f32) -> Normal {
    const FRAC_1_SQRT_2_PI: f32 = 0.398_942_3;
    let bell = exp(-0.5 * x * x);
    // erfc(z) e^(z^2) is a polynomial of t = 1 / (1 + 0.45 z) to 3.3e-7 for every z from 0 to 10, fitted for this
    // function (minimax over the relative error).
    let t = 1.0 / (0.45 * FRAC_1_SQRT_2).mul_add(x.abs(), 1.0);
    let mut p = -4.139_233e-2_f32;
    for coefficient in [
        0.190_693,
        -0.300_591_26,
        0.142_408_9,
        -2.236_203e-2,
        0.119_951_636,
        0.175_251_93,
        0.228_271_66,
        0.253_883_15,
        0.253_885_33,
    ] {
        p = p.mul_add(t, coefficient);
    }
    let tail = 0.5 * p * t * bell;
    Normal { cdf: if x < 0.0 { tail } else { 1.0 - tail }, pdf: FRAC_1_SQRT_2_PI * bell }
}

/// What [`normal`] gives.
pub(crate) struct Normal {
    /// The share below x.
    pub(crate) cdf: f32,
    /// The density at x.
    pub(crate) pdf: f32,
}

#[cfg(test)]
mod tests {
    use super::{exp, normal, sigmoid, tanh};

    /// From -`limit` to `limit` in 400,000 steps.
    fn walk(limit: f32) -> impl Iterator<Item = f32> {
        (-200_000..=200_000).map(move |step| step as f32 / 200_000.0 * limit)
    }

    #[track_caller]
    fn assert_relative(x: f32, actual: f32, expected: f64, tolerance: f64) {
        let error = (f64::from(actual) / expected - 1.0).abs();
        assert!(
            actual as f64 == expected || error <= tolerance,
            "at {x}: {actual} for {expected}, off by {error:e}"
        );
    }

    #[test]
    fn values_over_their_ranges() {
        for x in walk(87.0) {
            assert_relative(x, exp(x), f64::from(x).exp(), 1.5e-7);
            assert_relative(x, sigmoid(x), 1.0 / (1.0 + (-f64::from(x)).exp()), 3e-7);
        }
        for x in walk(10.0) {
            assert_relative(x, tanh(x), f64::from(x).tanh(), 2e-7);
        }
    }

    /// The integral of the density from 0 by Simpson's rule, in f64.
    #[test]
    fn the_distribution_function_is_the_integral_of_the_density() {
        let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let step = 1.0 / 1024.0;
        let mut integral = 0.5;
        for index in 0..6 * 1024 {
            let x = f64::from(index) * step;
            let here = normal(x as f32);
            assert!((f64::from(here.cdf) - integral).abs() < 2e-7, "at {x}");
            assert!((f64::from(normal(-x as f32).cdf) - (1.0 - integral)).abs() < 2e-7, "at -{x}");
            assert_relative(x as f32, here.pdf, density(x), 2e-6);
            integral += step / 6.0 * (density(x) + 4.0 * density(x + 0.5 * step) + density(x + step));
        }
    }

    #[test]
    fn ends() {
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-1e30), 0.0);
        assert_eq!(exp(1e30), f32::INFINITY);
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(1e-40), 1.0);
        // The smallest subnormal number is e^-103.28.
        assert_eq!(exp(-103.2), f32::from_bits(1));
        for (function, low, high) in
            [(sigmoid as fn(f32) -> f32, 0.0, 1.0), (tanh, -1.0, 1.0), (|x| normal(x).cdf, 0.0, 1.0)]
        {
            for x in [1e30, f32::INFINITY] {
                assert_eq!((function(-x), function(x)), (low, high));
            }
            assert!(function(f32::NAN).is_nan());
        }
        assert_eq!(tanh(1e-40), 1e-40);
        assert!(tanh(-0.0).is_sign_negative());
        assert!(exp(f32::NAN).is_nan());
    }
}
