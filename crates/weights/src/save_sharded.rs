//! From a module into several files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use burn::module::Module;
use serde_json::json;

use crate::atomic::write_atomic;
use crate::error::WeightsError;
use crate::layout::Layout;
use crate::read::sharded::ONLY_FILE;
use crate::save::{Stored, described, stored, write};

/// The index of the files that [`save_sharded`] writes.
const INDEX: &str = "model.safetensors.index.json";

/// Writes the parameters and running statistics of `module` to `folder` in files of at most `max_shard_bytes` bytes of
/// tensors, with an index, as Hugging Face's libraries do: `model-00001-of-00003.safetensors` and so on, and
/// `model.safetensors.index.json`. A tensor that is larger gets a file of its own. If one file is enough, it is called
/// `model.safetensors` and has no index. The folder is made if it isn't there. [`Checkpoint::open`](crate::Checkpoint::open) takes the folder.
///
/// Each file is written [atomically](crate::write_atomic). An index that was there is removed first and the new one is
/// written last, so that a kill leaves no checkpoint mixed of old and new files. Then files of these names that belong to
/// an earlier checkpoint are removed. `metadata` is in the header of every file.
///
/// # Errors
/// As [`save`](crate::save), and if old files can't be removed.
pub fn save_sharded<M: Module>(
    module: &M,
    folder: &Path,
    layout: &Layout,
    metadata: &BTreeMap<String, String>,
    max_shard_bytes: u64,
) -> Result<(), WeightsError> {
    let _span =
        tracing::info_span!("save_weights", path = %folder.display(), layout = layout.name, max_shard_bytes)
            .entered();
    let metadata = &described(metadata, layout);
    let mut shards: Vec<Vec<Stored>> = Vec::new();
    let mut room = 0;
    let mut total = 0;
    for tensor in stored(module, layout)? {
        let size = tensor.size() as u64;
        total += size;
        match shards.last_mut() {
            Some(shard) if size <= room => {
                room -= size;
                shard.push(tensor);
            }
            _ => {
                room = max_shard_bytes.saturating_sub(size);
                shards.push(vec![tensor]);
            }
        }
    }
    if shards.is_empty() {
        shards.push(Vec::new());
    }

    fs::create_dir_all(folder).map_err(|source| WeightsError::Write { path: folder.to_owned(), source })?;
    let index = folder.join(INDEX);
    remove(&index)?;
    let mut weight_map = BTreeMap::new();
    let mut written = BTreeSet::new();
    for (number, shard) in shards.iter().enumerate() {
        let file = match shards.len() {
            1 => ONLY_FILE.to_owned(),
            count => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
        };
        let path = folder.join(&file);
        write_atomic(&path, |out| write(out, shard, metadata))
            .map_err(|source| WeightsError::Write { path, source })?;
        weight_map.extend(shard.iter().map(|tensor| (tensor.name.as_str(), file.clone())));
        written.insert(file);
    }
    if shards.len() > 1 {
        let text = json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
        write_atomic(&index, |out| writeln!(out, "{text:#}"))
            .map_err(|source| WeightsError::Write { path: index, source })?;
    }
    sweep(folder, &written)
}

/// Removes the files of earlier checkpoints.
fn sweep(folder: &Path, written: &BTreeSet<String>) -> Result<(), WeightsError> {
    let failed = |source| WeightsError::Write { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if (name == ONLY_FILE || is_shard(&name)) && !written.contains(&name) {
            remove(&folder.join(name))?;
        }
    }
    Ok(())
}

fn is_shard(name: &str) -> bool {
    let numbers = name.strip_prefix("model-").and_then(|rest| rest.strip_suffix(".safetensors"));
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers
        .and_then(|numbers| numbers.split_once("-of-"))
        .is_some_and(|(left, right)| is_number(left) && is_number(right))
}

fn remove(path: &Path) -> Result<(), WeightsError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(WeightsError::Write { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
