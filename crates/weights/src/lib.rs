//! Reading, verifying and writing checkpoints.
//!
//! A [`Checkpoint`] is an opened file of named tensors. [`load`] puts them into a burn module and [`save`]
//! writes a module's to a safetensors file, batch-norm running statistics included. Loading is strict: every
//! missing, unexpected and mis-shaped tensor is listed by name, in one error, before anything in the module
//! changes.
//!
//! # Formats
//!
//! The format is recognised by content, not by the name of the file:
//! - safetensors;
//! - several files with an index (`*.index.json`), as Hugging Face's libraries write them; [`save_sharded`]
//!   writes them;
//! - PyTorch: `torch.save`, present and before 1.6. The one mapping of tensors in the saved object is found;
//!   `module.` and `_orig_mod.`, if all names begin with it, are left out. The pickle is interpreted by a
//!   machine that knows tensors and nothing else: whatever else it names is refused, by name, and never run;
//! - NumPy: `.npz`, compressed or not, and `.npy`;
//! - GGUF, versions 2 and 3, with Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, and Q2_K to Q6_K.
//!
//! Opening reads headers; a tensor is read when it is asked for, straight into the memory where it stays.
//! Sizes are checked before memory is taken.
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
mod layout;
mod load;
mod pattern;
mod read;
mod save;
mod save_sharded;
pub mod testing;
mod walk;

#[cfg(test)]
mod tests;

pub use atomic::{sweep_temporary_files, write_atomic};
pub use checkpoint::{Checkpoint, TensorInfo};
pub use error::{Mismatch, ShapeMismatch, WeightsError};
pub use layout::{Layout, Rule};
pub use load::{LoadOptions, load, recognize};
pub use pattern::matches;
pub use read::format::FileFormat;
pub use read::pytorch::problem::PickleProblem;
pub use save::save;
pub use save_sharded::save_sharded;
pub use walk::parameter_ids;
