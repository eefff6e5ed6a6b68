//! Every format, as its reference implementation writes it.

use std::path::PathBuf;

use super::*;
use crate::FileFormat;

/// The files of `tests/golden/formats.py`.
pub(super) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

pub(super) fn golden_bytes(name: &str) -> Vec<u8> {
    std::fs::read(golden(name)).unwrap()
}

/// Compares names, shapes and every bit of every value. Whole files and files in memory have to agree.
fn assert_holds(checkpoint: &Checkpoint, expected: &str, besides: &[&str]) {
    let expected = Checkpoint::open(golden(expected)).unwrap();
    let names: Vec<&str> = checkpoint.names().filter(|name| !besides.contains(name)).collect();
    assert_eq!(names, expected.names().collect::<Vec<_>>());
    for name in names {
        let (found, wanted) = (checkpoint.tensor(name).unwrap(), expected.tensor(name).unwrap());
        assert_eq!(checkpoint.info(name).unwrap().shape, expected.info(name).unwrap().shape, "{name}");
        assert_eq!(found.shape(), wanted.shape(), "{name}");
        assert_eq!(found.dtype(), wanted.dtype(), "{name}");
        assert_eq!(found.as_bytes(), wanted.as_bytes(), "{name}");
    }
}

#[test]
fn pytorch_files_hold_what_pytorch_saved() {
    for name in ["state", "protocol4", "nocrc", "legacy", "training"] {
        let name = format!("formats_{name}.pt");
        let opened = Checkpoint::open(golden(&name)).unwrap();
        assert_holds(&opened, "formats_torch_expected.safetensors", &[]);
        let in_memory = Checkpoint::from_bytes(&name, golden_bytes(&name)).unwrap();
        assert_holds(&in_memory, "formats_torch_expected.safetensors", &[]);
    }
}

#[test]
fn shards_hold_what_hugging_faces_library_saved() {
    let sharded = Checkpoint::open(golden("formats_sharded.safetensors.index.json")).unwrap();
    assert_holds(&sharded, "formats_torch_expected.safetensors", &[]);
    assert_eq!(sharded.metadata()["format"], "pt");
    assert!(sharded.metadata().contains_key("total_size"));
}

#[test]
fn element_types_are_those_of_the_file() {
    let checkpoint = Checkpoint::open(golden("formats_state.pt")).unwrap();
    for name in ["f64", "f16", "bf16", "i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8", "bool"] {
        assert_eq!(checkpoint.info(name).unwrap().dtype, name.to_uppercase());
    }
    assert_eq!(checkpoint.info("0.weight").unwrap().dtype, "F32");
    let transposed = checkpoint.info("transposed").unwrap();
    assert_eq!((transposed.shape, transposed.quantised), (&[11, 7][..], None));
}

#[test]
fn one_of_several_state_dictionaries_has_to_be_chosen() {
    let path = golden("formats_gan.pt");
    let error = Checkpoint::open(&path).unwrap_err();
    let WeightsError::Ambiguous { found, .. } = &error else { panic!("{error}") };
    assert_eq!(*found, ["generator", "nets.discriminator"]);
    let text = error.to_string();
    assert!(text.contains("`generator`, `nets.discriminator`"), "{text}");

    let value = |part| floats(&Checkpoint::open_part(&path, part).unwrap().tensor("w").unwrap());
    assert_eq!((value("generator"), value("nets.discriminator")), (vec![1.0], vec![2.0]));
    let error = Checkpoint::open_part(&path, "critic").unwrap_err().to_string();
    assert!(error.ends_with("called `critic`; there are `generator`, `nets.discriminator`"), "{error}");
    // The optimiser's state and the callbacks' are mappings of tensors too, but not under a usual key.
    let best = Checkpoint::open_part(golden("formats_training.pt"), "callbacks.best_models").unwrap();
    assert_eq!(floats(&best.tensor("a.pt").unwrap()), [0.25]);
    let error = Checkpoint::open_part(golden("formats_single.npy"), "ema").unwrap_err();
    assert!(matches!(error, WeightsError::NoSuchPart { .. }));
}

#[test]
fn numpy_archives_hold_what_numpy_saved() {
    for name in ["formats_arrays.npz", "formats_compressed.npz"] {
        let checkpoint = Checkpoint::open(golden(name)).unwrap();
        assert_holds(&checkpoint, "formats_numpy_expected.safetensors", &["names", "complex"]);
        assert_eq!(checkpoint.info("f8_fortran_cube").unwrap().shape, [2, 3, 5]);
        let error = checkpoint.tensor("names").unwrap_err();
        assert!(matches!(error, WeightsError::ElementType { dtype, .. } if dtype == "text"));
        assert!(matches!(checkpoint.tensor("complex"), Err(WeightsError::ElementType { .. })));
    }
    let single = Checkpoint::open(golden("formats_single.npy")).unwrap();
    let expected = Checkpoint::open(golden("formats_numpy_expected.safetensors")).unwrap();
    assert_eq!(single.names().collect::<Vec<_>>(), ["formats_single"]);
    let (found, wanted) = (single.tensor("formats_single").unwrap(), expected.tensor("f4_fortran").unwrap());
    assert_eq!((found.shape(), found.as_bytes()), (wanted.shape(), wanted.as_bytes()));
}

#[test]
fn gguf_files_hold_what_the_library_decodes() {
    let checkpoint = Checkpoint::open(golden("formats_model.gguf")).unwrap();
    assert_holds(&checkpoint, "formats_gguf_expected.safetensors", &["mxfp4.weight"]);
    let info = checkpoint.info("q4_0.weight").unwrap();
    assert_eq!((info.shape, info.dtype, info.quantised), (&[5, 96][..], "F32", Some("Q4_0")));
    assert_eq!(checkpoint.info("f16.weight").unwrap().dtype, "F16");
    let error = checkpoint.tensor("mxfp4.weight").unwrap_err().to_string();
    assert!(error.contains("tensor `mxfp4.weight` holds MXFP4 elements"), "{error}");

    let metadata = checkpoint.metadata();
    for (key, value) in [
        ("general.architecture", "tiny"),
        ("test.u8", "200"),
        ("test.i8", "-100"),
        ("test.u16", "60000"),
        ("test.i16", "-30000"),
        ("test.u32", "4000000000"),
        ("test.i32", "-2000000000"),
        ("test.u64", "9223372036854775808"),
        ("test.i64", "-4611686018427387904"),
        ("test.f32", "0.25"),
        ("test.f64", "0.001"),
        ("test.bool", "true"),
        ("test.text", "caf\u{e9}, two\nlines"),
        ("test.short", "[2, 3, 5]"),
        ("test.words", "[a, b]"),
        ("tokenizer.ggml.tokens", "[101 of text]"),
        ("tokenizer.ggml.scores", "[101 of f32]"),
    ] {
        assert_eq!(metadata.get(key).map(String::as_str), Some(value), "{key}");
    }
}

#[test]
fn a_format_is_recognised_by_content() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["formats_state.pt", "formats_legacy.pt", "formats_arrays.npz", "formats_model.gguf"] {
        let path = folder.path().join("model.safetensors");
        std::fs::copy(golden(name), &path).unwrap();
        assert!(Checkpoint::open(folder.path()).unwrap().names().len() > 10, "{name}");
    }
    for (bytes, what) in [
        (&b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"[..], "is a Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (b"\x89PNG\r\n\x1a\n", "begins with 89 50 4e 47"),
        (b"x", "begins with 78"),
        (b"\x80\x04\x95\x03\0\0\0\0\0\0\0K\x01.", "is a Python pickle, but none that `torch.save` wrote"),
    ] {
        let error = Checkpoint::from_bytes("model.pth", bytes.to_vec()).unwrap_err();
        assert!(matches!(error, WeightsError::Unrecognised { .. }));
        assert!(error.to_string().starts_with(&format!("model.pth is no checkpoint: it {what}")), "{error}");
    }
    assert_eq!(FileFormat::Gguf.to_string(), "GGUF file");
}

#[test]
fn tensors_are_read_by_several_threads_at_once() {
    let checkpoint = Checkpoint::open(golden("formats_state.pt")).unwrap();
    let expected = floats(&checkpoint.tensor("base").unwrap());
    std::thread::scope(|scope| {
        for _ in 0..7 {
            scope.spawn(|| {
                for name in checkpoint.names() {
                    checkpoint.tensor(name).unwrap();
                }
                assert_eq!(floats(&checkpoint.tensor("base").unwrap()), expected);
            });
        }
    });
}
