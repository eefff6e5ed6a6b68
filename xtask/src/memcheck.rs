//! `cargo xtask memcheck`
//!
//! The kernels have the workspace's only `unsafe` code. valgrind watches every access of their unit tests, and every decision that depends
//! on memory that nobody has written. Its processor has AVX2 and no AVX-512, so these are also the tests of the AVX2 paths.

use anyhow::Result;

use crate::cargo::{self, Tests};
use crate::valgrind;

/// Runs the unit tests of the kernels under valgrind.
pub(crate) fn run() -> Result<()> {
    valgrind::require()?;
    tests(&cargo::tests_of_kernels()?)
}

/// The same, once they are compiled.
pub(crate) fn tests(kernels: &Tests) -> Result<()> {
    cargo::run(valgrind::command().args(["--quiet", "--error-exitcode=1"]).arg(&kernels.executable))
}
