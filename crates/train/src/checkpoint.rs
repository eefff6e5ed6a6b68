//! Checkpoints: a folder that appears complete or not at all.
//!
//! A checkpoint is written into a hidden folder beside its final name, each file is flushed to the disk, and one rename
//! publishes it. A kill at any moment leaves the checkpoint before it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::Bytes;
use libellus_weights::write_atomic;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::TrainError;

const UNFINISHED: &str = ".unfinished";

/// A checkpoint being written. Dropped without [`commit`](CheckpointWriter::commit), it leaves nothing.
#[derive(Debug)]
pub struct CheckpointWriter {
    unfinished: PathBuf,
    published: PathBuf,
    committed: bool,
}

impl CheckpointWriter {
    /// Begins the checkpoint of `step` in the folder `checkpoints`.
    ///
    /// # Errors
    /// When the folder can't be written.
    pub fn begin(checkpoints: &Path, step: u64) -> Result<Self, TrainError> {
        let unfinished = checkpoints.join(UNFINISHED);
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(TrainError::io("remove", &unfinished))?;
        }
        fs::create_dir_all(&unfinished).map_err(TrainError::io("create", &unfinished))?;
        Ok(Self { unfinished, published: checkpoints.join(folder_name(step)), committed: false })
    }

    /// Adds the parameters of a module, with their ids, under `name`.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn module<M: Module>(&mut self, name: &str, module: &M) -> Result<(), TrainError> {
        self.record(name, module.clone().into_record().into_bytes())
    }

    /// Adds the state of an optimiser under `name`.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn optimizer(&mut self, name: &str, optimizer: &ModuleOptimizer) -> Result<(), TrainError> {
        self.record(name, optimizer.into_bytes())
    }

    /// Adds any small state as JSON under `name`.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn state<S: Serialize>(&mut self, name: &str, state: &S) -> Result<(), TrainError> {
        let path = self.unfinished.join(format!("{name}.json"));
        let text = serde_json::to_vec_pretty(state)
            .map_err(|error| TrainError::Damaged { path: path.clone(), reason: error.to_string() })?;
        self.write(&path, &text)
    }

    /// Publishes the checkpoint and removes all older ones.
    ///
    /// # Errors
    /// When the folder can't be renamed; the checkpoint before it is still there then.
    pub fn commit(mut self) -> Result<PathBuf, TrainError> {
        let parent = self.published.parent().map(Path::to_path_buf).unwrap_or_default();
        sync_folder(&self.unfinished)?;
        if self.published.exists() {
            // The same step was saved before: what is there is the same, bit by bit.
            fs::remove_dir_all(&self.unfinished).map_err(TrainError::io("remove", &self.unfinished))?;
        } else {
            fs::rename(&self.unfinished, &self.published)
                .map_err(TrainError::io("publish", &self.published))?;
            sync_folder(&parent)?;
        }
        self.committed = true;
        for (step, folder) in published(&parent)? {
            if folder_name(step) != folder_name_of(&self.published) {
                fs::remove_dir_all(&folder).map_err(TrainError::io("remove", &folder))?;
            }
        }
        Ok(self.published.clone())
    }

    fn record(&mut self, name: &str, bytes: Result<Bytes, RecordError>) -> Result<(), TrainError> {
        let path = self.unfinished.join(format!("{name}.bpk"));
        let bytes =
            bytes.map_err(|error| TrainError::Damaged { path: path.clone(), reason: error.to_string() })?;
        self.write(&path, &bytes)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
        write_atomic(path, |file| file.write_all(bytes)).map_err(TrainError::io("write", path))
    }
}

impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        if !self.committed {
            // Best effort: the next checkpoint clears the folder as well.
            let _ = fs::remove_dir_all(&self.unfinished);
        }
    }
}

/// A published checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointReader {
    folder: PathBuf,
    step: u64,
}

impl CheckpointReader {
    /// The newest checkpoint in the folder `checkpoints`, if there is one.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn newest(checkpoints: &Path) -> Result<Option<Self>, TrainError> {
        let newest = published(checkpoints)?.into_iter().max_by_key(|(step, _)| *step);
        Ok(newest.map(|(step, folder)| Self { folder, step }))
    }

    /// The step after which it was taken.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Gives a module the parameters saved under `name`, and their ids.
    ///
    /// # Errors
    /// When the file is missing, damaged, or of another module.
    pub fn module<M: Module>(&self, name: &str, module: M) -> Result<M, TrainError> {
        let (path, bytes) = self.record(name)?;
        ModuleRecord::from_bytes(bytes)
            .and_then(|record| module.try_load_record(record))
            .map_err(|error| TrainError::Damaged { path, reason: error.to_string() })
    }

    /// Gives an optimiser the state saved under `name`.
    ///
    /// # Errors
    /// When the file is missing or damaged.
    pub fn optimizer(&self, name: &str, optimizer: ModuleOptimizer) -> Result<ModuleOptimizer, TrainError> {
        let (path, bytes) = self.record(name)?;
        let damaged = |reason| TrainError::Damaged { path, reason };
        let record = match OptimizerRecord::from_bytes(bytes) {
            Ok(record) => record,
            Err(error) => return Err(damaged(error.to_string())),
        };
        let saved = record.len();
        let optimizer = optimizer.load_record(record);
        // burn passes over state that it can't rebuild; the run would silently go another way.
        match optimizer.to_record().len() {
            loaded if loaded == saved => Ok(optimizer),
            loaded => Err(damaged(format!("{loaded} of its {saved} tensors fit the optimiser"))),
        }
    }

    /// Reads the JSON state saved under `name`.
    ///
    /// # Errors
    /// When the file is missing or damaged.
    pub fn state<S: DeserializeOwned>(&self, name: &str) -> Result<S, TrainError> {
        let path = self.folder.join(format!("{name}.json"));
        let bytes = fs::read(&path).map_err(TrainError::io("read", &path))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| TrainError::Damaged { path, reason: error.to_string() })
    }

    fn record(&self, name: &str) -> Result<(PathBuf, Bytes), TrainError> {
        let path = self.folder.join(format!("{name}.bpk"));
        let bytes = fs::read(&path).map_err(TrainError::io("read", &path))?;
        Ok((path, Bytes::from_bytes_vec(bytes)))
    }
}

fn folder_name(step: u64) -> String {
    format!("step-{step:09}")
}

fn folder_name_of(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn published(checkpoints: &Path) -> Result<Vec<(u64, PathBuf)>, TrainError> {
    if !checkpoints.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(checkpoints).map_err(TrainError::io("read", checkpoints))? {
        let folder = entry.map_err(TrainError::io("read", checkpoints))?.path();
        let step = folder_name_of(&folder).strip_prefix("step-").and_then(|step| step.parse().ok());
        found.extend(step.map(|step| (step, folder)));
    }
    Ok(found)
}

fn sync_folder(folder: &Path) -> Result<(), TrainError> {
    // Only Unix can open a folder to flush it; elsewhere the rename itself has to do.
    if cfg!(unix) {
        File::open(folder).and_then(|file| file.sync_all()).map_err(TrainError::io("flush", folder))?;
    }
    Ok(())
}
