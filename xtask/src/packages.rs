//! What isn't Rust: whether it is there, and in CI its installation.

use std::env;
use std::process::Stdio;

use anyhow::{Result, ensure};

use crate::cargo::{self, command};

/// Whether a program can be started.
fn is_installed(program: &str) -> bool {
    command(program).arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// # Errors
/// When the program is missing; the message says what to install.
pub(crate) fn require(program: &str, packages: &[&str]) -> Result<()> {
    let packages = packages.join(" ");
    ensure!(is_installed(program), "{program} is missing; on Debian or Ubuntu: apt-get install {packages}");
    Ok(())
}

/// Installs the packages of a program that is missing.
pub(crate) fn provide(program: &str, packages: &[&str]) -> Result<()> {
    if is_installed(program) { Ok(()) } else { install(packages) }
}

/// Installs Debian packages where this may be done: as root or with `CI=true`.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let in_ci = env::var("CI").is_ok_and(|value| value == "true");
    let root = command("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    ensure!(in_ci || root, "missing: apt-get install {}", packages.join(" "));

    let apt = |arguments: &[&str]| {
        let mut words = if root { vec!["apt-get"] } else { vec!["sudo", "apt-get"] };
        words.extend(arguments);
        cargo::run(command(words[0]).args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "--quiet"])?;
    apt(&[&["install", "--quiet", "--yes", "--no-install-recommends"], packages].concat())
}
