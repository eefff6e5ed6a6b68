use libellus_backend::testing::device;
use proptest::prelude::*;

use super::*;

fn error(bytes: Vec<u8>) -> WeightsError {
    Checkpoint::from_bytes("bad.safetensors", bytes).expect_err("it should be refused")
}

#[test]
fn an_empty_file_is_named() {
    assert_eq!(
        error(Vec::new()).to_string(),
        "bad.safetensors is empty (zero bytes); it is not a checkpoint"
    );
}

#[test]
fn a_file_of_another_kind_is_named() {
    let png = b"\x89PNG\r\n\x1a\n rest of a picture".to_vec();
    assert!(matches!(error(png), WeightsError::Unrecognised { .. }));
    assert!(matches!(error(b"text".to_vec()), WeightsError::Unrecognised { .. }));
    assert!(matches!(error(raw("not json", &[])), WeightsError::Unrecognised { .. }));
    assert!(matches!(error(raw("[1, 2]", &[])), WeightsError::Unrecognised { .. }));
    assert!(matches!(error(raw("{\"a\": \u{0}}", &[])), WeightsError::NotSafetensors { .. }));
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(error(raw(&deep, &[])), WeightsError::NotSafetensors { .. }));
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.safetensors");
    let error = Checkpoint::open(&missing).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot read {}: ", missing.display())), "{error}");
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("is a directory"), "{error}");
}

#[test]
fn a_huge_header_takes_no_memory() {
    for size in [1_u64 << 60, u64::MAX, 100_000_001, 99_999_999] {
        let bytes = [&size.to_le_bytes()[..], b"{}"].concat();
        let error = error(bytes);
        assert!(
            error.to_string().contains(&size.to_string()) || matches!(error, WeightsError::Truncated { .. })
        );
    }
}

#[test]
fn a_huge_tensor_takes_no_memory() {
    let header = r#"{"w":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#;
    assert!(
        matches!(error(raw(header, &[0; 16])), WeightsError::Truncated { expected, .. } if expected > 1 << 41)
    );
    let header = r#"{"w":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,16]}}"#;
    assert!(matches!(error(raw(header, &[0; 16])), WeightsError::BadTensor { tensor, .. } if tensor == "w"));
    let header =
        r#"{"w":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,18446744073709551615]}}"#;
    assert!(matches!(error(raw(header, &[])), WeightsError::BadTensor { .. }));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = saved_bytes(&net(&device()));
    for length in 0..whole.len() {
        let error = error(whole[..length].to_vec());
        let text = error.to_string();
        assert!(text.starts_with("bad.safetensors ") && !text.contains('\n'), "{length}: {text}");
        // From the first byte of the header on it is recognised for what it is.
        assert_eq!(length > 8, matches!(error, WeightsError::Truncated { .. }), "{length}: {text}");
    }
    let longer = [&whole[..], b"x"].concat();
    assert!(error(longer).to_string().contains("1 bytes follow its last tensor"));
}

#[test]
fn duplicate_names_are_refused() {
    let entry = r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    let text = error(raw(&format!(r#"{{"w":{entry},"w":{entry}}}"#), &[0; 4])).to_string();
    assert!(text.contains("tensor `w` occurs twice"), "{text}");
    let text = error(raw(r#"{"__metadata__":{},"__metadata__":{}}"#, &[])).to_string();
    assert!(text.contains("`__metadata__` occurs twice"), "{text}");
}

#[test]
fn overlaps_gaps_and_wrong_sizes_are_refused_by_tensor() {
    let file = |a: &str, b: &str| {
        let header = format!(
            r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":{a}}},"b":{{"dtype":"F32","shape":[2],"data_offsets":{b}}}}}"#
        );
        raw(&header, &[0; 16])
    };
    assert!(Checkpoint::from_bytes("good", file("[0,8]", "[8,16]")).is_ok());
    for (a, b, tensor, reason) in [
        ("[0,8]", "[4,12]", "b", "overlap"),
        ("[0,8]", "[0,8]", "b", "overlap"),
        ("[4,12]", "[12,20]", "a", "gap"),
        ("[0,8]", "[8,15]", "b", "needs 8 bytes, it has 7"),
        ("[8,0]", "[0,8]", "a", "before they begin"),
    ] {
        let error = error(file(a, b));
        let text = error.to_string();
        assert!(matches!(&error, WeightsError::BadTensor { tensor: named, .. } if named == tensor), "{text}");
        assert!(text.contains(reason), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_bytes_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        in_header in any::<bool>(),
    ) {
        thread_local! {
            static WHOLE: Vec<u8> = saved_bytes(&net(&device()));
        }
        let mut bytes = WHOLE.with(Clone::clone);
        // Most changes to the tensors' bytes are just other values: look harder at the header.
        let reach = if in_header { 300 } else { bytes.len() };
        for (index, value) in changes {
            bytes[index.index(reach)] = value;
        }
        if let Err(error) = load_bytes(net(&device()), bytes) {
            prop_assert!(error.to_string().contains("net.safetensors"));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(checkpoint) = Checkpoint::from_bytes("any", bytes) {
            for name in checkpoint.names() {
                let _ = checkpoint.tensor(name);
            }
        }
    }

    #[test]
    fn arbitrary_headers_never_panic(
        dtype in prop::sample::select(vec!["F32", "F16", "BF16", "F64", "I64", "BOOL", "U8", "F4", "C64", "F8_E4M3", "X"]),
        shape in prop::collection::vec(prop_oneof![0_u64..5, any::<u64>()], 0..4),
        offsets in (prop_oneof![Just(0_u64), any::<u64>()], prop_oneof![0_u64..64, any::<u64>()]),
        data in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let (from, to) = offsets;
        let header = format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{from},{to}]}}}}"#);
        if let Ok(checkpoint) = Checkpoint::from_bytes("any", raw(&header, &data)) {
            let _ = checkpoint.tensor("w");
        }
    }
}
