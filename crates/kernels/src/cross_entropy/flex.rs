//! Cross entropy on flex: logits are read once forward, and once more for the gradient, which is all that is written.

use burn::backend::Flex;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::TensorData;
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::extension::{CrossEntropyGradient, CrossEntropyOps, Sums};
use crate::indices::indices;
use crate::lanes::{max, sum, two_sums};
use crate::memory::{FlexTensor, contiguous, for_each, rework, rows, values};
use crate::scalar::exp;

impl CrossEntropyOps for Flex {
    fn cross_entropy_of_rows(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
        label_smoothing: f64,
    ) -> FloatTensor<Self> {
        Self::cross_entropy_with_sums(logits, labels, label_smoothing).0
    }
}

impl CrossEntropyGradient for Flex {
    fn cross_entropy_with_sums(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
        label_smoothing: f64,
    ) -> (FloatTensor<Self>, Sums) {
        let logits = contiguous(logits);
        let shape = rows(&logits);
        let (width, piece) = (shape.width, shape.at_a_time());
        // Where there are no classes, no label is right.
        let labels = indices(labels, width);
        let mut losses = vec![0.0; shape.count];
        let mut sums = vec![[0.0; 2]; shape.count];
        let pieces = values(&logits)
            .par_chunks((piece * width).max(1))
            .zip(labels.par_chunks(piece))
            .zip(losses.par_chunks_mut(piece).zip(sums.par_chunks_mut(piece)));
        for_each(pieces, |((logits, labels), (losses, sums))| {
            AutoArch::new().dispatch(Forward { logits, width, labels, losses, sums, label_smoothing });
        });
        (FlexTensor::from_data(TensorData::new(losses, [shape.count])), sums.into())
    }

    fn cross_entropy_gradient(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
        label_smoothing: f64,
        sums: &Sums,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let shape = rows(&logits);
        let (width, piece) = (shape.width, shape.at_a_time());
        let labels = indices(labels, width);
        let gradient = contiguous(gradient);
        let beside =
            labels.par_chunks(piece).zip(sums.par_chunks(piece)).zip(values(&gradient).par_chunks(piece));
        rework(logits, piece * width, beside, |logits, ((labels, sums), gradients)| {
            AutoArch::new().dispatch(Backward { logits, width, labels, sums, gradients, label_smoothing });
        })
    }
}

struct Forward<'a> {
    logits: &'a [f32],
    width: usize,
    labels: &'a [usize],
    losses: &'a mut [f32],
    sums: &'a mut [[f32; 2]],
    label_smoothing: f64,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    /// With the largest logit subtracted first, as in a log-softmax: large logits then keep their digits.
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let share = self.label_smoothing as f32;
        let right = (1.0 - self.label_smoothing) as f32;
        let samples = self.logits.chunks_exact(self.width).zip(self.labels);
        for ((row, &label), (loss, sums)) in samples.zip(self.losses.iter_mut().zip(self.sums)) {
            let largest = max(row);
            let logit = row[label] - largest;
            let total;
            // A logit of minus infinity counts with smoothing only.
            if share == 0.0 {
                total = sum(row, |x| exp(x - largest));
                *loss = total.ln() - logit;
            } else {
                let differences;
                (total, differences) = two_sums(row, row, |x, _| (exp(x - largest), x - largest));
                *loss = total.ln() - right * logit - share * (differences / row.len() as f32);
            }
            *sums = [largest, total];
        }
    }
}

/// Replaces logits by their gradients.
struct Backward<'a> {
    logits: &'a mut [f32],
    width: usize,
    labels: &'a [usize],
    sums: &'a [[f32; 2]],
    gradients: &'a [f32],
    label_smoothing: f64,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    /// `g (p - y)`.
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let share = (self.label_smoothing / self.width as f64) as f32;
        let right = (1.0 - self.label_smoothing) as f32;
        let samples = self.logits.chunks_exact_mut(self.width).zip(self.labels);
        for ((row, &label), (&[largest, total], &gradient)) in
            samples.zip(self.sums.iter().zip(self.gradients))
        {
            let (scale, of_all) = (gradient / total, gradient * share);
            for x in row.iter_mut() {
                *x = exp(*x - largest).mul_add(scale, -of_all);
            }
            row[label] -= gradient * right;
        }
    }
}
