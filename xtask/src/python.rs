//! Environments with the packages that this project is compared with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cargo::{self, command, root};

/// The Python of an environment in `folder` with the pinned packages of the file `requirements`, made where it is missing or
/// the pins have changed.
pub(crate) fn environment(folder: &Path, requirements: &str) -> Result<PathBuf> {
    let venv = folder.join("venv");
    let python = venv.join("bin/python");
    let stamp = folder.join("requirements.txt");
    let pins = fs::read_to_string(root().join(requirements)).with_context(|| requirements.to_owned())?;
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == pins) && python.exists() {
        return Ok(python);
    }
    cargo::run(command("python3").args(["-m", "venv"]).arg(&venv))?;
    let install = ["-m", "pip", "install", "--quiet", "--requirement", requirements];
    cargo::run(command(&python.to_string_lossy()).args(install))?;
    fs::write(&stamp, pins).with_context(|| format!("can't write {}", stamp.display()))?;
    Ok(python)
}
