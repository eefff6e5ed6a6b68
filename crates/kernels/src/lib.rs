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
mod allocator;
mod attention;
mod backward;
mod batch_norm;
#[cfg(feature = "flex")]
mod channels_last;
mod convolution;
mod cross_entropy;
mod device;
mod dropout;
#[cfg(feature = "flex")]
mod elementwise;
#[cfg(feature = "flex")]
mod finish;
#[cfg(feature = "flex")]
mod fresh;
mod gather;
mod group_norm;
mod gru;
#[cfg(feature = "flex")]
mod indices;
#[cfg(feature = "flex")]
mod lanes;
mod linear;
#[cfg(feature = "flex")]
mod lines;
mod lstm;
mod maps;
#[cfg(feature = "flex")]
mod matrix;
mod matrix_units;
#[cfg(feature = "flex")]
mod memory;
#[cfg(feature = "flex")]
mod narrow;
mod norm;
mod optimizer;
mod plane_map;
mod pooling;
mod prepared;
#[cfg(feature = "flex")]
mod product;
mod quantize;
#[cfg(feature = "flex")]
mod recurrent;
mod resize;
#[cfg(feature = "flex")]
mod scalar;
#[cfg(feature = "flex")]
mod scratch;
mod softmax;
#[cfg(test)]
mod testing;
#[cfg(feature = "flex")]
mod vector;

pub use activation::{
    exp, gelu, gelu_tanh, hard_sigmoid, hard_swish, leaky_relu, quick_gelu, relu, relu6, sigmoid, silu, tanh,
};
pub use allocator::{CacheLineAllocator, keep_freed_memory};
pub use attention::{Causal, attention, packed_attention, repeat_heads};
pub use batch_norm::{NormalizedBatch, batch_norm, batch_norm_train};
pub use convolution::{
    ChannelNorm, Epilogue, FusedConv, Nonlinearity, conv_transpose2d, conv2d, conv2d_fused, inverted_residual,
};
pub use cross_entropy::cross_entropy;
pub use dropout::dropout;
pub use gather::{embedding, gather_rows, segment_sum};
pub use group_norm::group_norm;
pub use gru::gru;
pub use linear::{linear, linear_transposed};
pub use lstm::{LstmSequence, lstm, unbind};
pub use maps::{concat_channels, scale_channels};
pub use norm::{layer_norm, rms_norm};
pub use optimizer::{
    AdamAverages, AdamStep, LionStep, SgdDirection, SgdStep, adam_step, lion_step, scale, sgd_step,
    sum_of_squares,
};
pub use pooling::{adaptive_avg_pool2d, avg_pool2d, max_pool2d};
pub use prepared::{Precision, PrepareInference, Prepared};
pub use resize::{Interpolation, resize2d};
pub use softmax::{log_softmax, masked_softmax, softmax};
