//! The folder of a run, and who may write to it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use libellus_weights::{sweep_temporary_files, write_atomic};
use serde::Serialize;

use crate::error::TrainError;

/// A run directory. While it is held, no other process can train in it.
///
/// | file | what |
/// |---|---|
/// | `config.toml` | enough to repeat the run |
/// | `model.safetensors` | the best weights, with all that prediction needs in their metadata |
/// | `checkpoints/` | the newest checkpoint, to go on from |
/// | `metrics.jsonl` | the log, see [`Row`](crate::Row) |
/// | `report.json`, `report.html` | the result |
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: File,
}

/// The file that makes a folder a run directory.
const CONFIG: &str = "config.toml";
/// Held by the process that trains in the folder.
const LOCK: &str = ".lock";

impl RunDir {
    /// Makes a new run directory and writes its configuration.
    ///
    /// # Errors
    /// When the folder holds anything already, or can't be written.
    pub fn create(path: &Path, config: &str) -> Result<Self, TrainError> {
        fs::create_dir_all(path).map_err(TrainError::io("create", path))?;
        sweep_temporary_files(path).map_err(TrainError::io("clean", path))?;
        let entries = fs::read_dir(path).map_err(TrainError::io("read", path))?;
        // A run that was killed before it wrote its configuration leaves nothing but the lock.
        if entries.flatten().any(|entry| entry.file_name() != LOCK) {
            return Err(TrainError::OutNotEmpty { path: path.to_path_buf() });
        }
        let lock = lock(path)?;
        let run = Self { path: path.to_path_buf(), _lock: lock };
        run.write(CONFIG, config.as_bytes())?;
        Ok(run)
    }

    /// Opens an existing run directory for going on with it.
    ///
    /// # Errors
    /// When the folder is no run directory, or another process trains in it.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        Self::read_config(path)?;
        let run = Self { path: path.to_path_buf(), _lock: lock(path)? };
        // What a killed process was writing.
        sweep_temporary_files(path).map_err(TrainError::io("clean", path))?;
        Ok(run)
    }

    /// The text of the configuration of the run in the folder `path`.
    ///
    /// # Errors
    /// When the folder is no run directory, or can't be read.
    pub fn read_config(path: &Path) -> Result<String, TrainError> {
        let file = path.join(CONFIG);
        if !file.is_file() {
            return Err(TrainError::NotARun { path: path.to_path_buf(), missing: CONFIG });
        }
        fs::read_to_string(&file).map_err(TrainError::io("read", &file))
    }

    /// The first free folder `parent/name-1`, `parent/name-2`, ...
    pub fn free_path(parent: &Path, name: &str) -> PathBuf {
        (1_u32..)
            .map(|number| parent.join(format!("{name}-{number}")))
            .find(|path| !path.exists())
            .unwrap_or_else(|| parent.join(name))
    }

    /// Takes back what [`create`](Self::create) made, and these files, for a run that can't begin. The folder goes too, if nothing else is
    /// in it.
    pub fn discard(self, files: &[&str]) {
        // Who asked for the run hears why it can't begin; a file that stays is no second reason.
        for name in files.iter().chain(&[CONFIG, LOCK]) {
            let _ = fs::remove_file(self.path.join(name));
        }
        let _ = fs::remove_dir(&self.path);
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the best weights are.
    pub fn model(&self) -> PathBuf {
        Self::model_in(&self.path)
    }

    /// Where the best weights of the run in the folder `path` are.
    pub fn model_in(path: &Path) -> PathBuf {
        path.join("model.safetensors")
    }

    /// The folder of checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// The log.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Writes a file of the run in one atomic step.
    ///
    /// # Errors
    /// When it can't be written; the old one is still there then.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, TrainError> {
        let path = self.path.join(name);
        write_atomic(&path, |file| file.write_all(bytes)).map_err(TrainError::io("write", &path))?;
        Ok(path)
    }

    /// Writes a file of the run as JSON, in one atomic step.
    ///
    /// # Errors
    /// When it can't be written; the old one is still there then.
    pub fn write_json<S: Serialize>(&self, name: &str, value: &S) -> Result<PathBuf, TrainError> {
        let mut text = serde_json::to_vec_pretty(value)
            .map_err(|error| TrainError::Damaged { path: self.path.join(name), reason: error.to_string() })?;
        text.push(b'\n');
        self.write(name, &text)
    }
}

fn lock(run: &Path) -> Result<File, TrainError> {
    let path = run.join(LOCK);
    let file = File::create(&path).map_err(TrainError::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TrainError::Locked { path: run.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(TrainError::io("lock", &path)(error)),
    }
}
