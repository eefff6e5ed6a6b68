//! Installing what isn't Rust, in CI.

use std::env;

use anyhow::{Result, ensure};

use crate::cargo::{self, command};

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
