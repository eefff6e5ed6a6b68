//! `cargo xtask memcheck`
//!
//! The kernels have the workspace's only `unsafe` code. valgrind watches every access of their unit tests, and every decision that depends
//! on memory that nobody has written. Its processor has AVX2 and no AVX-512, so these are also the tests of the AVX2 paths.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cargo::{self, cargo};
use crate::valgrind;

/// Runs the unit tests of the kernels under valgrind.
pub(crate) fn run() -> Result<()> {
    valgrind::require()?;
    let tests = executable()?;
    cargo::run(valgrind::command().args(["--quiet", "--error-exitcode=1"]).arg(tests))
}

/// The tests, built as `cargo xtask test` builds them.
fn executable() -> Result<String> {
    let output = cargo()
        .args(["test", "--workspace", "--lib", "--no-run", "--message-format=json"])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the tests can't be built");
    let artifacts = String::from_utf8_lossy(&output.stdout);
    let of_kernels = |line: &str| {
        let artifact: Value = serde_json::from_str(line).ok()?;
        let executable = artifact["executable"].as_str()?.to_owned();
        (artifact["target"]["name"] == "libellus_kernels").then_some(executable)
    };
    artifacts.lines().find_map(of_kernels).context("cargo names no tests of libellus-kernels")
}
