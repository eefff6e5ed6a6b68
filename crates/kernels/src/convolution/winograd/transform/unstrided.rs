//! The transforms of Winograd's F(4x4, 3x3).

use macerator::Simd;

use super::Transform;
use crate::vector::{Floats, multiply_add, splat};

/// The polynomials behind the transforms are compared at 0, infinity, and these two numbers and their negatives. Their powers are
/// exact, and the error is a quarter of that with 1 and 2, as in the paper.
const NEAR: f32 = 0.75;
const FAR: f32 = 1.5;
const NEAR_2: f32 = NEAR * NEAR;
const FAR_2: f32 = FAR * FAR;
/// 1 by the product of the differences of a point to all others.
const WEIGHT_OF_NEAR: f32 = 1.0 / (2.0 * NEAR_2 * (NEAR_2 - FAR_2));
const WEIGHT_OF_FAR: f32 = 1.0 / (2.0 * FAR_2 * (FAR_2 - NEAR_2));
const WEIGHT_OF_ZERO: f32 = 1.0 / (NEAR_2 * FAR_2);

/// Of a tile of the input: `B^T`.
pub(in super::super) struct OfInput;

impl Transform<6, 6> for OfInput {
    #[inline(always)]
    fn apply<S: Simd>(x: [Floats<S>; 6]) -> [Floats<S>; 6] {
        let (product, sum) = (splat(NEAR_2 * FAR_2), splat(-NEAR_2 - FAR_2));
        let (near_2, far_2) = (splat(-NEAR_2), splat(-FAR_2));
        let (even, odd) = (multiply_add(far_2, x[2], x[4]), multiply_add(far_2, x[1], x[3]));
        let (far_even, far_odd) = (multiply_add(near_2, x[2], x[4]), multiply_add(near_2, x[1], x[3]));
        [
            multiply_add(product, x[0], multiply_add(sum, x[2], x[4])),
            multiply_add(splat(NEAR), odd, even),
            multiply_add(splat(-NEAR), odd, even),
            multiply_add(splat(FAR), far_odd, far_even),
            multiply_add(splat(-FAR), far_odd, far_even),
            multiply_add(product, x[1], multiply_add(sum, x[3], x[5])),
        ]
    }
}

/// Of a kernel: `G`.
pub(in super::super) struct OfKernel;

impl Transform<3, 6> for OfKernel {
    #[inline(always)]
    fn apply<S: Simd>(x: [Floats<S>; 3]) -> [Floats<S>; 6] {
        let outer = multiply_add(splat(NEAR_2), x[2], x[0]) * splat(WEIGHT_OF_NEAR);
        let far_outer = multiply_add(splat(FAR_2), x[2], x[0]) * splat(WEIGHT_OF_FAR);
        let (middle, far_middle) = (splat(NEAR * WEIGHT_OF_NEAR), splat(FAR * WEIGHT_OF_FAR));
        let (middle, far_middle) = (middle * x[1], far_middle * x[1]);
        [
            x[0] * splat(WEIGHT_OF_ZERO),
            outer + middle,
            outer - middle,
            far_outer + far_middle,
            far_outer - far_middle,
            x[2],
        ]
    }
}

/// To a tile of the output: `A^T`.
pub(in super::super) struct ToOutput;

impl Transform<6, 4> for ToOutput {
    #[inline(always)]
    fn apply<S: Simd>(x: [Floats<S>; 6]) -> [Floats<S>; 4] {
        let (sum, difference) = (x[1] + x[2], x[1] - x[2]);
        let (far_sum, far_difference) = (x[3] + x[4], x[3] - x[4]);
        let near_3 = multiply_add(splat(NEAR * NEAR_2), difference, x[5]);
        [
            x[0] + sum + far_sum,
            multiply_add(splat(FAR), far_difference, difference * splat(NEAR)),
            multiply_add(splat(FAR_2), far_sum, sum * splat(NEAR_2)),
            multiply_add(splat(FAR * FAR_2), far_difference, near_3),
        ]
    }
}

/// Of a tile of the output's gradient: `A`.
pub(in super::super) struct OfGradient;

impl Transform<4, 6> for OfGradient {
    #[inline(always)]
    fn apply<S: Simd>(x: [Floats<S>; 4]) -> [Floats<S>; 6] {
        let even = multiply_add(splat(NEAR_2), x[2], x[0]);
        let odd = multiply_add(splat(NEAR * NEAR_2), x[3], x[1] * splat(NEAR));
        let far_even = multiply_add(splat(FAR_2), x[2], x[0]);
        let far_odd = multiply_add(splat(FAR * FAR_2), x[3], x[1] * splat(FAR));
        [x[0], even + odd, even - odd, far_even + far_odd, far_even - far_odd, x[3]]
    }
}

/// To the gradient of a kernel: `G^T`.
pub(in super::super) struct ToKernel;

impl Transform<6, 3> for ToKernel {
    #[inline(always)]
    fn apply<S: Simd>(x: [Floats<S>; 6]) -> [Floats<S>; 3] {
        let near = (x[1] + x[2]) * splat(WEIGHT_OF_NEAR);
        let far = (x[3] + x[4]) * splat(WEIGHT_OF_FAR);
        let (odd, far_odd) = (splat(NEAR * WEIGHT_OF_NEAR), splat(FAR * WEIGHT_OF_FAR));
        [
            multiply_add(splat(WEIGHT_OF_ZERO), x[0], near + far),
            multiply_add(odd, x[1] - x[2], far_odd * (x[3] - x[4])),
            multiply_add(splat(NEAR_2), near, multiply_add(splat(FAR_2), far, x[5])),
        ]
    }
}
