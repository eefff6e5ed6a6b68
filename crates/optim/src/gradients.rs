//! Gradients of a whole module as one vector.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, FloatDType, Tensor};
use libellus_kernels as kernels;

/// A number that all gradients are multiplied with.
pub(crate) enum Factor {
    /// Known on the host.
    Number(f64),
    /// Known on the device only, one element.
    Tensor(Box<Tensor<1>>),
}

/// The gradients of `model` times `factor`. Gradients of other modules are dropped.
pub(crate) fn scale<M: Module>(model: &M, gradients: GradientsParams, factor: Factor) -> GradientsParams {
    let mut scaler = Scaler { factor, from: gradients, to: GradientsParams::new() };
    model.visit(&mut scaler);
    scaler.to
}

struct Scaler {
    factor: Factor,
    from: GradientsParams,
    to: GradientsParams,
}

impl ModuleVisitor for Scaler {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.from.remove::<D>(param.id) else { return };
        let gradient = match &self.factor {
            Factor::Number(factor) => gradient.mul_scalar(*factor),
            Factor::Tensor(factor) => kernels::scale(gradient, factor.as_ref().clone()),
        };
        self.to.register(param.id, gradient);
    }
}

/// The sum of the squares of a tensor's elements, one element. Half precision is summed in f32: a square of more than
/// 65,504 is infinite in f16.
pub(crate) fn sum_of_squares<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let tensor = match tensor.dtype() {
        DType::F16 | DType::BF16 => tensor.cast(FloatDType::F32),
        _ => tensor,
    };
    kernels::sum_of_squares(tensor)
}
