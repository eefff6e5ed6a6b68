//! The transforms of stride 2: each phase of the pixels is filtered for itself, by F(2, 2) where two elements of the kernel meet it.
//!
//! F(2, 2) takes 3 products for two sums of two: of `x0 g0 + x1 g1` and `x1 g0 + x2 g1`, they are `(x0 - x1) g0`, `x1 (g0 + g1)` and `(x2 - x1) g1`, of
//! which the middle one belongs to both. Products of different phases that belong to the same outputs share their sums.

use macerator::Simd;

use super::Transform;
use crate::vector::Floats;

#[inline(always)]
fn of_inputs<S: Simd>(x: [Floats<S>; 3]) -> [Floats<S>; 3] {
    [x[0] - x[1], x[1], x[2] - x[1]]
}

#[inline(always)]
fn of_elements<S: Simd>(g: [Floats<S>; 2]) -> [Floats<S>; 3] {
    [g[0], g[0] + g[1], g[1]]
}

#[inline(always)]
fn to_pair<S: Simd>(sums: [Floats<S>; 3]) -> [Floats<S>; 2] {
    [sums[0] + sums[1], sums[1] + sums[2]]
}

/// Of the inputs of two outputs.
pub(in super::super) struct OfWindow;

impl Transform<5, 5> for OfWindow {
    #[inline(always)]
    fn apply<S: Simd>(x: [Floats<S>; 5]) -> [Floats<S>; 5] {
        let [a, b, c] = of_inputs::<S>([x[0], x[2], x[4]]);
        [a, b, c, x[1], x[3]]
    }
}

impl Transform<6, 6> for OfWindow {
    #[inline(always)]
    fn apply<S: Simd>(x: [Floats<S>; 6]) -> [Floats<S>; 6] {
        let [a, b, c] = of_inputs::<S>([x[0], x[2], x[4]]);
        let [d, e, f] = of_inputs::<S>([x[1], x[3], x[5]]);
        [a, b, c, d, e, f]
    }
}

/// Of a kernel, which is the same there and back.
pub(in super::super) struct OfKernel;

impl Transform<3, 5> for OfKernel {
    #[inline(always)]
    fn apply<S: Simd>(g: [Floats<S>; 3]) -> [Floats<S>; 5] {
        let [a, b, c] = of_elements::<S>([g[0], g[2]]);
        [a, b, c, g[1], g[1]]
    }
}

impl Transform<4, 6> for OfKernel {
    #[inline(always)]
    fn apply<S: Simd>(g: [Floats<S>; 4]) -> [Floats<S>; 6] {
        let [a, b, c] = of_elements::<S>([g[0], g[2]]);
        let [d, e, f] = of_elements::<S>([g[1], g[3]]);
        [a, b, c, d, e, f]
    }
}

/// To two outputs.
pub(in super::super) struct ToTile;

impl Transform<3, 2> for ToTile {
    #[inline(always)]
    fn apply<S: Simd>(sums: [Floats<S>; 3]) -> [Floats<S>; 2] {
        to_pair::<S>(sums)
    }
}

/// Of the gradient of two outputs.
pub(in super::super) struct OfGradient;

impl Transform<2, 3> for OfGradient {
    #[inline(always)]
    fn apply<S: Simd>(y: [Floats<S>; 2]) -> [Floats<S>; 3] {
        [y[0], y[0] + y[1], y[1]]
    }
}

/// To the gradient of a kernel.
pub(in super::super) struct ToKernel;

impl Transform<5, 3> for ToKernel {
    #[inline(always)]
    fn apply<S: Simd>(x: [Floats<S>; 5]) -> [Floats<S>; 3] {
        let [first, third] = to_pair::<S>([x[0], x[1], x[2]]);
        [first, x[3] + x[4], third]
    }
}

impl Transform<6, 4> for ToKernel {
    #[inline(always)]
    fn apply<S: Simd>(x: [Floats<S>; 6]) -> [Floats<S>; 4] {
        let [first, third] = to_pair::<S>([x[0], x[1], x[2]]);
        let [second, fourth] = to_pair::<S>([x[3], x[4], x[5]]);
        [first, second, third, fourth]
    }
}

/// Of the outputs whose gradients reach four inputs.
pub(in super::super) struct OfSpreadWindow;

impl Transform<3, 5> for OfSpreadWindow {
    #[inline(always)]
    fn apply<S: Simd>(y: [Floats<S>; 3]) -> [Floats<S>; 5] {
        let [a, b, c] = of_inputs::<S>(y);
        [a, b, c, y[0], y[1]]
    }
}

impl Transform<4, 6> for OfSpreadWindow {
    #[inline(always)]
    fn apply<S: Simd>(y: [Floats<S>; 4]) -> [Floats<S>; 6] {
        let [a, b, c] = of_inputs::<S>([y[0], y[1], y[2]]);
        let [d, e, f] = of_inputs::<S>([y[1], y[2], y[3]]);
        [a, b, c, d, e, f]
    }
}

/// To the gradients of four inputs.
pub(in super::super) struct ToSpreadTile;

impl Transform<5, 4> for ToSpreadTile {
    #[inline(always)]
    fn apply<S: Simd>(sums: [Floats<S>; 5]) -> [Floats<S>; 4] {
        let [second, fourth] = to_pair::<S>([sums[0], sums[1], sums[2]]);
        [sums[3], second, sums[4], fourth]
    }
}

impl Transform<6, 4> for ToSpreadTile {
    #[inline(always)]
    fn apply<S: Simd>(sums: [Floats<S>; 6]) -> [Floats<S>; 4] {
        let [first, third] = to_pair::<S>([sums[0], sums[1], sums[2]]);
        let [second, fourth] = to_pair::<S>([sums[3], sums[4], sums[5]]);
        [first, second, third, fourth]
    }
}
