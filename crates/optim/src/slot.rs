//! A tensor of an optimiser's state.

use burn::optim::{StateSink, StateSource};
use burn::tensor::{Device, Tensor, TensorData};

/// A tensor of an optimiser's state, on a device or not yet.
///
/// burn loads a record onto `Device::default()`, and in a build with a GPU backend that is a GPU whether or not the
/// machine has one. A loaded tensor therefore stays in host memory until the first step tells where it belongs.
#[derive(Clone, Debug)]
pub(crate) enum Slot<const D: usize> {
    /// On the device of its parameter.
    Live(Tensor<D>),
    /// As it was read from a record.
    Loaded(TensorData),
}

impl<const D: usize> Slot<D> {
    /// The tensor, on `device`.
    pub(crate) fn on(self, device: &Device) -> Tensor<D> {
        match self {
            Self::Live(tensor) if tensor.device() == *device => tensor,
            Self::Live(tensor) => tensor.to_device(device),
            Self::Loaded(data) => Tensor::from_data(data, device),
        }
    }

    /// The same slot, on `device`.
    pub(crate) fn moved_to(self, device: &Device) -> Self {
        Self::Live(self.on(device))
    }

    /// Writes the tensor as `{prefix}.{leaf}`.
    pub(crate) fn flatten(&self, prefix: &str, leaf: &str, out: &mut StateSink) {
        let data = match self {
            Self::Live(tensor) => read(tensor.clone()),
            Self::Loaded(data) => data.clone(),
        };
        out.push_tensor(prefix, leaf, data);
    }

    /// Takes the tensor `{prefix}.{leaf}`, if it is there with the right rank.
    pub(crate) fn unflatten(prefix: &str, leaf: &str, src: &mut StateSource) -> Option<Self> {
        src.take_tensor(prefix, leaf).filter(|data| data.rank() == D).map(Self::Loaded)
    }
}

/// The values of a tensor, read at once: GPU backends defer the copy, and a later step in place would change it.
fn read<const D: usize>(tensor: Tensor<D>) -> TensorData {
    let data = tensor.into_data();
    TensorData::from_bytes_vec(data.as_bytes().to_vec(), data.shape(), data.dtype())
}
