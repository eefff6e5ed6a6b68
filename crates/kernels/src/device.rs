//! Where the fast path can run.

use burn::tensor::Tensor;
#[cfg(feature = "flex")]
use burn::{
    backend::{BackendTensor, DispatchAutodiffContext, DispatchDevice, DispatchTensor, DispatchTensorKind},
    tensor::DType,
};

#[cfg(feature = "flex")]
use crate::memory::FlexTensor;

/// Whether `tensor` holds 32-bit floats on flex, with automatic differentiation or without.
#[cfg(feature = "flex")]
pub(crate) fn is_accelerated<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32
        && matches!(tensor.device().without_autodiff().as_dispatch(), DispatchDevice::Flex(_))
}

/// Whether `tensor` holds 32-bit floats on flex, and nothing is differentiated.
#[cfg(feature = "flex")]
pub(crate) fn is_plain<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && matches!(tensor.device().as_dispatch(), DispatchDevice::Flex(_))
}

/// The tensor as flex has it.
///
/// # Panics
/// If it isn't [plain](is_plain).
#[cfg(feature = "flex")]
pub(crate) fn to_flex<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    match tensor.into_dispatch().kind {
        DispatchTensorKind::Flex(tensor) => tensor.float(),
        _ => unreachable!("callers ask for the device first"),
    }
}

/// A tensor of flex's, without autodiff.
#[cfg(feature = "flex")]
pub(crate) fn from_flex<const D: usize>(tensor: FlexTensor) -> Tensor<D> {
    Tensor::from_dispatch(DispatchTensor {
        kind: DispatchTensorKind::Flex(BackendTensor::Float(tensor)),
        autodiff: DispatchAutodiffContext::Disabled,
    })
}

/// Without flex there is no fast path.
#[cfg(not(feature = "flex"))]
pub(crate) fn is_accelerated<const D: usize>(_tensor: &Tensor<D>) -> bool {
    false
}
