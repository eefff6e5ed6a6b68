//! What the tests of optimisers share: a model of bare parameters and the golden file.

#![allow(dead_code, reason = "each test file is a crate of its own and uses only part of this")]

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use libellus_backend::testing::read;
use safetensors::SafeTensors;

const GOLDEN: &[u8] = include_bytes!("../golden/optimizers.safetensors");

/// Parameters of three ranks.
#[derive(Module, Debug)]
pub(crate) struct Bare {
    pub(crate) vector: Param<Tensor<1>>,
    pub(crate) matrix: Param<Tensor<2>>,
    pub(crate) kernel: Param<Tensor<4>>,
}

impl Bare {
    /// The model that the golden trajectories start from.
    pub(crate) fn golden(device: &Device) -> Self {
        Self {
            vector: Param::from_data(golden("start.vector"), device),
            matrix: Param::from_data(golden("start.matrix"), device),
            kernel: Param::from_data(golden("start.kernel"), device),
        }
    }

    /// The recorded gradients of step `step`.
    pub(crate) fn gradients(&self, step: usize) -> GradientsParams {
        let device = self.vector.val().device().inner();
        let mut gradients = GradientsParams::new();
        gradients
            .register::<1>(self.vector.id, Tensor::from_data(golden_row("gradients.vector", step), &device));
        gradients
            .register::<2>(self.matrix.id, Tensor::from_data(golden_row("gradients.matrix", step), &device));
        gradients
            .register::<4>(self.kernel.id, Tensor::from_data(golden_row("gradients.kernel", step), &device));
        gradients
    }

    /// The values of `vector`, `matrix` and `kernel`.
    pub(crate) fn values(&self) -> [TensorData; 3] {
        [read(self.vector.val()), read(self.matrix.val()), read(self.kernel.val())]
    }
}

/// The names of a [`Bare`]'s parameters, in the order of [`Bare::values`].
pub(crate) const NAMES: [&str; 3] = ["vector", "matrix", "kernel"];

/// A tensor of the golden file.
pub(crate) fn golden(name: &str) -> TensorData {
    let file = SafeTensors::deserialize(GOLDEN).expect("the golden file is whole");
    let view = file.tensor(name).unwrap_or_else(|_| panic!("the golden file has no {name}"));
    assert_eq!(view.dtype(), safetensors::Dtype::F32);
    let value = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let values: Vec<f32> = view.data().chunks_exact(4).map(value).collect();
    TensorData::new(values, view.shape())
}

/// Row `step` of a tensor of the golden file.
pub(crate) fn golden_row(name: &str, step: usize) -> TensorData {
    let whole = golden(name);
    let shape = whole.shape()[1..].to_vec();
    let size: usize = shape.iter().product();
    let values: Vec<f32> = whole.iter::<f32>().skip(step * size).take(size).collect();
    TensorData::new(values, shape)
}

/// A text of the golden file's metadata.
pub(crate) fn metadata(key: &str) -> String {
    let (_, metadata) = SafeTensors::read_metadata(GOLDEN).expect("the golden file is whole");
    metadata.metadata().as_ref().and_then(|map| map.get(key)).expect("the golden file has this key").clone()
}
