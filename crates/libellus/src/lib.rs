//! Libellus: deep learning for burn, from layers to applications.
//!
//! This crate re-exports the others under one name, an application and a backend per feature. A project that wants one
//! piece only can depend on that piece's crate.

/// The tensor library underneath.
pub use burn;
pub use libellus_backend as backend;
#[cfg(feature = "classify")]
pub use libellus_classify as classify;
pub use libellus_data as data;
pub use libellus_inspect as inspect;
pub use libellus_kernels as kernels;
pub use libellus_layers as layers;
pub use libellus_losses as losses;
pub use libellus_models as models;
pub use libellus_optim as optim;
#[cfg(feature = "text")]
pub use libellus_text as text;
pub use libellus_train as train;
pub use libellus_weights as weights;

/// The examples of the README, which have to compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
