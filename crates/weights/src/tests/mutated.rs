//! Every format with changed bytes: an error or other values, but no panic, and never much memory.

use proptest::prelude::*;

use super::golden::golden_bytes;
use super::*;

/// One of the golden files, cut and changed at some places.
fn mutated() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let names = vec![
        "formats_state.pt",
        "formats_training.pt",
        "formats_legacy.pt",
        "formats_arrays.npz",
        "formats_compressed.npz",
        "formats_single.npy",
        "formats_model.gguf",
        "formats_torch_expected.safetensors",
    ];
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_files_never_panic((name, bytes) in mutated()) {
        match Checkpoint::from_bytes(name, bytes) {
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.contains(name) && !text.contains('\n'), "{}", text);
            }
            Ok(checkpoint) => {
                for info in checkpoint.infos() {
                    // No file claims more than it can hold; compressed zeros can hold a thousand times its size.
                    let elements: usize = info.shape.iter().product();
                    prop_assert!(elements <= 20_000_000, "{} {:?}", info.name, info.shape);
                    match checkpoint.tensor(info.name) {
                        Ok(data) => prop_assert_eq!(data.shape().as_slice(), info.shape),
                        Err(error) => prop_assert!(error.to_string().contains(name)),
                    }
                }
            }
        }
    }
}
