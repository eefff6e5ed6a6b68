//! Vectors in and out of slices, without `unsafe`: a check of the length that the compiler can do beforehand.

use macerator::{Scalar, Simd, Vector};

/// A register of 32-bit floats: 16, 8 or 4 of them.
pub(super) type Floats<S> = Vector<S, f32>;

/// Channels that lie side by side in a blocked layout, and a multiple of every register.
pub(super) const LINE: usize = 16;

/// [`LINE`] numbers.
pub(super) type Line = [f32; LINE];

/// How many numbers a register holds.
#[inline(always)]
pub(super) fn lanes<S: Simd>() -> usize {
    f32::lanes::<S>()
}

/// The first numbers of `slice`.
#[inline(always)]
pub(super) fn load<S: Simd>(slice: &[f32]) -> Floats<S> {
    bytemuck::pod_read_unaligned(bytemuck::cast_slice(&slice[..lanes::<S>()]))
}

/// Into the first places of `slice`.
#[inline(always)]
pub(super) fn store<S: Simd>(slice: &mut [f32], value: Floats<S>) {
    slice[..lanes::<S>()].copy_from_slice(bytemuck::cast_slice(std::slice::from_ref(&value)));
}

/// `value` in every place.
#[inline(always)]
pub(super) fn splat<S: Simd>(value: f32) -> Floats<S> {
    value.splat()
}

/// `a b + c`.
#[inline(always)]
pub(super) fn multiply_add<S: Simd>(a: Floats<S>, b: Floats<S>, c: Floats<S>) -> Floats<S> {
    a.mul_add(b, c)
}
