//! Vectors in and out of slices, without `unsafe`: a check of the length that the compiler can do beforehand.

use macerator::{Scalar, Simd, VOrd, Vector};

use crate::product::STRIP;

/// A register of 32-bit floats: 16, 8 or 4 of them, or what stands in for one.
pub(crate) type Floats<S> = Vector<S, f32>;

/// Channels that lie side by side in a blocked layout, and a multiple of every register.
pub(crate) const LINE: usize = 16;

/// [`LINE`] numbers.
pub(crate) type Line = [f32; LINE];

/// How many numbers a register holds.
#[inline(always)]
pub(crate) fn lanes<S: Simd>() -> usize {
    f32::lanes::<S>()
}

/// The first numbers of `slice`.
#[inline(always)]
pub(crate) fn load<S: Simd>(slice: &[f32]) -> Floats<S> {
    bytemuck::pod_read_unaligned(bytemuck::cast_slice(&slice[..lanes::<S>()]))
}

/// Into the first places of `slice`.
#[inline(always)]
pub(crate) fn store<S: Simd>(slice: &mut [f32], value: Floats<S>) {
    slice[..lanes::<S>()].copy_from_slice(bytemuck::cast_slice(std::slice::from_ref(&value)));
}

/// `value` in every place.
#[inline(always)]
pub(crate) fn splat<S: Simd>(value: f32) -> Floats<S> {
    value.splat()
}

/// `a b + c`.
#[inline(always)]
pub(crate) fn multiply_add<S: Simd>(a: Floats<S>, b: Floats<S>, c: Floats<S>) -> Floats<S> {
    a.mul_add(b, c)
}

/// `x`, or `low` where it is below. NaN stays NaN.
#[inline(always)]
pub(crate) fn at_least<S: Simd>(x: Floats<S>, low: f32) -> Floats<S> {
    let low = splat::<S>(low);
    if keeps_nan::<S>() { low.max(x) } else { x.lt(low).select(low, x) }
}

/// `x`, or `high` where it is above. NaN stays NaN.
#[inline(always)]
pub(crate) fn at_most<S: Simd>(x: Floats<S>, high: f32) -> Floats<S> {
    let high = splat::<S>(high);
    if keeps_nan::<S>() { high.min(x) } else { x.gt(high).select(high, x) }
}

/// Whether the larger and the smaller of a number and NaN, in this order, is NaN: x86 yields the second, and ARM NaN.
#[inline(always)]
fn keeps_nan<S: Simd>() -> bool {
    cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) && f32::is_min_max_accelerated::<S>()
}

/// Asks for the cache line that lies so many numbers behind the first of `slice`, which need not be there.
#[inline(always)]
pub(crate) fn fetch_ahead(slice: &[f32], distance: usize) {
    #[cfg(target_arch = "x86_64")]
    #[expect(
        unsafe_code,
        reason = "products wait for the second-level cache otherwise: see docs/src/kernels.md"
    )]
    // SAFETY: a hint, which reads nothing and is allowed for any address. Every x86-64 has the instruction.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(slice.as_ptr().wrapping_add(distance).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, distance);
}

/// Asks for as many cache lines as a strip has numbers, into the second-level cache. Where they begin within a line, one more belongs to the
/// next strip, too, and comes with it.
#[inline(always)]
pub(crate) fn fetch_strip<T>(slice: &[T]) {
    fetch_lines(slice, STRIP / LINE);
}

/// The same of so many lines, which need not be there.
#[inline(always)]
pub(crate) fn fetch_lines<T>(slice: &[T], lines: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..lines {
        #[expect(
            unsafe_code,
            reason = "what is read or written next waits for memory otherwise: see docs/src/kernels.md"
        )]
        // SAFETY: a hint, which reads nothing and is allowed for any address. Every x86-64 has the instruction.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T1>(slice.as_ptr().cast::<Line>().wrapping_add(line).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, lines);
}
