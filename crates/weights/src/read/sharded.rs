//! Checkpoints in several files, and folders that hold a checkpoint.
//!
//! Format: `*.index.json` as Hugging Face's libraries write it: a `weight_map` from the name of each tensor to the file
//! beside the index that holds it, and `metadata`. The files may have any format that is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::WeightsError;
use crate::read::Contents;
use crate::read::format::FileFormat;
use crate::read::source::Source;

/// Longest index that is read, in bytes.
const MAX_INDEX: u64 = 100_000_000;

/// The file with which the checkpoint in `folder` begins: its index or its only file.
pub(crate) fn entry_of(folder: &Path) -> Result<PathBuf, WeightsError> {
    let failed = |source| WeightsError::Read { path: folder.to_owned(), source };
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        names.insert(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    let indexes: Vec<&String> = names.iter().filter(|name| name.ends_with(".index.json")).collect();
    // Many repositories hold the same weights as PyTorch's files too.
    let preferred: Vec<&String> =
        indexes.iter().copied().filter(|name| name.ends_with(".safetensors.index.json")).collect();
    match (&preferred[..], &indexes[..]) {
        ([only], _) | (_, [only]) => return Ok(folder.join(only)),
        (_, []) => {}
        (_, several) => {
            let found = several.iter().map(|name| (*name).clone()).collect();
            return Err(WeightsError::SeveralIndexes { path: folder.to_owned(), found });
        }
    }
    match names.contains(ONLY_FILE) {
        true => Ok(folder.join(ONLY_FILE)),
        false => Err(WeightsError::NoCheckpoint { path: folder.to_owned() }),
    }
}

/// What the file of a checkpoint that isn't sharded is called in a folder.
pub(crate) const ONLY_FILE: &str = "model.safetensors";

/// Reads an index and the headers of all its shards.
pub(crate) fn open(source: &Arc<Source>) -> Result<Contents, WeightsError> {
    let path = || source.path().to_owned();
    let wrong = |reason: String| WeightsError::Malformed { path: path(), format: FileFormat::Index, reason };
    if source.length() > MAX_INDEX {
        let (claimed, limit) = (source.length(), MAX_INDEX);
        return Err(WeightsError::TooLarge { path: path(), what: "the index".into(), claimed, limit });
    }
    let mut bytes = vec![0; source.length() as usize];
    source.read_at(0, &mut bytes)?;
    let index: Index = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    let weights = index.weight_map.0;
    if !source.is_file() {
        return Err(wrong("it stands for several files, which can't be found from bytes in memory".into()));
    }

    let folder = source.path().parent().unwrap_or(Path::new(""));
    let mut contents = Contents::default();
    let mut elsewhere: BTreeMap<String, &str> = BTreeMap::new();
    let shards: BTreeSet<&str> = weights.values().map(String::as_str).collect();
    for shard in shards {
        if shard.is_empty() || shard == "." || shard == ".." || shard.contains(['/', '\\', ':', '\0']) {
            return Err(WeightsError::ShardOutside { path: path(), shard: shard.to_owned() });
        }
        let file = folder.join(shard);
        let missing = |source: std::io::Error| WeightsError::MissingShard {
            path: path(),
            shard: shard.to_owned(),
            tensors: weights.values().filter(|other| *other == shard).count(),
            source,
        };
        if !std::fs::metadata(&file).map_err(missing)?.is_file() {
            return Err(missing(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
        }
        let shard_source = Arc::new(Source::open(&file)?);
        let part = super::shard_contents(&shard_source)?;
        contents.metadata.extend(part.metadata);
        for (name, tensor) in part.tensors {
            if let Some(first) = elsewhere.insert(name.clone(), shard) {
                let (first, second) = (first.to_owned(), shard.to_owned());
                return Err(WeightsError::InTwoShards { path: path(), tensor: name, first, second });
            }
            match weights.get(&name) {
                Some(_) => contents.tensors.insert(name, tensor),
                None => {
                    let shard = shard.to_owned();
                    return Err(WeightsError::Unlisted { path: path(), tensor: name, shard });
                }
            };
        }
    }
    for (name, shard) in &weights {
        if elsewhere.get(name) != Some(&shard.as_str()) {
            let (tensor, shard) = (name.clone(), shard.clone());
            return Err(WeightsError::NotInShard { path: path(), tensor, shard });
        }
    }
    contents.metadata.extend(index.metadata.into_iter().map(|(key, value)| match value {
        serde_json::Value::String(text) => (key, text),
        value => (key, value.to_string()),
    }));
    Ok(contents)
}

/// The JSON of an index.
#[derive(Deserialize)]
struct Index {
    weight_map: WeightMap,
    #[serde(default)]
    metadata: BTreeMap<String, serde_json::Value>,
}

/// Tensor -> file. A name that occurs twice is an error, which serde's own maps don't make of it.
struct WeightMap(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WeightMapVisitor)
    }
}

struct WeightMapVisitor;

impl<'de> Visitor<'de> for WeightMapVisitor {
    type Value = WeightMap;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from tensor names to files")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WeightMap, A::Error> {
        let mut weights = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if weights.contains_key(&name) {
                map.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom(format_args!("tensor `{name}` is listed twice")));
            }
            weights.insert(name, map.next_value()?);
        }
        Ok(WeightMap(weights))
    }
}
