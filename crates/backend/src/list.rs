//! What this build and this machine offer.

use std::fmt;

use crate::adapter::{absence, adapters};
use crate::{Backend, DeviceName};

/// A device, or a backend that has none here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The name to select it by.
    pub name: String,
    /// What computes, in a few words for a person.
    pub description: String,
    /// Whether it can be used.
    pub state: DeviceState,
    /// Whether it is the one taken when none is named.
    pub is_default: bool,
}

/// Whether a device can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// It has been brought up and works.
    Available,
    /// This build lacks its backend.
    NotCompiled {
        /// The Cargo feature that adds it.
        feature: &'static str,
    },
    /// This machine lacks it, or its driver refuses it.
    NotPresent {
        /// Why, and what to do.
        reason: String,
    },
}

impl fmt::Display for DeviceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Available => f.write_str("available"),
            Self::NotCompiled { feature } => write!(f, "not compiled in; build with `--features {feature}`"),
            Self::NotPresent { reason } => write!(f, "not present: {reason}"),
        }
    }
}

/// Every device of this machine under every compiled backend, and one entry for each backend without any.
///
/// Brings up each device once, which takes some time where there are graphics cards.
pub fn list() -> Vec<DeviceInfo> {
    Backend::ALL.into_iter().flat_map(list_backend).collect()
}

fn list_backend(backend: Backend) -> Vec<DeviceInfo> {
    let entry = |name: DeviceName, description: String, state| DeviceInfo {
        name: name.to_string(),
        description,
        state,
        is_default: DeviceName { index: name.index.filter(|number| *number > 0), ..name }
            == DeviceName::default(),
    };
    let first = DeviceName { backend, index: None };
    if !backend.is_compiled() {
        let state = DeviceState::NotCompiled { feature: backend.name() };
        return vec![entry(first, describe(backend).to_owned(), state)];
    }
    let found = adapters(backend);
    if found.is_empty() {
        let state = DeviceState::NotPresent { reason: absence(backend).to_owned() };
        return vec![entry(first, describe(backend).to_owned(), state)];
    }
    let numbered = found.into_iter().enumerate().map(|(number, adapter)| {
        let name = DeviceName { backend, index: backend.is_numbered().then_some(number) };
        let kind = adapter.kind.describe();
        match name.open() {
            Ok(device) => {
                let own = own_name(&device).map_or_else(String::new, |own| format!("{own}, "));
                entry(name, format!("{own}{kind} ({})", describe(backend)), DeviceState::Available)
            }
            Err(error) => {
                let state = DeviceState::NotPresent { reason: error.to_string() };
                entry(name, format!("{kind} ({})", describe(backend)), state)
            }
        }
    });
    numbered.collect()
}

fn describe(backend: Backend) -> &'static str {
    match backend {
        Backend::Flex => "burn's pure-Rust CPU backend",
        Backend::NdArray => "burn's older CPU backend",
        Backend::Wgpu => "WebGPU shaders",
        Backend::Vulkan => "SPIR-V on Vulkan",
        Backend::Metal => "Apple's Metal",
        Backend::Cuda => "NVIDIA's CUDA",
        Backend::Rocm => "AMD's ROCm",
        Backend::Cpu => "CubeCL's CPU runtime",
    }
}

/// What the hardware calls itself.
#[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm", feature = "cpu"))]
fn own_name(device: &burn::tensor::Device) -> Option<String> {
    device.identity().map(|identity| identity.name)
}

#[cfg(not(any(feature = "wgpu", feature = "cuda", feature = "rocm", feature = "cpu")))]
fn own_name(_device: &burn::tensor::Device) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::{DeviceState, list};
    use crate::{Backend, DeviceName};

    #[test]
    fn every_backend_is_listed_and_one_device_is_the_default() {
        let devices = list();
        for backend in Backend::ALL {
            let mut of_backend =
                devices.iter().filter(|device| device.name.split(':').next() == Some(backend.name()));
            assert!(of_backend.next().is_some(), "{}", backend.name());
        }
        assert_eq!(devices.iter().filter(|device| device.is_default).count(), 1);
    }

    #[test]
    fn what_is_listed_as_available_opens_under_its_name() {
        for device in list() {
            let name: DeviceName = device.name.parse().expect("a listed name");
            assert_eq!(name.open().is_ok(), device.state == DeviceState::Available, "{device:?}");
        }
    }

    #[test]
    fn what_is_missing_says_why() {
        for device in list() {
            match device.state {
                DeviceState::Available => {}
                DeviceState::NotCompiled { feature } => assert_eq!(feature, device.name),
                DeviceState::NotPresent { reason } => assert!(!reason.is_empty()),
            }
        }
    }
}
