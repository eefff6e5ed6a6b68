//! Checkpoints in several files.

use std::fs;

use libellus_backend::testing::device;

use super::*;
use crate::save_sharded;

const INDEX: &str = "model.safetensors.index.json";

fn metadata() -> BTreeMap<String, String> {
    BTreeMap::from([("preset".to_owned(), "tiny".to_owned())])
}

/// A folder with `net` in shards of at most 300 bytes.
fn saved(net: &Net) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    save_sharded(net, folder.path(), &Layout::NATIVE, &metadata(), 300).unwrap();
    folder
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn index_of(folder: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(folder.join(INDEX)).unwrap()).unwrap()
}

fn error(folder: &Path) -> WeightsError {
    let error = Checkpoint::open(folder).expect_err("it should be refused");
    assert!(!error.to_string().contains('\n'), "{error}");
    error
}

#[test]
fn shards_are_within_the_limit_and_listed_as_hugging_face_does() {
    let net = net(&device());
    let folder = saved(&net);
    let names = files(folder.path());
    let count = names.len() - 1;
    assert!(count > 2);
    for number in 1..=count {
        assert!(names.contains(&format!("model-{number:05}-of-{count:05}.safetensors")), "{names:?}");
    }
    let whole = Checkpoint::from_bytes("net", saved_bytes(&net)).unwrap();
    let index = index_of(folder.path());
    let total: usize = whole.names().map(|name| whole.tensor(name).unwrap().as_bytes().len()).sum();
    assert_eq!(index["metadata"]["total_size"], total);
    assert_eq!(index["weight_map"].as_object().unwrap().len(), NAMES.len());
    for name in names.iter().filter(|name| *name != INDEX) {
        let shard = Checkpoint::open(folder.path().join(name)).unwrap();
        let bytes: usize = shard.names().map(|name| shard.tensor(name).unwrap().as_bytes().len()).sum();
        // `blocks.0.weight` alone has 7 * 11 * 4 = 308.
        assert!(bytes <= 300 || shard.names().len() == 1, "{name}: {bytes}");
    }

    for path in [folder.path().to_owned(), folder.path().join(INDEX)] {
        let sharded = Checkpoint::open(&path).unwrap();
        assert_eq!(sharded.path(), path);
        assert_eq!(sharded.metadata()["preset"], "tiny");
        for name in NAMES {
            assert_eq!(sharded.info(name), whole.info(name));
            assert_eq!(sharded.tensor(name).unwrap().as_bytes(), whole.tensor(name).unwrap().as_bytes());
        }
    }
}

#[test]
fn a_loaded_module_computes_what_the_saved_one_does() {
    let device = device();
    let net_saved = net(&device);
    let folder = saved(&net_saved);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let loaded = load(net(&device), &checkpoint, &Layout::NATIVE, &LoadOptions::default()).unwrap();
    assert_eq!(output(&loaded, &device), output(&net_saved, &device));
}

#[test]
fn one_file_has_no_index_and_files_of_before_are_removed() {
    let net = net(&device());
    let folder = saved(&net);
    fs::write(folder.path().join("config.json"), "{}").unwrap();
    save_sharded(&net, folder.path(), &Layout::NATIVE, &metadata(), 1 << 20).unwrap();
    assert_eq!(files(folder.path()), ["config.json", "model.safetensors"]);
    assert_eq!(Checkpoint::open(folder.path()).unwrap().names().len(), NAMES.len());
    save_sharded(&net, folder.path(), &Layout::NATIVE, &metadata(), 300).unwrap();
    assert!(!files(folder.path()).contains(&"model.safetensors".to_owned()));
    save_sharded(&net, folder.path(), &Layout::NATIVE, &metadata(), 1).unwrap();
    // One for each tensor, the index and the configuration.
    assert_eq!(files(folder.path()).len(), NAMES.len() + 2);
    let made = folder.path().join("made/on/the/way");
    save_sharded(&net, &made, &Layout::NATIVE, &metadata(), 300).unwrap();
    assert_eq!(Checkpoint::open(&made).unwrap().names().len(), NAMES.len());
    let file = folder.path().join("config.json");
    let error = save_sharded(&net, &file, &Layout::NATIVE, &metadata(), 300).unwrap_err();
    assert!(error.to_string().contains("config.json"), "{error}");
}

#[test]
fn a_missing_shard_is_named() {
    let folder = saved(&net(&device()));
    let shard = index_of(folder.path())["weight_map"]["head.weight"].as_str().unwrap().to_owned();
    fs::remove_file(folder.path().join(&shard)).unwrap();
    let error = error(folder.path());
    assert!(matches!(&error, WeightsError::MissingShard { shard: named, .. } if *named == shard), "{error}");
    assert!(error.to_string().contains(INDEX) && error.to_string().contains(&shard), "{error}");
}

#[test]
fn an_index_that_lies_is_refused_by_tensor_and_shard() {
    let folder = saved(&net(&device()));
    let index = index_of(folder.path());
    let write = |change: &dyn Fn(&mut serde_json::Map<String, serde_json::Value>)| {
        let mut index = index.clone();
        change(index["weight_map"].as_object_mut().unwrap());
        fs::write(folder.path().join(INDEX), index.to_string()).unwrap();
        error(folder.path())
    };
    let shard = index["weight_map"]["head.weight"].clone();
    let found = write(&|map| {
        map.insert("ghost".into(), shard.clone());
    });
    assert!(matches!(&found, WeightsError::NotInShard { tensor, .. } if tensor == "ghost"), "{found}");
    let found = write(&|map| {
        map.remove("head.weight");
    });
    assert!(matches!(&found, WeightsError::Unlisted { tensor, .. } if tensor == "head.weight"), "{found}");
    let found = write(&|map| {
        let other = map.values().find(|other| **other != shard).unwrap().clone();
        map.insert("head.weight".into(), other);
    });
    assert!(matches!(&found, WeightsError::NotInShard { tensor, .. } if tensor == "head.weight"), "{found}");
    for outside in ["../model.safetensors", "/etc/passwd", "a\\b", "..", "", "C:x"] {
        let found = write(&|map| {
            map.insert("head.weight".into(), outside.into());
        });
        assert!(matches!(&found, WeightsError::ShardOutside { shard, .. } if shard == outside), "{found}");
    }
    let found = write(&|map| {
        map.insert("head.weight".into(), INDEX.into());
    });
    assert!(found.to_string().contains("listed as a file in another index"), "{found}");

    let text = index.to_string().replacen("\"weight_map\":{", "\"weight_map\":{\"head.weight\":\"x\",", 1);
    fs::write(folder.path().join(INDEX), text).unwrap();
    assert!(error(folder.path()).to_string().contains("tensor `head.weight` is listed twice"));
    for text in ["{", "{}", "{\"weight_map\": 3}", "{\"weight_map\": {\"a\": 3}}", "{\"weight_map\": {}} x"] {
        fs::write(folder.path().join(INDEX), text).unwrap();
        assert!(matches!(error(folder.path()), WeightsError::Malformed { .. }), "{text}");
    }
}

#[test]
fn a_tensor_in_two_shards_is_refused() {
    let folder = saved(&net(&device()));
    let index = index_of(folder.path());
    let first = index["weight_map"]["head.weight"].as_str().unwrap();
    fs::copy(folder.path().join(first), folder.path().join("copy.safetensors")).unwrap();
    let mut index = index.clone();
    index["weight_map"]["head.bias"] = "copy.safetensors".into();
    fs::write(folder.path().join(INDEX), index.to_string()).unwrap();
    assert!(matches!(error(folder.path()), WeightsError::InTwoShards { .. }));
}

#[test]
fn a_folder_says_what_it_lacks_or_has_too_much_of() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(error(folder.path()), WeightsError::NoCheckpoint { .. }));
    for name in ["a.index.json", "b.index.json"] {
        fs::write(folder.path().join(name), "{}").unwrap();
    }
    let found = error(folder.path());
    assert!(found.to_string().contains("`a.index.json`, `b.index.json`"), "{found}");
}

#[test]
fn shards_have_the_names_of_the_index_and_the_checkpoint_those_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(golden::golden("formats_training.pt"), folder.path().join("pytorch_model-00001-of-00001.bin"))
        .unwrap();
    let names = Checkpoint::open(golden::golden("formats_state.pt")).unwrap();
    let map: serde_json::Map<_, _> = names
        .names()
        .map(|name| (format!("module._orig_mod.{name}"), "pytorch_model-00001-of-00001.bin".into()))
        .collect();
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    fs::write(folder.path().join("pytorch_model.bin.index.json"), index.to_string()).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), names.names().collect::<Vec<_>>());
    assert_eq!(floats(&checkpoint.tensor("scalar").unwrap()), [3.25]);
}
