//! Device names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::DeviceError;

/// The name of a device: a [backend](Backend), with the number of the device where a backend can have several.
///
/// Written as `flex`, `wgpu` (the first one) or `wgpu:1`; in configuration files it is that text. The default is
/// `flex` where it is compiled in, otherwise the first backend that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceName {
    pub(crate) backend: Backend,
    pub(crate) index: Option<usize>,
}

impl DeviceName {
    /// The backend that computes.
    pub fn backend(&self) -> Backend {
        self.backend
    }
}

/// A way to compute that burn offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// burn's pure-Rust CPU backend, the embedded default.
    Flex,
    /// burn's older CPU backend.
    NdArray,
    /// Graphics cards of any make through WebGPU's shader language.
    Wgpu,
    /// Graphics cards through Vulkan and SPIR-V.
    Vulkan,
    /// Apple's graphics processors through Metal.
    Metal,
    /// NVIDIA cards.
    Cuda,
    /// AMD cards.
    Rocm,
    /// CubeCL's CPU runtime, which compiles the kernels of the GPU backends for the processor.
    Cpu,
}

impl Backend {
    /// Every backend, the preferred default first.
    pub const ALL: [Self; 8] =
        [Self::Flex, Self::NdArray, Self::Wgpu, Self::Vulkan, Self::Metal, Self::Cuda, Self::Rocm, Self::Cpu];

    /// Its name in a [`DeviceName`], which is also the Cargo feature that compiles it in.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
            Self::Cpu => "cpu",
        }
    }

    /// Whether this build has it.
    pub fn is_compiled(self) -> bool {
        match self {
            Self::Flex => cfg!(feature = "flex"),
            Self::NdArray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Rocm => cfg!(feature = "rocm"),
            Self::Cpu => cfg!(feature = "cpu"),
        }
    }

    /// Whether its devices are numbered; the others have the processor as their only one.
    pub(crate) fn is_numbered(self) -> bool {
        !matches!(self, Self::Flex | Self::NdArray | Self::Cpu)
    }
}

impl Default for DeviceName {
    fn default() -> Self {
        let backend = Backend::ALL.into_iter().find(|backend| backend.is_compiled());
        Self { backend: backend.unwrap_or(Backend::Flex), index: None }
    }
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown { name: text.to_owned() };
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, Some(index)),
            None => (text, None),
        };
        let backend = Backend::ALL.into_iter().find(|backend| backend.name() == name).ok_or_else(unknown)?;
        let index = match index {
            None => None,
            Some(digits) if backend.is_numbered() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| unknown())?)
            }
            Some(_) => return Err(unknown()),
        };
        Ok(Self { backend, index })
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            None => f.pad(self.backend.name()),
            Some(index) => f.pad(&format!("{}:{index}", self.backend.name())),
        }
    }
}

impl TryFrom<String> for DeviceName {
    type Error = DeviceError;

    fn try_from(text: String) -> Result<Self, DeviceError> {
        text.parse()
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{Backend, DeviceName};

    #[test]
    fn names_survive_the_round_trip() {
        for text in ["flex", "ndarray", "wgpu", "wgpu:0", "vulkan:3", "metal", "cuda:11", "rocm:1", "cpu"] {
            let name: DeviceName = text.parse().expect("a documented name");
            assert_eq!(name.to_string(), text);
            let json = serde_json::to_string(&name).expect("a text");
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<DeviceName>(&json).expect("the same text"), name);
        }
    }

    #[test]
    fn other_names_are_refused_by_name() {
        let wrong = [
            "",
            "gpu",
            "Flex",
            "flex:0",
            "cpu:1",
            "wgpu:",
            "wgpu:-1",
            "wgpu:+1",
            "wgpu:1:2",
            "wgpu:99999999999999999999",
        ];
        for text in wrong {
            let message = text.parse::<DeviceName>().expect_err(text).to_string();
            assert!(message.starts_with(&format!("unknown device `{text}`;")), "{message}");
            assert!(serde_json::from_str::<DeviceName>(&format!("\"{text}\"")).is_err());
        }
    }

    #[test]
    fn default_is_compiled_in() {
        let default = DeviceName::default();
        assert!(default.backend().is_compiled());
        if Backend::Flex.is_compiled() {
            assert_eq!(default.to_string(), "flex");
        }
    }
}
