//! Accelerated operations on tensors: plain functions, differentiable, with the values of burn's and PyTorch's.
//!
//! On flex, with 32-bit floats, each runs as one pass over memory: vector instructions chosen at run time, rayon's
//! threads, and a backward pass of its own. Everywhere else (another backend, another type of number, a build without
//! the feature `flex`) each is composed of burn's operations. Strided input is copied first.
//!
//! ```
//! use burn::tensor::{Tensor, TensorData};
//! use libellus_kernels as kernels;
//!
//! let device = libellus_backend::testing::device().autodiff();
//! let x = Tensor::<1>::from_floats([-1.0, 0.0, 1.0], &device).require_grad();
//! let gradients = kernels::silu(x.clone()).sum().backward();
//! assert_eq!(x.grad(&gradients).map(|slope| slope.dims()), Some([3]));
//! ```
//!
//! A gradient of a gradient isn't available, as nowhere in burn 0.22.

mod activation;
mod convolution;
mod device;
#[cfg(feature = "flex")]
mod elementwise;
#[cfg(feature = "flex")]
mod scalar;

pub use activation::{exp, gelu, gelu_tanh, quick_gelu, sigmoid, silu, tanh};
pub use convolution::conv2d;
