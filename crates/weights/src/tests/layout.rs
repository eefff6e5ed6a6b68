use libellus_backend::testing::device;
use safetensors::Dtype;

use super::*;
use crate::{Rule, matches};

/// As PyTorch would call and shape the tensors of `Net`.
static THEIRS: Layout = Layout::table(
    "theirs",
    &[
        Rule::Rename { ours: "norm.**", theirs: "bn.**" },
        Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
        Rule::Rename { ours: "**.beta", theirs: "**.bias" },
        Rule::Rename { ours: "blocks.*.*", theirs: "layers.*.linear.*" },
        Rule::Transpose { ours: "head.weight" },
        Rule::Transpose { ours: "blocks.*.weight" },
        Rule::Drop { theirs: "**.num_batches_tracked" },
    ],
);

#[test]
fn rules_rename_one_after_the_other() {
    assert_eq!(THEIRS.theirs("norm.gamma"), "bn.weight");
    assert_eq!(THEIRS.theirs("norm.running_var"), "bn.running_var");
    assert_eq!(THEIRS.theirs("blocks.1.weight"), "layers.1.linear.weight");
    assert_eq!(THEIRS.theirs("head.bias"), "head.bias");
    assert!(THEIRS.is_transposed("blocks.0.weight") && !THEIRS.is_transposed("blocks.0.bias"));
    assert!(THEIRS.drops("bn.num_batches_tracked") && !THEIRS.drops("bn.weight"));
}

#[test]
fn wildcards_stand_for_whole_segments() {
    assert!(matches("a.*.c", "a.b.c") && !matches("a.*.c", "a.c") && !matches("a.*.c", "a.b.b.c"));
    assert!(matches("a.**.c", "a.c") && matches("a.**.c", "a.b.b.c") && !matches("a.**.c", "a.b"));
    assert!(matches("**", "a") && matches("**.c", "c") && !matches("**.c", "xc"));
    assert!(matches("**.b.**", "a.b.b.c"));
}

#[test]
fn a_wildcard_may_end_a_segment() {
    assert!(matches("a.layer_*.c", "a.layer_11.c") && matches("layer_*", "layer_x"));
    assert!(
        !matches("layer_*", "layer_") && !matches("layer_*", "player_1") && !matches("layer_*", "layer_1.a")
    );
    assert!(matches("**.layer_*.*", "a.b.layer_1.c") && !matches("**.layer_*.*", "layer_1"));

    let layout = Layout::table(
        "torchvision",
        &[Rule::Rename { ours: "blocks.*.**", theirs: "layers.encoder_layer_*.**" }],
    );
    assert_eq!(layout.theirs("blocks.11.norm1.gamma"), "layers.encoder_layer_11.norm1.gamma");
    let back =
        Layout::table("back", &[Rule::Rename { ours: "layers.encoder_layer_*.**", theirs: "blocks.*.**" }]);
    assert_eq!(back.theirs("layers.encoder_layer_11.norm1.gamma"), "blocks.11.norm1.gamma");
    assert_eq!(back.theirs("layers.layer_11.norm1.gamma"), "layers.layer_11.norm1.gamma");
}

#[test]
fn a_foreign_layout_round_trips() {
    let device = device();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.safetensors");
    let saved = net(&device);
    save(&saved, &path, &THEIRS, &BTreeMap::new()).unwrap();

    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.info("layers.0.linear.weight").unwrap().shape, [11, 7]);
    assert_eq!(checkpoint.info("head.weight").unwrap().shape, [CLASSES, 7]);
    let loaded = load(net(&device), &checkpoint, &THEIRS, &LoadOptions::default()).unwrap();
    assert_eq!(output(&loaded, &device), output(&saved, &device));

    let error = load(net(&device), &checkpoint, &Layout::NATIVE, &LoadOptions::default()).unwrap_err();
    assert!(matches!(error, WeightsError::Mismatch(_)));
}

#[test]
fn a_transposed_matrix_is_the_one_a_hand_transposes() {
    static LINEAR: Layout = Layout::table(
        "torch",
        &[Rule::Transpose { ours: "weight" }, Rule::Drop { theirs: "*.num_batches_tracked" }],
    );
    let device = device();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("linear.safetensors");
    // y = W x with W = [[1, 2, 3], [4, 5, 6]], as torch stores it.
    let weight = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0].map(f32::to_le_bytes).concat();
    let steps = 9_i64.to_le_bytes().to_vec();
    reference_file(
        &path,
        &[("weight", Dtype::F32, vec![2, 3], weight), ("bn.num_batches_tracked", Dtype::I64, vec![], steps)],
    );
    let linear = LinearConfig::new(3, 2).with_bias(false).init(&device);
    let checkpoint = Checkpoint::open(&path).unwrap();
    let linear = load(linear, &checkpoint, &LINEAR, &LoadOptions::default()).unwrap();
    let y = linear.forward(Tensor::<2>::from_data([[1.0, 0.0, -1.0]], &device)).into_data();
    assert_eq!(floats(&y), [-2.0, -2.0]);
}

#[test]
fn two_parameters_of_one_name_cannot_be_saved() {
    static CLASH: Layout =
        Layout::table("clash", &[Rule::Rename { ours: "**.running_var", theirs: "**.gamma" }]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clash.safetensors");
    let error = save(&net(&device()), &path, &CLASH, &BTreeMap::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layout `clash` gives both `norm.gamma` and `norm.running_var` the name `norm.gamma`"
    );
    assert!(!path.exists());
}

/// A file of empty tensors with these names.
fn named(names: &[&str], metadata: &str) -> Checkpoint {
    let tensors: Vec<String> = names
        .iter()
        .map(|name| format!(r#""{name}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#))
        .collect();
    let header = format!(r#"{{"__metadata__":{metadata},{}}}"#, tensors.join(","));
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    Checkpoint::from_bytes("wrapped.safetensors", bytes).unwrap()
}

#[test]
fn what_wrappers_put_before_all_names_is_left_out_in_every_format() {
    let names = |names: &[&str], metadata| {
        named(names, metadata).names().map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&["module._orig_mod.a", "module._orig_mod.b.c"], "{}"), "a b.c");
    // Of the average of a model.
    assert_eq!(names(&["module.a", "n_averaged"], "{}"), "a");
    // Not of all: it is a module that is called so.
    assert_eq!(names(&["module.a", "other"], "{}"), "module.a other");
    assert_eq!(names(&["n_averaged"], "{}"), "n_averaged");
    // What this project wrote has the names of its own modules.
    assert_eq!(names(&["module.a"], r#"{"layout":"native"}"#), "module.a");
}
