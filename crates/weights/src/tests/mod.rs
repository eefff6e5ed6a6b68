//! Tests of this crate, by subject.

mod archive;
mod atomic;
mod damage;
mod gguf;
mod golden;
mod layout;
mod mismatch;
mod mutated;
mod numpy;
mod round_trip;
mod rules;
mod sharded;

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, LinearLayout};
use burn::tensor::{Device, Tensor, TensorData};

use crate::{Checkpoint, Layout, LoadOptions, WeightsError, load, save};

/// A module with everything that a walk can meet: an enum, a list, running statistics, an absent bias, and a
/// matrix that is held in another shape than it is saved in.
#[derive(Module, Debug)]
struct Net {
    stem: Stem,
    blocks: Vec<Linear>,
    norm: BatchNorm,
    head: Linear,
}

#[derive(Module, Debug)]
enum Stem {
    Row(Linear),
    Column(Linear),
}

const CLASSES: usize = 5;

fn net(device: &Device) -> Net {
    net_with_classes(CLASSES, device)
}

fn net_with_classes(classes: usize, device: &Device) -> Net {
    let linear = |d_input, d_output| LinearConfig::new(d_input, d_output);
    Net {
        stem: Stem::Column(linear(3, 7).with_layout(LinearLayout::Col).init(device)),
        blocks: vec![linear(7, 11).init(device), linear(11, 7).with_bias(false).init(device)],
        norm: BatchNormConfig::new(7).init(device),
        head: linear(7, classes).init(device),
    }
}

/// Our names, in the module's order.
const NAMES: [&str; 11] = [
    "stem.weight",
    "stem.bias",
    "blocks.0.weight",
    "blocks.0.bias",
    "blocks.1.weight",
    "norm.gamma",
    "norm.beta",
    "norm.running_mean",
    "norm.running_var",
    "head.weight",
    "head.bias",
];

impl Net {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (Stem::Row(stem) | Stem::Column(stem)) = &self.stem;
        let x = self.blocks.iter().fold(stem.forward(x), |x, block| block.forward(x));
        self.head.forward(self.norm.forward(x))
    }
}

fn input(device: &Device) -> Tensor<2> {
    Tensor::from_data([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]], device)
}

fn output(net: &Net, device: &Device) -> Vec<f32> {
    net.forward(input(device)).into_data().iter::<f32>().collect()
}

/// The file that `save` writes for `net`, in the native layout and without metadata.
fn saved_bytes(net: &Net) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("net.safetensors");
    save(net, &path, &Layout::NATIVE, &BTreeMap::new()).expect("saving works");
    std::fs::read(path).expect("the file is there")
}

fn load_bytes(net: Net, bytes: Vec<u8>) -> Result<Net, WeightsError> {
    let checkpoint = Checkpoint::from_bytes("net.safetensors", bytes)?;
    load(net, &checkpoint, &Layout::NATIVE, &LoadOptions::default())
}

/// A safetensors file with this header and data, however wrong.
fn raw(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// Writes tensors with the reference implementation.
fn reference_file(path: &Path, tensors: &[(&str, safetensors::Dtype, Vec<usize>, Vec<u8>)]) {
    let views: Vec<_> = tensors
        .iter()
        .map(|(name, dtype, shape, data)| {
            (*name, safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).expect("sizes fit"))
        })
        .collect();
    safetensors::serialize_to_file(views, None, path).expect("writing works");
}

fn floats(data: &TensorData) -> Vec<f32> {
    data.iter::<f32>().collect()
}
