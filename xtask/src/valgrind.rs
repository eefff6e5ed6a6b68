//! valgrind, which counts instructions and watches memory.

use std::process::Command;

use anyhow::Result;

use crate::{cargo, packages};

const PROGRAM: &str = "valgrind";
/// The Debian package.
const PACKAGES: [&str; 1] = ["valgrind"];

/// The program, to be started at the root.
pub(crate) fn command() -> Command {
    cargo::command(PROGRAM)
}

/// # Errors
/// When it is missing; the message says what to install.
pub(crate) fn require() -> Result<()> {
    packages::require(PROGRAM, &PACKAGES)
}

/// Installs it where it is missing.
pub(crate) fn provide() -> Result<()> {
    packages::provide(PROGRAM, &PACKAGES)
}
