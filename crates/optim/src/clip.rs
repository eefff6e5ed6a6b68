//! The norm of all gradients together, and clipping by it.
//!
//! Pascanu et al. 2013, *On the Difficulty of Training Recurrent Neural Networks*, arXiv:1211.5063, algorithm 1.
//! Reference implementation: `torch.nn.utils.clip_grad_norm_`. burn clips each tensor by its own norm, which changes the
//! direction of the step; here all are scaled by one factor.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::gradients::{Factor, scale, sum_of_squares};

/// Gradients after clipping, and their norm before it.
#[derive(Debug)]
pub struct Clipped {
    /// The gradients, scaled where their norm was above the largest allowed.
    pub gradients: GradientsParams,
    /// The norm before clipping: one element, on the device. Nothing has been read to the host.
    pub norm: Tensor<1>,
}

/// Scales the gradients of `model` down so that their [`global_norm`] is at most `max_norm`, a number from 0 up.
///
/// As in PyTorch, the factor is `min(1, max_norm / (norm + 1e-6))`. Where the norm isn't finite, the gradients are of
/// no use, clipped or not: check [`Clipped::norm`] when it is read.
///
/// # Panics
/// When `model` has no parameter.
pub fn clip_global_norm<M: Module>(model: &M, gradients: GradientsParams, max_norm: f64) -> Clipped {
    let norm = global_norm(model, &gradients);
    let factor = norm.clone().add_scalar(1e-6).recip().mul_scalar(max_norm).clamp_max(1.0);
    Clipped { gradients: scale(model, gradients, Factor::Tensor(Box::new(factor))), norm }
}

/// The Euclidean norm of the gradients of all parameters of `model`, as one vector: one element, on the device.
///
/// Parameters without a gradient count as zero.
///
/// # Panics
/// When `model` has no parameter.
pub fn global_norm<M: Module>(model: &M, gradients: &GradientsParams) -> Tensor<1> {
    let mut squares = Squares { gradients, sums: Vec::new() };
    model.visit(&mut squares);
    if squares.sums.is_empty() {
        let devices = model.devices();
        let device = devices.first().expect("a model whose gradients are measured has parameters");
        return Tensor::zeros([1], device).inner();
    }
    Tensor::cat(squares.sums, 0).sum().sqrt()
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sums: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.sums.extend(self.gradients.get::<D>(param.id).map(sum_of_squares));
    }
}
