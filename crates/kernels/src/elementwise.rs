//! Loops over all elements of tensors on flex: in pieces for the threads, each piece with the widest vector instructions.

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use crate::channels_last::{from_pixels, pixels};
use crate::fresh::{Fresh, filled};
use crate::memory::{CHUNK, FlexTensor, contiguous, for_each, like, unshared, values};

/// `f` of each element, in the same memory where nobody else looks at it. Images keep the order in which they lie.
pub(crate) fn map(input: FlexTensor, f: impl Fn(f32) -> f32 + Copy + Sync) -> FlexTensor {
    if let Some(pixels) = pixels(&input) {
        drop(input);
        return from_pixels(&map(pixels, f));
    }
    let mut input = contiguous(input);
    if let Some(values) = unshared(&mut input) {
        let pieces = values.par_chunks_mut(CHUNK);
        for_each(pieces, |values| AutoArch::new().dispatch(InPlace { values, f }));
        return input;
    }
    let output = filled(input.layout().num_elements(), |output| {
        let pieces = output.par_chunks(CHUNK).zip(values(&input).par_chunks(CHUNK));
        for_each(pieces, |(output, input)| AutoArch::new().dispatch(Map { input, output, f }));
    });
    like(&input, output)
}

/// `f` of each element of `left` and its counterpart in `right`; in the memory of `right` where nobody else looks at it.
pub(crate) fn zip(
    left: FlexTensor,
    right: FlexTensor,
    f: impl Fn(f32, f32) -> f32 + Copy + Sync,
) -> FlexTensor {
    let left = contiguous(left);
    let mut right = contiguous(right);
    let lefts = values(&left).par_chunks(CHUNK);
    if let Some(rights) = unshared(&mut right) {
        let pieces = rights.par_chunks_mut(CHUNK).zip(lefts);
        for_each(pieces, |(right, left)| AutoArch::new().dispatch(ZipInPlace { left, right, f }));
        return right;
    }
    let output = filled(right.layout().num_elements(), |output| {
        let pieces = output.par_chunks(CHUNK).zip(lefts.zip(values(&right).par_chunks(CHUNK)));
        for_each(pieces, |(output, (left, right))| AutoArch::new().dispatch(Zip { left, right, output, f }));
    });
    like(&right, output)
}

/// `f` from one slice into another. Like the other three a struct instead of a closure, since only a function that is
/// certain to be inlined is compiled for the instructions at hand.
struct Map<'a, F> {
    input: &'a [f32],
    output: Fresh<'a>,
    f: F,
}

impl<F: Fn(f32) -> f32> WithSimd for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        self.output.map(self.input, self.f);
    }
}

/// `f` within one slice.
struct InPlace<'a, F> {
    values: &'a mut [f32],
    f: F,
}

impl<F: Fn(f32) -> f32> WithSimd for InPlace<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        for x in self.values {
            *x = (self.f)(*x);
        }
    }
}

/// `f` of two slices into a third.
struct Zip<'a, F> {
    left: &'a [f32],
    right: &'a [f32],
    output: Fresh<'a>,
    f: F,
}

impl<F: Fn(f32, f32) -> f32> WithSimd for Zip<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        self.output.zip(self.left, self.right, self.f);
    }
}

/// `f` of two slices into the second.
struct ZipInPlace<'a, F> {
    left: &'a [f32],
    right: &'a mut [f32],
    f: F,
}

impl<F: Fn(f32, f32) -> f32> WithSimd for ZipInPlace<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        for (right, &left) in self.right.iter_mut().zip(self.left) {
            *right = (self.f)(left, *right);
        }
    }
}
