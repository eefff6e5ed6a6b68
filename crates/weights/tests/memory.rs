//! What loading and saving take in memory, measured by counting allocations. One test, because all threads share the counter.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use libellus_backend::testing::device;
use libellus_weights::{Checkpoint, Layout, LoadOptions, Rule, load, save};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Width of the layers, and their number: 28 MB of `f32`.
const WIDTH: usize = 1000;
const LAYERS: usize = 7;
const MODEL: usize = LAYERS * WIDTH * WIDTH * 4;

static LINEARS: Layout = Layout::table("torch", &[Rule::Transpose { ours: "layers.*.weight" }]);

#[derive(Module, Debug)]
struct Net {
    layers: Vec<Linear>,
}

fn net(device: &Device) -> Net {
    let linear = LinearConfig::new(WIDTH, WIDTH).with_bias(false);
    Net { layers: (0..LAYERS).map(|_| linear.init(device)).collect() }
}

/// A file of zeros, whose tensors have elements of this type and size.
fn safetensors(path: &Path, dtype: &str, size: usize) {
    let bytes = WIDTH * WIDTH * size;
    let tensors: Vec<String> = (0..LAYERS)
        .map(|index| {
            let (from, to) = (index * bytes, (index + 1) * bytes);
            format!(r#""layers.{index}.weight":{{"dtype":"{dtype}","shape":[{WIDTH},{WIDTH}],"data_offsets":[{from},{to}]}}"#)
        })
        .collect();
    let header = format!("{{{}}}", tensors.join(","));
    let start = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    sparse(path, &start, LAYERS * bytes);
}

/// A file that begins like this and goes on with zeros.
fn sparse(path: &Path, start: &[u8], zeros: usize) {
    let mut file = File::create(path).expect("a file can be made");
    file.write_all(start).expect("it can be written");
    file.set_len((start.len() + zeros) as u64).expect("it can grow");
}

fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = work();
    (result, MEMORY.peak_usage() - before)
}

#[test]
fn loading_and_saving_take_little_more_than_the_model() {
    let device = device();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net");
    for (dtype, size) in [("F32", 4), ("F16", 2), ("BF16", 2), ("F64", 8)] {
        safetensors(&path, dtype, size);
        let (loaded, peak) = peak_of(|| {
            let checkpoint = Checkpoint::open(&path).unwrap();
            load(net(&device), &checkpoint, &Layout::NATIVE, &LoadOptions::default()).unwrap()
        });
        assert!(peak > MODEL, "{dtype}: {peak}: it was not measured");
        assert!(peak < MODEL + MODEL / 5, "{dtype}: {peak} for a model of {MODEL}");
        // Saving holds one layer at a time: its copy, the transpose, and that once more, aligned.
        let saved = folder.path().join("saved");
        let (_, peak) = peak_of(|| save(&loaded, &saved, &LINEARS, &BTreeMap::new()).unwrap());
        assert!(peak < MODEL * 3 / LAYERS + MODEL / 20, "{dtype}: saving took {peak} for a model of {MODEL}");
        drop(loaded);
    }

    // A model that is one large matrix, which is turned while it is read.
    static TORCH: Layout = Layout::table("torch", &[Rule::Transpose { ours: "weight" }]);
    let large = [2_100, 2_200];
    let model = large[0] * large[1] * 4;
    let header = format!(
        r#"{{"weight":{{"dtype":"F32","shape":[{},{}],"data_offsets":[0,{model}]}}}}"#,
        large[1], large[0]
    );
    sparse(&path, &[&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat(), model);
    let (_, peak) = peak_of(|| {
        let linear = LinearConfig::new(large[0], large[1]).with_bias(false).init(&device);
        load(linear, &Checkpoint::open(&path).unwrap(), &TORCH, &LoadOptions::default()).unwrap()
    });
    assert!(peak > model && peak < model + model / 5, "transposed: {peak} for a model of {model}");

    // A matrix in Fortran order is put in order on the way.
    let header = format!("{{'descr': '<f8', 'fortran_order': True, 'shape': ({WIDTH}, {WIDTH})}}");
    let start = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
    sparse(&path, &start, WIDTH * WIDTH * 8);
    let (_, peak) = peak_of(|| Checkpoint::open(&path).unwrap().tensor("net").unwrap());
    assert!(peak < WIDTH * WIDTH * 5, "{peak}");
}
