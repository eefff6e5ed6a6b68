//! Models by name and file: what they are made of, what they compute on given tensors, and their checkpoints in other
//! layouts. It is what `libellus model` does.
//!
//! [`Design`] is a configuration found by the name of a preset or in a file; [`Loaded`] is the model itself with the
//! weights of a checkpoint in any known layout. [`summarize`] lists layers with output shapes, parameters and cost,
//! [`forward`] runs a model on named tensors, [`convert`] writes a checkpoint in another layout.
//!
//! ```
//! use libellus_inspect::{Design, summarize};
//!
//! let device = libellus_backend::testing::device();
//! let summary = summarize(&Design::preset("resnet18")?, &device)?;
//! assert_eq!(summary.total.parameters, 11_689_512);
//! assert_eq!(summary.total.macs, 1_814_073_344);
//! # Ok::<(), libellus_inspect::InspectError>(())
//! ```

mod convert;
mod design;
mod error;
mod forward;
mod load;
mod summary;

pub use convert::{Converted, convert};
pub use design::Design;
pub use error::InspectError;
pub use forward::{Depth, forward, read_tensors, write_tensors};
pub use load::Loaded;
pub use summary::{Cost, Row, Summary, summarize};
