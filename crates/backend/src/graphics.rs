//! Graphics adapters through wgpu.

use burn::tensor::wgpu::{WgpuBackend, WgpuInitError};
use burn::tensor::{Device, DeviceKind, DeviceType};

use crate::adapter::{Adapter, AdapterKind, BoxedError};
use crate::first_use;

/// The adapters that `api` reaches: discrete ones first, software last, each kind in the order of the driver's list.
///
/// `select` is burn's constructor for that API. It is lazy, so it may name an adapter that doesn't exist.
pub(crate) fn adapters(
    device_type: DeviceType,
    select: fn(DeviceKind) -> Device,
    api: WgpuBackend,
) -> Vec<Adapter> {
    // burn lists devices without telling their kinds, but a listed device equals the one selected by kind and number.
    let mut listed = Device::enumerate(device_type).into_vec();
    let count = listed.len();
    let selectors = (0..count)
        .map(|n| (DeviceKind::DiscreteGpu(n), AdapterKind::Discrete))
        .chain((0..count).map(|n| (DeviceKind::IntegratedGpu(n), AdapterKind::Integrated)))
        .chain((0..count).map(|n| (DeviceKind::VirtualGpu(n), AdapterKind::Virtual)))
        .chain([(DeviceKind::Cpu, AdapterKind::Software)]);
    let mut found = Vec::new();
    for (selector, kind) in selectors {
        let device = select(selector.clone());
        if let Some(position) = listed.iter().position(|listed| *listed == device) {
            listed.remove(position);
            found.push(Adapter { kind, bring_up: Box::new(move || bring_up(selector, api, device)) });
        }
    }

    // What is left has a kind that its driver doesn't tell (OpenGL), and no selector.
    let unspecified = listed.into_iter().map(|device| Adapter {
        kind: AdapterKind::Unspecified,
        bring_up: Box::new(|| first_use::bring_up(device)),
    });
    let software =
        found.iter().position(|adapter| adapter.kind == AdapterKind::Software).unwrap_or(found.len());
    found.splice(software..software, unspecified);
    found
}

/// Brings up the adapter through the constructor that returns errors.
fn bring_up(selector: DeviceKind, api: WgpuBackend, device: Device) -> Result<Device, BoxedError> {
    match Device::wgpu_options().device_kind(selector).graphics_api(api).init() {
        Ok(device) => Ok(device),
        // Somebody else in this process has used it already.
        Err(WgpuInitError::Registration { .. }) => Ok(device),
        Err(error) => Err(error.into()),
    }
}
