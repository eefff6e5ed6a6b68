use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Tensor};
use libellus_backend::testing::device;
use safetensors::{Dtype, SafeTensors};

use super::*;

#[test]
fn loaded_module_computes_what_the_saved_one_does() {
    let device = device();
    let saved = net(&device);
    let loaded = load_bytes(net(&device), saved_bytes(&saved)).unwrap();
    assert_ne!(output(&net(&device), &device), output(&saved, &device));
    assert_eq!(output(&loaded, &device), output(&saved, &device));
}

#[test]
fn an_initialised_module_can_be_loaded_too() {
    let device = device();
    let saved = net(&device);
    let used = net(&device);
    output(&used, &device);
    let loaded = load_bytes(used, saved_bytes(&saved)).unwrap();
    assert_eq!(output(&loaded, &device), output(&saved, &device));
}

#[test]
fn names_are_paths_without_enum_variants() {
    let checkpoint = Checkpoint::from_bytes("net", saved_bytes(&net(&device()))).unwrap();
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), names);
    // Column-major in memory, in the order of the weight's meaning in the file: burn's save mapper is
    // respected.
    assert_eq!(checkpoint.info("stem.weight").unwrap().shape, [7, 3]);
    assert_eq!(checkpoint.info("head.weight").unwrap().shape, [7, CLASSES]);
    assert_eq!(checkpoint.info("head.weight").unwrap().dtype, "F32");
}

#[test]
fn the_reference_implementation_reads_our_files() {
    let bytes = saved_bytes(&net(&device()));
    let reference = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(reference.len(), NAMES.len());
    let ours = Checkpoint::from_bytes("net", bytes.clone()).unwrap();
    for name in NAMES {
        assert_eq!(reference.tensor(name).unwrap().data(), ours.tensor(name).unwrap().as_bytes(), "{name}");
    }
}

#[test]
fn same_module_same_bytes_and_metadata_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let net = net(&device());
    let metadata: BTreeMap<String, String> =
        ('a'..='m').map(|key| (key.to_string(), format!("\"{key}\"\n\u{e9}"))).collect();
    let paths = ["one", "two"].map(|name| folder.path().join(name));
    for path in &paths {
        save(&net, path, &Layout::NATIVE, &metadata).unwrap();
    }
    assert_eq!(std::fs::read(&paths[0]).unwrap(), std::fs::read(&paths[1]).unwrap());
    let mut read = Checkpoint::open(&paths[0]).unwrap().metadata().clone();
    assert_eq!(read.remove("layout").as_deref(), Some("native"));
    assert_eq!(read, metadata);
}

#[test]
fn identities_and_gradient_settings_survive() {
    let device = device().autodiff();
    let mut target = net(&device);
    target.head = target.head.no_grad();
    let before = identities(&target);
    let loaded = load_bytes(target, saved_bytes(&net(&device))).unwrap();
    assert_eq!(identities(&loaded), before);
    assert!(!loaded.head.weight.is_require_grad());
    assert!(loaded.blocks[0].weight.is_require_grad());

    let grads = loaded.forward(input(&device)).sum().backward();
    assert!(loaded.blocks[0].weight.val().grad(&grads).is_some());
    assert!(loaded.head.weight.val().grad(&grads).is_none());
}

fn identities(net: &Net) -> Vec<ParamId> {
    struct Ids(Vec<ParamId>);
    impl ModuleVisitor for Ids {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.id);
        }
    }
    let mut ids = Ids(Vec::new());
    net.visit(&mut ids);
    ids.0
}

#[test]
fn running_statistics_are_saved_up_to_the_last_step() {
    let device = device().autodiff();
    let net = net(&device);
    output(&net, &device);
    output(&net, &device);
    let checkpoint = Checkpoint::from_bytes("net", saved_bytes(&net)).unwrap();
    let expected = net.norm.running_mean.value_sync().into_data();
    assert_eq!(floats(&checkpoint.tensor("norm.running_mean").unwrap()), floats(&expected));
    assert_ne!(floats(&expected), vec![0.0; 7]);
}

#[test]
fn loading_into_a_trained_module_drops_its_pending_statistics() {
    let device = device().autodiff();
    let saved = net(&device);
    let bytes = saved_bytes(&saved);
    let trained = net(&device);
    output(&trained, &device);
    let loaded = load_bytes(trained, bytes).unwrap();
    assert_eq!(floats(&loaded.norm.running_mean.value_sync().into_data()), vec![0.0; 7]);
}

#[test]
fn narrower_and_wider_floats_become_f32() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dtypes.safetensors");
    // 1.5, -2 and 2^-4 are exact in all four.
    let bytes = |parts: &[&[u8]]| parts.concat();
    reference_file(
        &path,
        &[
            ("bf16", Dtype::BF16, vec![3], bytes(&[&[0xc0, 0x3f], &[0x00, 0xc0], &[0x80, 0x3d]])),
            ("f16", Dtype::F16, vec![3], bytes(&[&[0x00, 0x3e], &[0x00, 0xc0], &[0x00, 0x2c]])),
            ("f32", Dtype::F32, vec![3], [1.5_f32, -2.0, 0.0625].map(f32::to_le_bytes).concat()),
            ("f64", Dtype::F64, vec![3], [1.5_f64, -2.0, 0.0625].map(f64::to_le_bytes).concat()),
            ("i64", Dtype::I64, vec![2], [7_i64, -9].map(i64::to_le_bytes).concat()),
            ("none", Dtype::F32, vec![0, 4], Vec::new()),
            ("scalar", Dtype::F32, vec![], 3.0_f32.to_le_bytes().to_vec()),
        ],
    );
    let checkpoint = Checkpoint::open(&path).unwrap();
    for name in ["bf16", "f16", "f32", "f64"] {
        let data = checkpoint.tensor(name).unwrap();
        assert_eq!(data.dtype(), DType::F32);
        assert_eq!(floats(&data), [1.5, -2.0, 0.0625], "{name}");
    }
    assert_eq!(checkpoint.tensor("i64").unwrap().dtype(), DType::I64);
    assert_eq!(checkpoint.tensor("none").unwrap().num_elements(), 0);
    assert_eq!(floats(&checkpoint.tensor("scalar").unwrap()), [3.0]);
    assert!(matches!(checkpoint.tensor("f8"), Err(WeightsError::NoSuchTensor { .. })));
}

#[test]
fn values_that_are_not_finite_are_reported_by_name() {
    let device = device();
    let mut saved = net(&device);
    saved.head.bias = Some(Param::from_data([0.0, f32::NAN, 1.0, f32::INFINITY, 2.0], &device));
    let bytes = saved_bytes(&saved);

    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    let loaded = tracing::subscriber::with_default(subscriber, || load_bytes(net(&device), bytes)).unwrap();
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        text.contains("WARN") && text.contains("`head.bias` in net.safetensors are not finite (2 of them)"),
        "{text}"
    );
    assert_eq!(text.lines().filter(|line| line.contains("WARN")).count(), 1);
    assert!(loaded.head.bias.unwrap().val().into_data().iter::<f32>().nth(1).unwrap().is_nan());
}

#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
