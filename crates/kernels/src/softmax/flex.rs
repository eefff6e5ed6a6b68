//! Softmax on flex: a vector at a time, which stays in the first-level cache from its maximum to its last division.

use burn::backend::{Flex, tensor::FloatTensor};
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::Function;
use super::extension::{SoftmaxGradient, SoftmaxOps};
use crate::fresh::{Fresh, filled};
use crate::lanes::{max, sum, two_sums};
use crate::memory::{contiguous, for_each, like, rework, rows, values};
use crate::scalar::exp;

impl SoftmaxOps for Flex {
    fn softmax_rows(input: FloatTensor<Self>, function: Function) -> FloatTensor<Self> {
        let input = contiguous(input);
        let rows = rows(&input);
        let (width, length) = (rows.width, (rows.at_a_time() * rows.width).max(1));
        let output = filled(rows.count * width, |output| {
            let pieces = output.par_chunks(length).zip(values(&input).par_chunks(length));
            for_each(pieces, |(output, input)| {
                AutoArch::new().dispatch(Forward { input, output, width, function });
            });
        });
        like(&input, output)
    }
}

impl SoftmaxGradient for Flex {
    fn softmax_rows_gradient(
        output: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        function: Function,
    ) -> FloatTensor<Self> {
        let rows = rows(&output);
        let (width, piece) = (rows.width, rows.at_a_time() * rows.width);
        let output = contiguous(output);
        rework(gradient, piece, values(&output).par_chunks(piece.max(1)), |gradients, outputs| {
            AutoArch::new().dispatch(Backward { gradients, outputs, width, function });
        })
    }
}

/// Writes what the function makes of vectors.
struct Forward<'a> {
    input: &'a [f32],
    output: Fresh<'a>,
    width: usize,
    function: Function,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let rows = self.input.chunks_exact(self.width).zip(self.output.chunks(self.width));
        // A loop, since the inside of `for_each` might not be compiled for the instructions at hand.
        for (row, output) in rows {
            match self.function {
                Function::Softmax => softmax(row, max(row), output),
                // A finite largest element leaves negative infinity what it is.
                Function::MaskedSoftmax => softmax(row, max(row).max(f32::MIN), output),
                Function::LogSoftmax => log_softmax(row, output),
            }
        }
    }
}

#[inline(always)]
fn softmax(row: &[f32], largest: f32, output: Fresh<'_>) {
    let output = output.map(row, |x| exp(x - largest));
    let total = sum(output, |x| x);
    let scale = if total == 0.0 { 0.0 } else { 1.0 / total };
    for x in output {
        *x *= scale;
    }
}

#[inline(always)]
fn log_softmax(row: &[f32], output: Fresh<'_>) {
    let largest = max(row);
    let log_total = sum(row, |x| exp(x - largest)).ln();
    output.map(row, |x| x - largest - log_total);
}

/// Replaces gradients of the output by those of the input.
struct Backward<'a> {
    gradients: &'a mut [f32],
    outputs: &'a [f32],
    width: usize,
    function: Function,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let rows = self.gradients.chunks_exact_mut(self.width).zip(self.outputs.chunks_exact(self.width));
        for (gradients, outputs) in rows {
            match self.function {
                Function::Softmax | Function::MaskedSoftmax => softmax_gradient(gradients, outputs),
                Function::LogSoftmax => log_softmax_gradient(gradients, outputs),
            }
        }
    }
}

/// `y (g - Σ g y)`.
#[inline(always)]
fn softmax_gradient(gradients: &mut [f32], outputs: &[f32]) {
    let (total, _) = two_sums(gradients, outputs, |g, y| (g * y, 0.0));
    for (g, &y) in gradients.iter_mut().zip(outputs) {
        *g = y * (*g - total);
    }
}

/// `g - e^y Σ g`.
#[inline(always)]
fn log_softmax_gradient(gradients: &mut [f32], outputs: &[f32]) {
    let total = sum(gradients, |g| g);
    for (g, &y) in gradients.iter_mut().zip(outputs) {
        *g -= exp(y) * total;
    }
}
