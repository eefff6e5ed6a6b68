//! Every format with changed bytes: an error or other values, but no panic, and never much memory.

use proptest::prelude::*;

use super::golden::golden_bytes;
use super::*;

/// One of these golden files, cut and changed at some places.
fn mutated(names: &'static [&'static str]) -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 0..6);
    let cut = prop::option::weighted(0.2, any::<prop::sample::Index>());
    (prop::sample::select(names), changes, cut, 0.0_f64..1.0).prop_map(|(name, changes, cut, reach)| {
        let mut bytes = golden_bytes(name);
        // Headers are at the beginning or at the end.
        let reach = ((bytes.len() as f64 * reach) as usize).max(1);
        for (index, value, from_end) in changes {
            let at = index.index(reach);
            let at = if from_end { bytes.len() - 1 - at } else { at };
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        (name, bytes)
    })
}

/// Opens the file and reads what is in it.
fn check(name: &str, bytes: Vec<u8>) -> Result<(), TestCaseError> {
    // Deflate shrinks nothing to less than a thousandth, and what a view repeats is limited.
    let most = (bytes.len() * 1100).max(1 << 24);
    let checkpoint = match Checkpoint::from_bytes(name, bytes) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            let text = error.to_string();
            prop_assert!(text.contains(name) && !text.contains('\n'), "{}", text);
            return Ok(());
        }
    };
    for info in checkpoint.infos() {
        let elements: usize = info.shape.iter().product();
        prop_assert!(elements <= most, "{} {:?}", info.name, info.shape);
        match checkpoint.tensor(info.name) {
            Ok(data) => prop_assert_eq!(data.shape().as_slice(), info.shape),
            Err(error) => prop_assert!(error.to_string().contains(name)),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn safetensors((name, bytes) in mutated(&["formats_torch_expected.safetensors"])) {
        check(name, bytes)?;
    }

    // Without checksums, so that changes reach the pickle.
    #[test]
    fn pytorch((name, bytes) in mutated(&["formats_nocrc.pt", "formats_training.pt", "formats_protocol4.pt"])) {
        check(name, bytes)?;
    }

    #[test]
    fn legacy_pytorch((name, bytes) in mutated(&["formats_legacy.pt"])) {
        check(name, bytes)?;
    }

    #[test]
    fn npz((name, bytes) in mutated(&["formats_arrays.npz", "formats_compressed.npz"])) {
        check(name, bytes)?;
    }

    #[test]
    fn npy((name, bytes) in mutated(&["formats_single.npy"])) {
        check(name, bytes)?;
    }

    #[test]
    fn gguf((name, bytes) in mutated(&["formats_model.gguf"])) {
        check(name, bytes)?;
    }

    #[test]
    fn index((name, bytes) in mutated(&["formats_sharded.safetensors.index.json"])) {
        // Beside its shards, which are whole.
        let folder = tempfile::tempdir().unwrap();
        for shard in ["formats_sharded-00001-of-00002.safetensors", "formats_sharded-00002-of-00002.safetensors"] {
            std::fs::copy(golden::golden(shard), folder.path().join(shard)).unwrap();
        }
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        if let Err(error) = Checkpoint::open(&path) {
            prop_assert!(!error.to_string().contains('\n'), "{}", error);
        }
    }
}
