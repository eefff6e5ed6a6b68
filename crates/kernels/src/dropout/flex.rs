//! Dropout on flex: random numbers are made where they are used, and a bit of each is kept.

use std::sync::Arc;

use burn::backend::{Flex, tensor::FloatTensor};
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::extension::{DropoutGradient, DropoutOps, Mask};
use super::generator::Generators;
use crate::memory::{CHUNK, rework};
use crate::vector::LINE;

/// Elements whose mask is a line of words.
const BLOCK: usize = LINE * u32::BITS as usize;

impl DropoutOps for Flex {
    fn drop_elements(input: FloatTensor<Self>, probability: f64, seed: u64) -> FloatTensor<Self> {
        Self::drop_elements_with_mask(input, probability, seed).0
    }
}

impl DropoutGradient for Flex {
    fn drop_elements_with_mask(
        input: FloatTensor<Self>,
        probability: f64,
        seed: u64,
    ) -> (FloatTensor<Self>, Mask) {
        let mut mask = vec![[0; LINE]; input.layout().num_elements().div_ceil(BLOCK)];
        let beside = mask.par_chunks_mut(CHUNK / BLOCK).enumerate();
        let output = rework(input, CHUNK, beside, |values, (piece, mask)| {
            let generators = Generators::new(seed, piece);
            AutoArch::new().dispatch(Forward { values, mask, generators, probability });
        });
        (output, Arc::new(mask))
    }

    fn dropout_gradient(gradient: FloatTensor<Self>, probability: f64, mask: &Mask) -> FloatTensor<Self> {
        rework(gradient, CHUNK, mask.par_chunks(CHUNK / BLOCK), |values, mask| {
            AutoArch::new().dispatch(Backward { values, mask, probability });
        })
    }
}

/// Draws the mask, and applies it.
struct Forward<'a> {
    values: &'a mut [f32],
    /// Zeros.
    mask: &'a mut [[u32; LINE]],
    generators: Generators,
    probability: f64,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { values, mask, mut generators, probability } = self;
        // Of 2^32 numbers, those below are dropped.
        let dropped = (probability * 2.0_f64.powi(32)).round() as u32;
        let scale = kept_scale(probability);
        for (block, mask) in values.chunks_mut(BLOCK).zip(mask) {
            for (step, line) in block.chunks_mut(LINE).enumerate() {
                let numbers = generators.next();
                for lane in 0..LINE {
                    mask[lane] |= u32::from(numbers[lane] >= dropped) << step;
                }
                apply(line, mask, step, scale);
            }
        }
    }
}

/// Applies a mask.
struct Backward<'a> {
    values: &'a mut [f32],
    mask: &'a [[u32; LINE]],
    probability: f64,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let scale = kept_scale(self.probability);
        for (block, mask) in self.values.chunks_mut(BLOCK).zip(self.mask) {
            for (step, line) in block.chunks_mut(LINE).enumerate() {
                apply(line, mask, step, scale);
            }
        }
    }
}

/// What kept elements are multiplied by.
fn kept_scale(probability: f64) -> f32 {
    (1.0 / (1.0 - probability)) as f32
}

/// Multiplies up to 16 elements by `scale` where their bit is set, and by 0 elsewhere.
#[inline(always)]
fn apply(line: &mut [f32], mask: &[u32; LINE], step: usize, scale: f32) {
    let factor = |word: u32| if (word >> step) & 1 == 1 { scale } else { 0.0 };
    match line.as_chunks_mut::<LINE>() {
        ([line], []) => {
            for lane in 0..LINE {
                line[lane] *= factor(mask[lane]);
            }
        }
        (_, rest) => {
            for (x, &word) in rest.iter_mut().zip(mask) {
                *x *= factor(word);
            }
        }
    }
}
