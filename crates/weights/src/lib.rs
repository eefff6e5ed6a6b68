//! Reading, verifying and writing checkpoints.
//!
//! A checkpoint is a safetensors file: a JSON header that names tensors, then their bytes. [`load`] puts its
//! tensors into a burn module and [`save`] writes a module's, batch-norm running statistics included. Loading
//! is strict: every missing, unexpected and mis-shaped tensor is listed by name, in one error, before
//! anything in the module changes.
//!
//! *Names.* A tensor of ours is named by the path of struct fields and indices that leads to it, joined by
//! dots (`layer1.0.conv1.weight`). The variants of module enums add nothing to it, so that a bare `ResNet`
//! and a `Classifier::ResNet` share their checkpoints. A [`Layout`] is a table of rules that turns our names
//! and shapes into those of a public checkpoint; the same table serves both directions.
//!
//! ```
//! use libellus_weights::{Layout, Rule};
//!
//! static TORCHVISION: Layout = Layout::table(
//!     "torchvision",
//!     &[
//!         Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
//!         Rule::Rename { ours: "**.beta", theirs: "**.bias" },
//!         Rule::Transpose { ours: "fc.weight" },
//!         Rule::Drop { theirs: "**.num_batches_tracked" },
//!     ],
//! );
//! assert_eq!(TORCHVISION.theirs("layer1.0.bn1.gamma"), "layer1.0.bn1.weight");
//! ```
//!
//! [`write_atomic`] is the one way this project writes a file that must survive a kill.

mod arrange;
mod atomic;
mod checkpoint;
mod error;
mod header;
mod layout;
mod load;
mod pattern;
mod save;
mod walk;

#[cfg(test)]
mod tests;

pub use atomic::{sweep_temporary_files, write_atomic};
pub use checkpoint::{Checkpoint, TensorInfo};
pub use error::{Mismatch, ShapeMismatch, WeightsError};
pub use layout::{Layout, Rule};
pub use load::{LoadOptions, load, recognize};
pub use pattern::matches;
pub use save::save;
pub use walk::parameter_ids;
