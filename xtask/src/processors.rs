//! `cargo xtask processors`
//!
//! Kernels choose their instructions by what the processor has. An emulator that has less lets the unit tests take the other paths on any
//! x86-64: SSE 4.2, and no vector instructions beyond those that every such processor has. valgrind sees to [AVX2](crate::memcheck).

use anyhow::Result;

use crate::cargo::{self, Tests};
use crate::packages;

const PROGRAM: &str = "qemu-x86_64";
/// The Debian package.
const PACKAGES: [&str; 1] = ["qemu-user"];

/// One of Intel's from 2008, and the least that there is.
const PROCESSORS: [&str; 2] = ["Nehalem", "qemu64"];

/// Installs the emulator where it is missing.
pub(crate) fn provide() -> Result<()> {
    packages::provide(PROGRAM, &PACKAGES)
}

/// Runs the unit tests of the kernels on each processor.
pub(crate) fn run() -> Result<()> {
    packages::require(PROGRAM, &PACKAGES)?;
    tests(&cargo::tests_of_kernels()?)
}

/// The same, once they are compiled.
pub(crate) fn tests(kernels: &Tests) -> Result<()> {
    for processor in PROCESSORS {
        let mut emulator = cargo::command(PROGRAM);
        emulator.current_dir(&kernels.folder).args(["-cpu", processor, &kernels.executable, "--quiet"]);
        cargo::run(&mut emulator)?;
    }
    Ok(())
}
