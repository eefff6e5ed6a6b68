//! Group norm on flex: a group at a time, which often stays in the second-level cache from its mean to its last addition.

use burn::backend::{Flex, tensor::FloatTensor};
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::extension::{GroupNormGradient, GroupNormOps, Statistics};
use crate::lanes::{sum, two_sums};
use crate::memory::{CHUNK, FlexTensor, channels, contiguous, like, rework, values};

impl GroupNormOps for Flex {
    fn group_norm(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        Self::group_norm_with_statistics(input, gamma, beta, groups, epsilon).0
    }
}

impl GroupNormGradient for Flex {
    fn group_norm_with_statistics(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
    ) -> (FloatTensor<Self>, Statistics) {
        let [gamma, beta] = [gamma, beta].map(contiguous);
        let [gamma, beta] = [&gamma, &beta].map(values);
        let mut statistics = vec![[0.0; 2]; input.layout().shape()[0] * groups];
        let shape = Groups::new(&input, statistics.len());
        let beside = statistics.par_chunks_mut(shape.at_a_time()).enumerate();
        let output =
            rework(input, shape.at_a_time() * shape.size(), beside, |values, (piece, statistics)| {
                let first = piece * shape.at_a_time() * shape.channels;
                let epsilon = epsilon as f32;
                AutoArch::new().dispatch(Forward { values, statistics, shape, gamma, beta, first, epsilon });
            });
        (output, statistics.into())
    }

    fn group_norm_gradients(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        statistics: &Statistics,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        let [input, gamma] = [input, gamma].map(contiguous);
        let shape = Groups::new(&input, statistics.len());
        let (piece, length) = (shape.at_a_time(), shape.at_a_time() * shape.size());
        // Of gamma and beta, for each channel of each element of the batch.
        let mut sums = vec![[0.0; 2]; statistics.len() * shape.channels];
        let beside = values(&input)
            .par_chunks(length.max(1))
            .zip(statistics.par_chunks(piece))
            .zip(sums.par_chunks_mut((piece * shape.channels).max(1)))
            .enumerate();
        let gradients =
            rework(gradient, length, beside, |gradients, (index, ((inputs, statistics), sums))| {
                let (gamma, first) = (values(&gamma), index * piece * shape.channels);
                AutoArch::new().dispatch(Backward {
                    gradients,
                    inputs,
                    statistics,
                    sums,
                    shape,
                    gamma,
                    first,
                });
            });
        let mut totals = vec![[0.0_f64; 2]; values(&gamma).len()];
        for sums in sums.chunks_exact(totals.len().max(1)) {
            for (total, sums) in totals.iter_mut().zip(sums) {
                *total = [total[0] + f64::from(sums[0]), total[1] + f64::from(sums[1])];
            }
        }
        let [of_gamma, of_beta] = [0, 1].map(|part| totals.iter().map(|total| total[part] as f32).collect());
        [gradients, like(&gamma, of_gamma), like(&gamma, of_beta)]
    }
}

/// How groups lie in memory: one after the other.
#[derive(Debug, Clone, Copy)]
struct Groups {
    /// Channels of a group.
    channels: usize,
    /// Elements of a channel.
    length: usize,
}

impl Groups {
    /// A tensor `[B, C, ...]` with so many groups in the whole batch.
    fn new(tensor: &FlexTensor, count: usize) -> Self {
        let of_tensor = channels(tensor);
        let channels = tensor.layout().shape()[0] * of_tensor.count / count.max(1);
        Self { channels, length: of_tensor.length }
    }

    fn size(self) -> usize {
        self.channels * self.length
    }

    /// Groups that a thread computes at a time.
    fn at_a_time(self) -> usize {
        (CHUNK / self.size().max(1)).max(1)
    }
}

/// Elements that are summed in 32 bits.
const PIECE: usize = 4096;

/// The mean of `f` of each element.
#[inline(always)]
fn mean(values: &[f32], f: impl Fn(f32) -> f32 + Copy) -> f32 {
    let mut total = 0.0_f64;
    for piece in values.chunks(PIECE) {
        total += f64::from(sum(piece, f));
    }
    (total / values.len() as f64) as f32
}

/// Normalises groups and notes their statistics.
struct Forward<'a> {
    values: &'a mut [f32],
    statistics: &'a mut [[f32; 2]],
    shape: Groups,
    gamma: &'a [f32],
    beta: &'a [f32],
    /// The first channel, counted through the batch.
    first: usize,
    epsilon: f32,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    /// The variance is summed around the mean, so that a large mean doesn't take its digits.
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { values, statistics, shape, gamma, beta, first, epsilon } = self;
        let mut channel = first % gamma.len();
        for (group, statistics) in values.chunks_exact_mut(shape.size()).zip(statistics) {
            let centre = mean(group, |x| x);
            let variance = mean(group, |x| (x - centre) * (x - centre));
            let scale = 1.0 / (variance + epsilon).sqrt();
            for values in group.chunks_exact_mut(shape.length) {
                let (gamma, beta) = (gamma[channel] * scale, beta[channel]);
                for x in values {
                    *x = (*x - centre).mul_add(gamma, beta);
                }
                channel += 1;
            }
            channel %= gamma.len();
            *statistics = [centre, scale];
        }
    }
}

/// Replaces gradients of the output by those of the input and notes those of the parameters.
struct Backward<'a> {
    gradients: &'a mut [f32],
    inputs: &'a [f32],
    statistics: &'a [[f32; 2]],
    /// Of gamma and beta, for each channel.
    sums: &'a mut [[f32; 2]],
    shape: Groups,
    gamma: &'a [f32],
    /// The first channel, counted through the batch.
    first: usize,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    /// With `x̂` the normalised input and `ĝ = g gamma`: `scale (ĝ - mean(ĝ) - x̂ mean(ĝ x̂))`.
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { gradients, inputs, statistics, sums, shape, gamma, first } = self;
        let Groups { channels, length } = shape;
        let mut channel = first % gamma.len();
        let groups = gradients.chunks_exact_mut(shape.size()).zip(inputs.chunks_exact(shape.size()));
        let beside = statistics.iter().zip(sums.chunks_exact_mut(channels));
        for ((gradients, inputs), (&[centre, scale], sums)) in groups.zip(beside) {
            let gamma_of_group = &gamma[channel..channel + channels];
            let (mut total, mut product) = (0.0_f64, 0.0_f64);
            let parts = gradients.chunks_exact(length).zip(inputs.chunks_exact(length));
            for ((sums, &gamma), (gradients, inputs)) in sums.iter_mut().zip(gamma_of_group).zip(parts) {
                let (mut of_beta, mut of_gamma) = (0.0_f64, 0.0_f64);
                for (gradients, inputs) in gradients.chunks(PIECE).zip(inputs.chunks(PIECE)) {
                    let (sum, product) = two_sums(gradients, inputs, |g, x| (g, g * ((x - centre) * scale)));
                    of_beta += f64::from(sum);
                    of_gamma += f64::from(product);
                }
                total += f64::from(gamma) * of_beta;
                product += f64::from(gamma) * of_gamma;
                *sums = [of_gamma as f32, of_beta as f32];
            }
            let mean = (total / shape.size() as f64) as f32;
            let slope = (product / shape.size() as f64) as f32;
            let parts = gradients.chunks_exact_mut(length).zip(inputs.chunks_exact(length));
            for (&gamma, (gradients, inputs)) in gamma_of_group.iter().zip(parts) {
                for (g, &x) in gradients.iter_mut().zip(inputs) {
                    *g = scale * (*g * gamma - mean - (x - centre) * scale * slope);
                }
            }
            channel = (channel + channels) % gamma.len();
        }
    }
}
