//! Tensors that a layout cuts, joins, ties or puts in another order.

use burn::module::Param;
use libellus_backend::testing::device;

use super::*;
use crate::{Rule, recognize};

/// One attention: ours has a fused projection and two separate ones.
#[derive(Module, Debug)]
struct Attention {
    qkv: Linear,
    up: Linear,
    down: Linear,
    embedding: Param<Tensor<2>>,
}

/// Numbers from 0 up, each tensor's in its own hundred.
fn attention(device: &Device) -> Attention {
    fn param<const D: usize>(shape: [usize; D], first: i64, device: &Device) -> Param<Tensor<D>> {
        let count = shape.iter().product::<usize>() as i64;
        let values: Vec<f32> = (first..first + count).map(|value| value as f32).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
    }
    let linear = |d_input, d_output, first| Linear {
        weight: param([d_input, d_output], first, device),
        bias: Some(param([d_output], first + 50, device)),
    };
    Attention {
        qkv: linear(2, 6, 0),
        up: linear(2, 3, 100),
        down: linear(2, 5, 200),
        embedding: param([4, 2], 300, device),
    }
}

static THEIRS: Layout = Layout::table(
    "theirs",
    &[
        Rule::Prefix { theirs: "model" },
        Rule::Transpose { ours: "*.weight" },
        Rule::Split { ours: "qkv.*", theirs: &["q.*", "k.*", "v.*"], dim: 0 },
        Rule::Join { ours: &["up.*", "down.*"], theirs: "updown.*", dim: 0 },
        Rule::RopePairs { ours: "embedding", head_dim: 4 },
        Rule::Rename { ours: "embedding", theirs: "wte.weight" },
        Rule::Alias { ours: "embedding", theirs: "head.weight" },
    ],
);

fn write(module: &Attention, layout: &Layout) -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attention.safetensors");
    save(module, &path, layout, &BTreeMap::new()).unwrap();
    Checkpoint::from_bytes("attention.safetensors", std::fs::read(&path).unwrap()).unwrap()
}

fn read(module: Attention, checkpoint: &Checkpoint, layout: &Layout) -> Result<Attention, WeightsError> {
    load(module, checkpoint, layout, &LoadOptions::default())
}

/// The tensors of a checkpoint, changed as a program elsewhere might.
fn changed(checkpoint: &Checkpoint, change: impl FnOnce(&mut BTreeMap<String, TensorData>)) -> Checkpoint {
    let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
    let mut tensors: BTreeMap<String, TensorData> =
        names.into_iter().map(|name| (name.clone(), checkpoint.tensor(&name).unwrap())).collect();
    change(&mut tensors);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.safetensors");
    let stored: Vec<_> = tensors
        .iter()
        .map(|(name, data)| {
            let shape = data.shape().as_slice().to_vec();
            (name.as_str(), safetensors::Dtype::F32, shape, data.as_bytes().to_vec())
        })
        .collect();
    reference_file(&path, &stored);
    Checkpoint::from_bytes("changed.safetensors", std::fs::read(&path).unwrap()).unwrap()
}

fn values(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    floats(&checkpoint.tensor(name).unwrap())
}

#[test]
fn what_stands_in_the_file_is_what_a_hand_puts_there() {
    let checkpoint = write(&attention(&device()), &THEIRS);
    let shape = |name: &str| checkpoint.info(name).unwrap().shape.to_vec();
    // The fused matrix [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]], transposed and cut into rows.
    assert_eq!((shape("k.weight"), values(&checkpoint, "k.weight")), (vec![2, 2], vec![2.0, 8.0, 3.0, 9.0]));
    assert_eq!(values(&checkpoint, "v.bias"), [54.0, 55.0]);
    assert_eq!(shape("updown.weight"), [8, 2]);
    assert_eq!(values(&checkpoint, "updown.weight")[..8], [100., 103., 101., 104., 102., 105., 200., 205.]);
    assert_eq!(values(&checkpoint, "updown.bias"), [150., 151., 152., 250., 251., 252., 253., 254.]);
    // Rows 0 and 2, then 1 and 3.
    assert_eq!(values(&checkpoint, "wte.weight"), [300., 301., 304., 305., 302., 303., 306., 307.]);
    assert_eq!(values(&checkpoint, "head.weight"), values(&checkpoint, "wte.weight"));
    assert_eq!(checkpoint.names().len(), 10);
}

#[test]
fn what_was_written_is_read() {
    let expected = write(&attention(&device()), &Layout::NATIVE);
    let checkpoint = write(&attention(&device()), &THEIRS);
    let prefixed = changed(&checkpoint, |tensors| {
        *tensors = std::mem::take(tensors)
            .into_iter()
            .map(|(name, data)| match name.as_str() {
                // As in Hugging Face's files, the head is outside of the model.
                "head.weight" => (name, data),
                _ => (format!("model.{name}"), data),
            })
            .collect();
    });
    let untied = changed(&checkpoint, |tensors| drop(tensors.remove("head.weight")));
    let by_its_second_name = changed(&checkpoint, |tensors| drop(tensors.remove("wte.weight")));
    for checkpoint in [checkpoint, prefixed, untied, by_its_second_name] {
        let blank = attention(&device()).map(&mut Zeros);
        let loaded = read(blank, &checkpoint, &THEIRS).unwrap();
        let loaded = write(&loaded, &Layout::NATIVE);
        for name in expected.names() {
            assert_eq!(values(&loaded, name), values(&expected, name), "{name}");
        }
    }
}

struct Zeros;

impl burn::module::ModuleMapper for Zeros {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        Param::from_mapped_value(id, tensor.zeros_like(), mapper)
    }
}

#[test]
fn differences_are_named_on_both_sides() {
    let checkpoint = write(&attention(&device()), &THEIRS);
    let lacking = changed(&checkpoint, |tensors| {
        tensors.remove("k.weight");
        tensors.insert("gate.weight".to_owned(), TensorData::new(vec![1.0f32], [1]));
        tensors.insert("updown.bias".to_owned(), TensorData::new(vec![1.0f32; 7], [7]));
    });
    let error = read(attention(&device()), &lacking, &THEIRS).unwrap_err().to_string();
    assert_eq!(
        error,
        "changed.safetensors does not fit the model (read as `theirs`): 1 missing (qkv.weight (k.weight)); \
         1 unexpected (gate.weight); 2 with another shape (up.bias (updown.bias): model [8], file [7], \
         down.bias (updown.bias): model [8], file [7])"
    );
    let torn = changed(&checkpoint, |tensors| {
        tensors.insert("head.weight".to_owned(), TensorData::new(vec![1.0f32; 8], [4, 2]));
    });
    let error = read(attention(&device()), &torn, &THEIRS).unwrap_err().to_string();
    assert_eq!(
        error,
        "changed.safetensors: `wte.weight` and `head.weight` differ, but the model uses one tensor for both"
    );
}

#[test]
fn a_layout_is_told_from_names_and_shapes() {
    static OTHER: Layout = Layout::table("other", &[Rule::Rename { ours: "qkv.*", theirs: "in_proj.*" }]);
    let device = device();
    let layouts = [Layout::NATIVE, OTHER.clone(), THEIRS.clone()];
    let recognized = |checkpoint: &Checkpoint| {
        recognize(&attention(&device), checkpoint, &layouts, &LoadOptions::default())
            .map(|layout| layout.name)
    };
    for layout in &layouts {
        // With and without the name that our own files carry.
        let named = write(&attention(&device), layout);
        assert_eq!(recognized(&named).unwrap(), layout.name);
        assert_eq!(recognized(&changed(&named, |_| {})).unwrap(), layout.name);
    }
    let none = changed(&write(&attention(&device), &OTHER), |tensors| drop(tensors.remove("up.bias")));
    assert_eq!(
        recognized(&none).unwrap_err().to_string(),
        "changed.safetensors fits none of the known layouts; nearest is `other`: 1 missing (up.bias); then \
         `native`: 3 missing (qkv.weight, qkv.bias and 1 more); 2 unexpected (in_proj.bias, in_proj.weight)"
    );
}

/// A square matrix has the same name and shape in both: nothing in the file tells which one it is.
#[test]
fn a_layout_that_cannot_be_told_is_not_guessed() {
    static TRANSPOSED: Layout = Layout::table("transposed", &[Rule::Transpose { ours: "weight" }]);
    let device = device();
    let square = || LinearConfig::new(3, 3).init(&device);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("square.safetensors");
    save(&square(), &path, &TRANSPOSED, &BTreeMap::new()).unwrap();
    let layouts = [Layout::NATIVE, TRANSPOSED.clone()];
    let ours = Checkpoint::open(&path).unwrap();
    let found = recognize(&square(), &ours, &layouts, &LoadOptions::default()).unwrap();
    assert_eq!(found.name, "transposed");

    let zeros = |shape: Vec<usize>| {
        let bytes = vec![0; shape.iter().product::<usize>() * 4];
        (safetensors::Dtype::F32, shape, bytes)
    };
    let [weight, bias] = [zeros(vec![3, 3]), zeros(vec![3])];
    reference_file(&path, &[("weight", weight.0, weight.1, weight.2), ("bias", bias.0, bias.1, bias.2)]);
    let elsewhere = Checkpoint::open(&path).unwrap();
    let error = recognize(&square(), &elsewhere, &layouts, &LoadOptions::default()).unwrap_err();
    assert!(
        matches!(error, WeightsError::TwoLayoutsFit { first: "native", second: "transposed", .. }),
        "{error}"
    );
}

#[test]
fn what_cannot_be_cut_evenly_is_not_saved() {
    static THIRDS: Layout =
        Layout::table("thirds", &[Rule::Split { ours: "down.bias", theirs: &["a", "b", "c"], dim: 0 }]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("thirds.safetensors");
    let error = save(&attention(&device()), &path, &THIRDS, &BTreeMap::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot save tensor `down.bias`: in layout `thirds` it is stored in 3 parts, but has 5 entries"
    );
}

#[test]
fn a_matrix_turned_while_it_is_read_is_the_one_turned_in_memory() {
    let checkpoint = write(&attention(&device()), &Layout::NATIVE);
    for name in ["qkv.weight", "down.weight", "embedding"] {
        let turned = crate::arrange::transpose(checkpoint.tensor(name).unwrap());
        assert_eq!(checkpoint.transposed(name).unwrap(), turned);
    }
}

#[test]
fn half_of_a_joined_tensor_is_not_saved_without_the_other() {
    static LAYOUT: Layout = Layout::table(
        "theirs",
        &[Rule::Join { ours: &["up.bias", "gone.bias"], theirs: "both.bias", dim: 0 }],
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attention.safetensors");
    let error = save(&attention(&device()), &path, &LAYOUT, &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("`up.bias`") && error.contains("`both.bias`"), "{error}");
    assert!(!path.exists());
}
