//! `cargo xtask test`

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::cargo::{self, cargo};
use crate::vulkan;

/// What to test, and where.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Run the tests of layers, losses, optimisers and models on this backend, compared with flex
    #[arg(long)]
    pub(crate) backend: Option<Backend>,
    /// Only these packages, such as `libellus-models`
    #[arg(short, long = "package")]
    pub(crate) packages: Vec<String>,
    /// Only tests whose name contains this text
    pub(crate) filter: Option<String>,
}

/// A backend that has to give what flex gives.
#[derive(Clone, Copy, ValueEnum)]
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
        None => run_all(options),
        Some(backend) => run_on(backend, options),
    }
}

fn run_all(options: &Options) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--no-fail-fast"]);
    if options.packages.is_empty() {
        command.arg("--workspace");
    }
    for package in &options.packages {
        command.args(["--package", package]);
    }
    cargo::run(command.args(&options.filter))
}

/// One build with all backends serves every choice of `backend`. It has a folder of its own because burn's other
/// features would otherwise rebuild most of the usual one, and the other way around.
fn run_on(backend: Backend, options: &Options) -> Result<()> {
    let mut command = cargo();
    command.args([
        "test",
        "--no-fail-fast",
        "--profile",
        "backends",
        "--target-dir",
        "target/backends",
        "--tests",
    ]);
    command.args(["--features", "libellus-backend/ndarray,libellus-backend/wgpu"]);
    let packages = match options.packages.as_slice() {
        [] => ON_DEVICES.map(String::from).to_vec(),
        named => named.to_vec(),
    };
    for package in packages {
        command.args(["--package", &package]);
    }
    command.args(&options.filter);

    let device = match backend {
        Backend::Flex => "flex",
        Backend::Ndarray => "ndarray",
        Backend::Wgpu => "wgpu",
    };
    command.env("LIBELLUS_TEST_DEVICE", device);
    match backend {
        Backend::Flex | Backend::Ndarray => cargo::run(&mut command),
        Backend::Wgpu => {
            let driver = vulkan::driver()?;
            cargo::run(driver.select(&mut command))
        }
    }
}
