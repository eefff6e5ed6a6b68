//! Device names and selection, seeding and threads.
//!
//! A device is named by a short text, the same on the command line, in a configuration and in a test:
//! `flex`, `ndarray`, `wgpu`, `wgpu:1`. [`DeviceName`] parses it and [opens](DeviceName::open) it without panics,
//! whatever was compiled in and whatever this machine has; [`list`] shows what there is.
//!
//! What runs where is decided by the program alone: libraries take a `&Device` everywhere and never ask for burn's
//! `Device::default()`, which depends on Cargo features and panics when none is enabled.
//!
//! ```
//! use libellus_backend::{DeviceName, seed};
//!
//! let device = "flex".parse::<DeviceName>()?.open()?;
//! seed(&device, 42, 0);
//! # Ok::<(), libellus_backend::DeviceError>(())
//! ```

mod adapter;
mod error;
#[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm", feature = "cpu"))]
mod first_use;
#[cfg(feature = "wgpu")]
mod graphics;
mod list;
mod name;
mod open;
mod seed;
pub mod testing;
mod threads;

pub use error::DeviceError;
pub use list::{DeviceInfo, DeviceState, list};
pub use name::{Backend, DeviceName};
pub use seed::{mix_seed, seed};
pub use threads::set_threads;
