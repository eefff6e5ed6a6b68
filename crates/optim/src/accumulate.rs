//! The mean gradient of several micro-batches.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};

use crate::gradients::{Factor, scale};

/// Averages gradients over micro-batches, so that `k` of them take the step that one batch `k` times as large takes.
///
/// That is exact, up to rounding, when the loss is a mean over samples, the micro-batches are equally large, and no
/// sample's output depends on the others of its batch (batch norm's does). burn's accumulator sums instead, which
/// multiplies the learning rate by `k`.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::GradientsParams;
/// use burn::tensor::Tensor;
/// use libellus_optim::{GradientAccumulator, global_norm};
///
/// let device = libellus_backend::testing::device().autodiff();
/// let model = LinearConfig::new(3, 2).init(&device);
/// let gradients = || {
///     let loss = model.forward(Tensor::<2>::ones([5, 3], &device)).square().mean();
///     GradientsParams::from_grads(loss.backward(), &model)
/// };
/// let mut accumulator = GradientAccumulator::new();
/// accumulator.accumulate(&model, gradients());
/// accumulator.accumulate(&model, gradients());
/// let mean = global_norm(&model, &accumulator.average(&model)).into_scalar::<f32>();
/// let single = global_norm(&model, &gradients()).into_scalar::<f32>();
/// assert!((mean - single).abs() < 1e-5 * single);
/// ```
pub struct GradientAccumulator<M> {
    sum: GradientsAccumulator<M>,
    count: usize,
}

impl<M: Module> GradientAccumulator<M> {
    /// An accumulator that has seen nothing.
    pub fn new() -> Self {
        Self { sum: GradientsAccumulator::new(), count: 0 }
    }

    /// Takes in the gradients of one micro-batch. A parameter without a gradient counts as zero.
    pub fn accumulate(&mut self, model: &M, gradients: GradientsParams) {
        self.sum.accumulate(model, gradients);
        self.count += 1;
    }

    /// How many micro-batches have been taken in since the last average.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The mean gradients of the micro-batches so far; the accumulator starts anew. A single micro-batch comes back
    /// bit by bit, and none gives no gradients.
    pub fn average(&mut self, model: &M) -> GradientsParams {
        let sum = self.sum.grads();
        match std::mem::take(&mut self.count) {
            0 | 1 => sum,
            count => scale(model, sum, Factor::Number(1.0 / count as f64)),
        }
    }
}

impl<M: Module> Default for GradientAccumulator<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M> std::fmt::Debug for GradientAccumulator<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GradientAccumulator").field("count", &self.count).finish_non_exhaustive()
    }
}
