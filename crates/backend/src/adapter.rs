//! The devices that a backend finds on this machine.

use std::error::Error;

use burn::tensor::Device;
#[cfg(feature = "wgpu")]
use burn::tensor::wgpu::WgpuBackend;

use crate::Backend;
#[cfg(any(feature = "cuda", feature = "rocm", feature = "cpu"))]
use crate::first_use;
#[cfg(feature = "wgpu")]
use crate::graphics;

/// A device that is there but not yet brought up.
pub(crate) struct Adapter {
    pub(crate) kind: AdapterKind,
    /// Makes the device work, or gives the error of its driver.
    pub(crate) bring_up: Box<dyn FnOnce() -> Result<Device, BoxedError>>,
}

pub(crate) type BoxedError = Box<dyn Error + Send + Sync>;

/// What computes, the most desirable first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "which kinds there are depends on the features")]
pub(crate) enum AdapterKind {
    Discrete,
    Integrated,
    Virtual,
    Unspecified,
    Processor,
    /// A graphics driver that computes on the processor.
    Software,
}

impl AdapterKind {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Discrete => "discrete graphics card",
            Self::Integrated => "integrated graphics",
            Self::Virtual => "virtual graphics card",
            Self::Unspecified => "accelerator",
            Self::Processor => "processor",
            Self::Software => "software driver, for tests",
        }
    }
}

/// The devices of `backend`, in the order of their numbers.
pub(crate) fn adapters(backend: Backend) -> Vec<Adapter> {
    match backend {
        #[cfg(feature = "flex")]
        Backend::Flex => processor(burn::tensor::DeviceType::Flex),
        #[cfg(feature = "ndarray")]
        Backend::NdArray => processor(burn::tensor::DeviceType::NdArray),
        #[cfg(feature = "wgpu")]
        Backend::Wgpu => graphics::adapters(burn::tensor::DeviceType::Wgpu, Device::wgpu, WgpuBackend::Auto),
        #[cfg(feature = "vulkan")]
        Backend::Vulkan => {
            graphics::adapters(burn::tensor::DeviceType::Vulkan, Device::vulkan, WgpuBackend::Vulkan)
        }
        #[cfg(feature = "metal")]
        Backend::Metal => {
            graphics::adapters(burn::tensor::DeviceType::Metal, Device::metal, WgpuBackend::Metal)
        }
        #[cfg(feature = "cuda")]
        Backend::Cuda => first_use::adapters(burn::tensor::DeviceType::Cuda, AdapterKind::Discrete),
        #[cfg(feature = "rocm")]
        Backend::Rocm => first_use::adapters(burn::tensor::DeviceType::Rocm, AdapterKind::Unspecified),
        #[cfg(feature = "cpu")]
        Backend::Cpu => first_use::adapters(burn::tensor::DeviceType::Cpu, AdapterKind::Processor),
        #[allow(unreachable_patterns, reason = "reached when a feature is off")]
        _ => Vec::new(),
    }
}

/// The processor under a backend that needs no driver.
#[cfg(any(feature = "flex", feature = "ndarray"))]
fn processor(device_type: burn::tensor::DeviceType) -> Vec<Adapter> {
    Device::enumerate(device_type)
        .into_iter()
        .map(|device| Adapter { kind: AdapterKind::Processor, bring_up: Box::new(|| Ok(device)) })
        .collect()
}

/// Why a backend that is compiled in has no device, and what to do.
pub(crate) fn absence(backend: Backend) -> &'static str {
    match backend {
        Backend::Flex | Backend::NdArray | Backend::Cpu => "burn offers no processor device",
        Backend::Wgpu => {
            "no graphics driver found; install your card's Vulkan driver (on Debian, mesa-vulkan-drivers and \
             libvulkan1, which bring a slow software one too), or use `--device flex`"
        }
        Backend::Vulkan => {
            "no Vulkan driver found; install your card's (on Debian, mesa-vulkan-drivers and libvulkan1), or use \
             `--device flex`"
        }
        Backend::Metal => "Metal is there on Apple's systems only; use `--device wgpu` or `--device flex`",
        Backend::Cuda => {
            "no NVIDIA card or driver (libcuda) found; install the driver, or use `--device flex`"
        }
        Backend::Rocm => "no AMD card or HIP runtime found; install ROCm, or use `--device flex`",
    }
}
