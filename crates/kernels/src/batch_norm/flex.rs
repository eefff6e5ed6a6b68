//! Batch norm on flex: a channel at a time, which often stays in the second-level cache from its mean to its last
//! addition.

use burn::backend::{Flex, tensor::FloatTensor};
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::extension::{BatchNormGradient, BatchNormOps};
use crate::fresh::{Fresh, filled};
use crate::lanes::{sum, two_sums};
use crate::memory::{CHUNK, Channels, channels, contiguous, for_each, like, rework_channels, values};

impl BatchNormOps for Flex {
    fn normalize_batch(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [gamma, beta] = [gamma, beta].map(contiguous);
        let input = contiguous(input);
        let (shape, inputs) = (channels(&input), values(&input));
        let (mut means, mut variances) = (vec![0.0; shape.count], vec![0.0; shape.count]);
        let parameters = values(&gamma).par_iter().zip(values(&beta));
        let output = filled(inputs.len(), |output| {
            let pieces = shape.split(output.chunks(shape.length.max(1))).into_par_iter();
            let pieces = pieces.zip(parameters).zip(&mut means).zip(&mut variances).enumerate();
            for_each(pieces, |(index, (((pieces, (&gamma, &beta)), mean), variance))| {
                let mut pieces: Vec<_> = pieces.into_iter().map(Fresh::zeroed).collect();
                let channel = Channel { pieces: &mut pieces, inputs, index, shape };
                let epsilon = epsilon as f32;
                (*mean, *variance) = AutoArch::new().dispatch(Normalize { channel, gamma, beta, epsilon });
            });
        });
        (like(&input, output), like(&gamma, means), like(&gamma, variances))
    }

    fn scale_channels(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let [scale, shift] = [scale, shift].map(contiguous);
        let (scales, shifts) = (values(&scale), values(&shift));
        let input = contiguous(input);
        let Channels { count, length } = channels(&input);
        let planes = (CHUNK / length.max(1)).max(1);
        let first = |index: usize| index * planes % count;
        let len = (planes * length).max(1);
        let output = filled(input.layout().num_elements(), |output| {
            let pieces = output.par_chunks(len).zip(values(&input).par_chunks(len)).enumerate();
            for_each(pieces, |(index, (output, input))| {
                let first = first(index);
                AutoArch::new().dispatch(Scale { input, output, length, scales, shifts, first });
            });
        });
        like(&input, output)
    }
}

impl BatchNormGradient for Flex {
    fn normalize_batch_gradients(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        statistics: [FloatTensor<Self>; 2],
        epsilon: f64,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        let [means, variances] = statistics.map(contiguous);
        let of_channels = values(&means).par_iter().zip(values(&variances));
        gradients(input, gamma, gradient, of_channels, |channel, gamma, (&mean, &variance)| {
            let deviation = (variance + epsilon as f32).sqrt();
            AutoArch::new().dispatch(NormalizeGradient { channel, gamma, mean, scale: 1.0 / deviation })
        })
    }

    fn scale_channels_gradients(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        let nothing = rayon::iter::repeat_n((), scale.layout().num_elements());
        gradients(input, scale, gradient, nothing, |channel, scale, ()| {
            AutoArch::new().dispatch(ScaleGradient { channel, scale })
        })
    }
}

/// A channel, to be written beside its inputs.
struct Channel<'a, 'b> {
    /// Of each element of the batch; outputs, or gradients of outputs that become those of inputs.
    pieces: &'a mut [&'b mut [f32]],
    inputs: &'a [f32],
    /// Where the channel is in `inputs`.
    index: usize,
    shape: Channels,
}

impl<'a, 'b> Channel<'a, 'b> {
    /// The pieces and their inputs.
    #[inline(always)]
    fn pieces(&mut self) -> impl Iterator<Item = (&mut &'b mut [f32], &'a [f32])> {
        let Channels { count, length } = self.shape;
        let inputs = self.inputs.chunks_exact(length).skip(self.index).step_by(count);
        self.pieces.iter_mut().zip(inputs)
    }
}

/// The gradients of the input and of two parameters, of which `work` gives those of a channel.
fn gradients<T: Send>(
    input: FloatTensor<Flex>,
    scale: FloatTensor<Flex>,
    gradient: FloatTensor<Flex>,
    beside: impl IndexedParallelIterator<Item = T>,
    work: impl Fn(Channel<'_, '_>, f32, T) -> (f32, f32) + Send + Sync,
) -> [FloatTensor<Flex>; 3] {
    let [input, scale] = [input, scale].map(contiguous);
    let (shape, inputs) = (channels(&input), values(&input));
    let (mut scales, mut shifts) = (vec![0.0; shape.count], vec![0.0; shape.count]);
    let beside = values(&scale).par_iter().zip(&mut scales).zip(&mut shifts).enumerate().zip(beside);
    let gradient =
        rework_channels(gradient, beside, |pieces, ((index, ((&scale, scales), shifts)), beside)| {
            let channel = Channel { pieces, inputs, index, shape };
            (*scales, *shifts) = work(channel, scale, beside);
        });
    [gradient, like(&scale, scales), like(&scale, shifts)]
}

/// Normalises a channel, and gives its mean and variance.
struct Normalize<'a, 'b> {
    channel: Channel<'a, 'b>,
    gamma: f32,
    beta: f32,
    epsilon: f32,
}

impl WithSimd for Normalize<'_, '_> {
    type Output = (f32, f32);

    /// The variance is summed around the mean, so that a large mean doesn't take its digits; sums of pieces are added in
    /// 64 bits.
    #[inline(always)]
    fn with_simd<S: Simd>(self) -> (f32, f32) {
        let Self { mut channel, gamma, beta, epsilon } = self;
        let len = (channel.pieces.len() * channel.shape.length) as f64;
        let mut total = 0.0_f64;
        for (_, inputs) in channel.pieces() {
            total += f64::from(sum(inputs, |x| x));
        }
        let mean = (total / len) as f32;
        let mut total = 0.0_f64;
        for (_, inputs) in channel.pieces() {
            total += f64::from(sum(inputs, |x| (x - mean) * (x - mean)));
        }
        let variance = (total / len) as f32;
        let scale = gamma / (variance + epsilon).sqrt();
        for (outputs, inputs) in channel.pieces() {
            for (output, &x) in outputs.iter_mut().zip(inputs) {
                *output = (x - mean).mul_add(scale, beta);
            }
        }
        (mean, variance)
    }
}

/// Replaces the gradients of a channel of [`Normalize`]'s output, and gives those of gamma and beta.
struct NormalizeGradient<'a, 'b> {
    channel: Channel<'a, 'b>,
    gamma: f32,
    mean: f32,
    scale: f32,
}

impl WithSimd for NormalizeGradient<'_, '_> {
    type Output = (f32, f32);

    /// With `x̂` the normalised input: `gamma scale (g - mean(g) - x̂ mean(g x̂))`.
    #[inline(always)]
    fn with_simd<S: Simd>(self) -> (f32, f32) {
        let Self { mut channel, gamma, mean, scale } = self;
        let len = (channel.pieces.len() * channel.shape.length) as f64;
        let (mut total, mut product) = (0.0_f64, 0.0_f64);
        for (gradients, inputs) in channel.pieces() {
            let (of_piece, product_of_piece) = two_sums(gradients, inputs, |g, x| (g, g * (x - mean)));
            total += f64::from(of_piece);
            product += f64::from(product_of_piece);
        }
        let product = product * f64::from(scale);
        let constant = (total / len) as f32;
        let slope = (product / len) as f32 * scale;
        for (gradients, inputs) in channel.pieces() {
            for (g, &x) in gradients.iter_mut().zip(inputs) {
                *g = gamma * scale * (*g - constant - (x - mean) * slope);
            }
        }
        (product as f32, total as f32)
    }
}

/// Scales and shifts planes of `length`, which are those of the channels from `first` on, again and again.
struct Scale<'a> {
    input: &'a [f32],
    output: Fresh<'a>,
    length: usize,
    scales: &'a [f32],
    shifts: &'a [f32],
    first: usize,
}

impl WithSimd for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let mut channel = self.first;
        for (input, output) in self.input.chunks_exact(self.length).zip(self.output.chunks(self.length)) {
            let (scale, shift) = (self.scales[channel], self.shifts[channel]);
            output.map(input, |x| x.mul_add(scale, shift));
            channel = (channel + 1) % self.scales.len();
        }
    }
}

/// Replaces the gradients of a channel of [`Scale`]'s output, and gives those of scale and shift.
struct ScaleGradient<'a, 'b> {
    channel: Channel<'a, 'b>,
    scale: f32,
}

impl WithSimd for ScaleGradient<'_, '_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self) -> (f32, f32) {
        let Self { mut channel, scale } = self;
        let (mut total, mut product) = (0.0_f64, 0.0_f64);
        for (gradients, inputs) in channel.pieces() {
            let (of_piece, product_of_piece) = two_sums(gradients, inputs, |g, x| (g, g * x));
            total += f64::from(of_piece);
            product += f64::from(product_of_piece);
        }
        for gradients in channel.pieces {
            for g in gradients.iter_mut() {
                *g *= scale;
            }
        }
        (product as f32, total as f32)
    }
}
