//! From a name to a device, without panics.
//!
//! burn's constructors are lazy: a device that isn't there panics at the first operation. Its enumeration is safe
//! and empty without a driver. So a device is looked up there first, and then brought up at once: on wgpu by the
//! constructor that returns errors, on the other CubeCL backends, which have none, behind `catch_unwind`.

use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;

use crate::adapter::{AdapterKind, absence, adapters};
use crate::{DeviceError, DeviceName};

impl DeviceName {
    /// Opens the device. Without a number it is the first of its backend; discrete graphics cards come before
    /// integrated ones, and software drivers last.
    ///
    /// The device doesn't record gradients; call `.autodiff()` on it for training.
    ///
    /// # Errors
    /// [`DeviceError::NotCompiled`] when this build lacks the backend, [`DeviceError::NotPresent`] when the machine has
    /// no such device, [`DeviceError::Open`] when its driver refuses it.
    pub fn open(&self) -> Result<Device, DeviceError> {
        // A wgpu device can be brought up once only, and two threads must not try at the same time.
        static OPENED: Mutex<Vec<(DeviceName, Device)>> = Mutex::new(Vec::new());

        let numbered = Self { index: Some(self.index.unwrap_or(0)), ..*self };
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, device)) = opened.iter().find(|(known, _)| *known == numbered) {
            return Ok(device.clone());
        }
        let device = self.bring_up()?;
        opened.push((numbered, device.clone()));
        Ok(device)
    }

    fn bring_up(&self) -> Result<Device, DeviceError> {
        if !self.backend.is_compiled() {
            return Err(DeviceError::NotCompiled { name: self.to_string(), feature: self.backend.name() });
        }
        let mut adapters = adapters(self.backend);
        let number = self.index.unwrap_or(0);
        if number >= adapters.len() {
            let reason = match adapters.len() {
                0 => absence(self.backend).to_owned(),
                1 => format!("this machine has only `{}:0`", self.backend.name()),
                count => {
                    format!("this machine has only `{0}:0` to `{0}:{1}`", self.backend.name(), count - 1)
                }
            };
            return Err(DeviceError::NotPresent { name: self.to_string(), reason });
        }
        let adapter = adapters.swap_remove(number);
        if adapter.kind == AdapterKind::Software {
            tracing::warn!(device = %self, "this is a software driver, meant for tests; `flex` is much faster");
        }
        (adapter.bring_up)().map_err(|source| DeviceError::Open { name: self.to_string(), source })
    }
}

#[cfg(test)]
mod tests {
    use crate::{Backend, DeviceError, DeviceName};

    #[test]
    fn the_processor_is_always_there() {
        for backend in [Backend::Flex, Backend::NdArray] {
            if backend.is_compiled() {
                let device = DeviceName { backend, index: None }.open().expect("needs no driver");
                assert!(!device.is_autodiff());
            }
        }
    }

    #[test]
    fn every_device_opens_twice_or_says_how_to_get_it() {
        for backend in Backend::ALL {
            let name = DeviceName { backend, index: None };
            match (name.open(), name.open()) {
                (Ok(first), Ok(second)) => assert_eq!(first, second),
                (Err(DeviceError::NotCompiled { feature, .. }), Err(error)) => {
                    assert!(!backend.is_compiled());
                    let message = error.to_string();
                    assert!(message.contains(&format!("--features {feature}")), "{message}");
                }
                (Err(DeviceError::NotPresent { reason, .. }), Err(_)) => {
                    assert!(backend.is_compiled());
                    assert!(!reason.is_empty());
                }
                (first, second) => panic!("{name}: {first:?}, then {second:?}"),
            }
        }
    }

    #[test]
    fn a_number_beyond_the_last_is_not_present() {
        for backend in [Backend::Wgpu, Backend::Cuda] {
            if backend.is_compiled() {
                let name = DeviceName { backend, index: Some(997) };
                let error = name.open().expect_err("no machine has so many");
                assert!(matches!(error, DeviceError::NotPresent { .. }), "{error}");
            }
        }
    }
}
