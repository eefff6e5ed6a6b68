//! Where the fast path can run.

use burn::tensor::Tensor;
#[cfg(feature = "flex")]
use burn::{backend::DispatchDevice, tensor::DType};

/// Whether `tensor` holds 32-bit floats on flex, with automatic differentiation or without.
#[cfg(feature = "flex")]
pub(crate) fn is_accelerated<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32
        && matches!(tensor.device().without_autodiff().as_dispatch(), DispatchDevice::Flex(_))
}

/// Without flex there is no fast path.
#[cfg(not(feature = "flex"))]
pub(crate) fn is_accelerated<const D: usize>(_tensor: &Tensor<D>) -> bool {
    false
}
