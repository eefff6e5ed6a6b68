//! Objectives: what training makes small.
//!
//! A [`Loss`] is the number to differentiate, with the named [`Part`]s that it is made of. The classification objective is
//! [`CrossEntropy`], with label smoothing and with the soft targets of mixup and cutmix; [`InfoNce`] and [`Triplet`] make vectors whose
//! distances mean something.
//!
//! # Example
//!
//! ```
//! use burn::tensor::{Int, Tensor};
//! use libellus_losses::{CrossEntropyConfig, Loss};
//!
//! let device = libellus_backend::testing::device();
//! let logits = Tensor::<2>::from_floats([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0]], &device);
//! let labels = Tensor::<1, Int>::from_ints([0, 1], &device);
//!
//! let cross_entropy = CrossEntropyConfig { label_smoothing: 0.0 }.init()?;
//! let loss = Loss::new(cross_entropy.forward(logits, labels));
//! assert!(loss.total.into_scalar::<f32>() < 1e-3);
//! # Ok::<(), libellus_losses::LossError>(())
//! ```

mod contrastive;
mod cross_entropy;
mod error;
mod loss;

pub use contrastive::{InfoNce, InfoNceConfig, Triplet, TripletConfig};
pub use cross_entropy::{CrossEntropy, CrossEntropyConfig};
pub use error::LossError;
pub use loss::{Loss, Part};
