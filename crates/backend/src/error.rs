//! What can go wrong between a device's name and the device.

use std::error::Error;

/// A device that can't be had, and how to get it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The text names no device.
    #[error(
        "unknown device `{name}`; devices are flex, ndarray, wgpu[:N], vulkan[:N], metal[:N], cuda[:N], rocm[:N] and \
         cpu (`libellus device list` shows those of this machine)"
    )]
    Unknown {
        /// The text as it was given.
        name: String,
    },

    /// The backend of this device is not part of this build.
    #[error("device `{name}` is not compiled in; build with `--features {feature}`, or use `--device flex`")]
    NotCompiled {
        /// The device asked for.
        name: String,
        /// The Cargo feature of `libellus` that adds it.
        feature: &'static str,
    },

    /// The machine has no such device.
    #[error("device `{name}` is not present: {reason}")]
    NotPresent {
        /// The device asked for.
        name: String,
        /// What was looked for in vain, and what to install.
        reason: String,
    },

    /// The device is there but can't be used.
    #[error("device `{name}` can't be opened: {source}")]
    Open {
        /// The device asked for.
        name: String,
        /// What the driver says.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}
