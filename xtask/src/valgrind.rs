//! valgrind, which counts instructions and watches memory.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use crate::cargo;

/// The Debian package.
pub(crate) const PACKAGES: [&str; 1] = ["valgrind"];

/// The program, to be started at the root.
pub(crate) fn command() -> Command {
    cargo::command("valgrind")
}

pub(crate) fn is_installed() -> bool {
    command().arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// # Errors
/// When it is missing; the message says what to install.
pub(crate) fn require() -> Result<()> {
    ensure!(
        is_installed(),
        "valgrind is missing; on Debian or Ubuntu: apt-get install {}",
        PACKAGES.join(" ")
    );
    Ok(())
}
