//! Normalisation on flex: a vector at a time, which stays in the first-level cache.

use burn::backend::{Flex, tensor::FloatTensor};
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::Centre;
use super::extension::{NormGradient, NormOps, Statistics};
use crate::fresh::{Fresh, filled};
use crate::lanes::{sum, two_sums};
use crate::memory::{contiguous, for_each, like, rework, rows, values};

/// Into how many sums of parameter gradients the vectors are divided at most; never by the number of threads, so that
/// this doesn't change the result.
const PARTS: usize = 64;

impl NormOps for Flex {
    fn norm(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        centre: Centre,
    ) -> FloatTensor<Self> {
        Self::norm_with_statistics(input, gamma, beta, epsilon, centre).0
    }
}

impl NormGradient for Flex {
    fn norm_with_statistics(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        centre: Centre,
    ) -> (FloatTensor<Self>, Statistics) {
        let rows = rows(&input);
        let [gamma, beta] = [gamma, beta].map(contiguous);
        let [gamma, beta] = [&gamma, &beta].map(values);
        let mut statistics = vec![[0.0; 2]; rows.count];
        let piece = rows.at_a_time();
        let input = contiguous(input);
        let output = filled(rows.count * rows.width, |output| {
            let length = (piece * rows.width).max(1);
            let pieces = output.par_chunks(length).zip(values(&input).par_chunks(length));
            for_each(pieces.zip(statistics.par_chunks_mut(piece)), |((output, input), statistics)| {
                let epsilon = epsilon as f32;
                AutoArch::new().dispatch(Forward { input, output, statistics, gamma, beta, epsilon, centre });
            });
        });
        (like(&input, output), statistics.into())
    }

    fn norm_gradients(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        statistics: &Statistics,
        gradient: FloatTensor<Self>,
        centre: Centre,
    ) -> [FloatTensor<Self>; 3] {
        let rows = rows(&input);
        let [input, gamma] = [input, gamma].map(contiguous);
        let piece = rows.at_a_time().max(rows.count.div_ceil(PARTS));
        let length = (piece * rows.width).max(1);
        // Of gamma, then of beta, for each piece.
        let mut parts = vec![0.0; rows.count.div_ceil(piece) * 2 * rows.width];
        let beside = values(&input)
            .par_chunks(length)
            .zip(statistics.par_chunks(piece))
            .zip(parts.par_chunks_mut((2 * rows.width).max(1)));
        let input_gradient = rework(gradient, length, beside, |gradients, ((inputs, statistics), part)| {
            let gamma = values(&gamma);
            AutoArch::new().dispatch(Backward { gradients, inputs, statistics, gamma, part, centre });
        });
        let mut sums = vec![0.0; 2 * rows.width];
        for part in parts.chunks_exact((2 * rows.width).max(1)) {
            for (sum, part) in sums.iter_mut().zip(part) {
                *sum += part;
            }
        }
        let beta_gradient = sums.split_off(rows.width);
        [input_gradient, like(&gamma, sums), like(&gamma, beta_gradient)]
    }
}

/// Normalises vectors and notes their statistics.
struct Forward<'a> {
    input: &'a [f32],
    output: Fresh<'a>,
    statistics: &'a mut [[f32; 2]],
    gamma: &'a [f32],
    beta: &'a [f32],
    epsilon: f32,
    centre: Centre,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let width = self.gamma.len();
        let rows = self.input.chunks_exact(width).zip(self.output.chunks(width));
        for ((row, output), statistics) in rows.zip(self.statistics) {
            let centre = match self.centre {
                Centre::Mean => sum(row, |x| x) / width as f32,
                Centre::Zero => 0.0,
            };
            let variance = sum(row, |x| (x - centre) * (x - centre)) / width as f32;
            let scale = 1.0 / (variance + self.epsilon).sqrt();
            output.zip_with_two(row, [self.gamma, self.beta], |x, gamma, beta| {
                ((x - centre) * scale).mul_add(gamma, beta)
            });
            *statistics = [centre, scale];
        }
    }
}

/// Replaces gradients of the output by those of the input and adds up those of the parameters.
struct Backward<'a> {
    gradients: &'a mut [f32],
    inputs: &'a [f32],
    statistics: &'a [[f32; 2]],
    gamma: &'a [f32],
    part: &'a mut [f32],
    centre: Centre,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    /// With `x̂` the normalised input and `ĝ = g gamma`: `scale (ĝ - mean(ĝ) - x̂ mean(ĝ x̂))`, where the first mean
    /// stems from the centre.
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let width = self.gamma.len();
        let (gamma_gradient, beta_gradient) = self.part.split_at_mut(width);
        let rows = self.gradients.chunks_exact_mut(width).zip(self.inputs.chunks_exact(width));
        for ((gradients, inputs), &[centre, scale]) in rows.zip(self.statistics) {
            let sums = gamma_gradient.iter_mut().zip(beta_gradient.iter_mut()).zip(self.gamma);
            for (((gamma_gradient, beta_gradient), &gamma), (g, &x)) in
                sums.zip(gradients.iter_mut().zip(inputs))
            {
                *gamma_gradient += *g * ((x - centre) * scale);
                *beta_gradient += *g;
                *g *= gamma;
            }
            let (sum, product) = two_sums(gradients, inputs, |g, x| (g, g * ((x - centre) * scale)));
            let mean = match self.centre {
                Centre::Mean => sum / width as f32,
                Centre::Zero => 0.0,
            };
            let slope = product / width as f32;
            for (g, &x) in gradients.iter_mut().zip(inputs) {
                *g = scale * (*g - mean - (x - centre) * scale * slope);
            }
        }
    }
}
