//! `cargo xtask test`

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use crate::cargo::{self, WITH_BACKENDS, cargo};
use crate::vulkan;

/// What to test, and where.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Compile all backends in, and run on this one: everything on flex; on another what computes with tensors, compared with flex
    #[arg(long)]
    pub(crate) backend: Option<Backend>,
    /// Only these packages, such as `libellus-models`
    #[arg(short, long = "package")]
    pub(crate) packages: Vec<String>,
    /// Only tests whose name contains this text
    pub(crate) filter: Option<String>,
}

/// A backend that has to give what flex gives.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Backend {
    Flex,
    Ndarray,
    Wgpu,
}

/// The packages whose tests take their device from `libellus_backend::testing`.
const ON_DEVICES: [&str; 6] = [
    "libellus-backend",
    "libellus-kernels",
    "libellus-layers",
    "libellus-losses",
    "libellus-optim",
    "libellus-models",
];

/// Runs the tests.
pub(crate) fn run(options: &Options) -> Result<()> {
    match options.backend {
        None => run_with(&[], options),
        // With the tests in documentation, which only cargo can run.
        Some(Backend::Flex) if options.packages.is_empty() => run_with(&WITH_BACKENDS, options),
        Some(backend) => run_on(backend, options),
    }
}

fn run_with(features: &[&str], options: &Options) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--no-fail-fast"]).args(features);
    if options.packages.is_empty() {
        command.arg("--workspace");
    }
    for package in &options.packages {
        command.args(["--package", package]);
    }
    cargo::run(command.args(&options.filter))
}

/// Tests of the build with all backends. They are started one by one: cargo, asked for some packages, would unify the features of these
/// alone, and compile burn once more.
fn run_on(backend: Backend, options: &Options) -> Result<()> {
    let wanted = |package: &str| match options.packages.as_slice() {
        [] => ON_DEVICES.contains(&package),
        named => named.iter().any(|name| name == package),
    };
    let driver = (backend == Backend::Wgpu).then(vulkan::driver).transpose()?;
    let device = match backend {
        Backend::Flex => "flex",
        Backend::Ndarray => "ndarray",
        Backend::Wgpu => "wgpu",
    };
    let tests: Vec<_> = cargo::tests()?.into_iter().filter(|tests| wanted(&tests.package)).collect();
    ensure!(!tests.is_empty(), "no tests in {}", options.packages.join(", "));
    let mut failed = Vec::new();
    for tests in tests {
        let mut command = cargo::command(&tests.executable);
        command.current_dir(tests.folder).env("LIBELLUS_TEST_DEVICE", device).args(&options.filter);
        if let Some(driver) = &driver {
            driver.select(&mut command);
        }
        if cargo::run(&mut command).is_err() {
            failed.push(format!("{} ({})", tests.package, tests.target));
        }
    }
    ensure!(failed.is_empty(), "tests fail on {device}: {}", failed.join(", "));
    Ok(())
}
