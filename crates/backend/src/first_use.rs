//! Devices that burn brings up by their first use only.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

use burn::tensor::Device;

use crate::adapter::BoxedError;

/// The devices that burn lists for `device_type`.
#[cfg(any(feature = "cuda", feature = "rocm", feature = "cpu"))]
pub(crate) fn adapters(
    device_type: burn::tensor::DeviceType,
    kind: crate::adapter::AdapterKind,
) -> Vec<crate::adapter::Adapter> {
    Device::enumerate(device_type)
        .into_iter()
        .map(|device| crate::adapter::Adapter { kind, bring_up: Box::new(|| bring_up(device)) })
        .collect()
}

/// Uses the device once, and turns the panic of a driver that refuses it into an error.
///
/// burn 0.22.1 has no constructor that returns errors for CUDA, ROCm, its CPU runtime and graphics adapters of an
/// unspecified kind; all of them panic in the code that makes the client. The panic's message would be printed by the
/// process-wide hook, so that is silent meanwhile.
pub(crate) fn bring_up(device: Device) -> Result<Device, BoxedError> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let used = panic::catch_unwind(AssertUnwindSafe(|| device.identity().map(drop)));
    panic::set_hook(hook);
    used.map(|_| device).map_err(|payload| BoxedError::from(message(&*payload)))
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("its driver failed without a message")
}
