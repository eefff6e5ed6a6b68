//! `cargo xtask instructions`
//!
//! Times vary with what else a machine does; the number of instructions doesn't. callgrind counts them in a processor of its own,
//! which has AVX2 and no AVX-512, so the counts are those of the AVX2 paths in the profile for development.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::cargo::{self, WITH_BACKENDS, cargo, root};
use crate::valgrind;

/// What to count.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Only cases with this in their name
    filter: Option<String>,
    /// Keep the counts, to be compared with from now on
    #[arg(long)]
    save: bool,
}

/// Kernels of each kind: loops over elements and over vectors, and the ways of a convolution, products of matrices among them. Small ones,
/// since callgrind takes 100 times as long for a multiplication.
const CASES: [&str; 8] = [
    "gelu/8x256x3072",
    "softmax/8x12x256x256",
    "layer_norm/8x256x768",
    "batch_norm/32x64x56x56",
    "conv2d/3x3_64_56/b1",
    "conv2d/1x1_256_64_56/b1",
    "conv2d/depthwise3x3_96_56/b1",
    "max_pool/3s2_8x64x112x112",
];

/// A count may differ by this share: the C library's copies depend on the processor.
const TOLERANCE: f64 = 0.05;

const COUNTS: &str = "xtask/bench/instructions.json";

/// Counts, and compares with the counts that are kept.
pub(crate) fn run(options: &Options) -> Result<()> {
    valgrind::require()?;
    // As CI builds, where nothing is built twice. Incremental builds divide the code otherwise, which moves counts by several percent.
    cargo::run(
        cargo()
            .args(["build", "--workspace", "--all-targets"])
            .args(WITH_BACKENDS)
            .env("CARGO_INCREMENTAL", "0"),
    )?;
    let mut kept = read()?;
    let mut failures = Vec::new();
    println!("{:36} {:>14} {:>14} {:>7}", "case", "instructions", "kept", "ratio");
    let wanted = |case: &&str| options.filter.as_ref().is_none_or(|text| case.contains(text.as_str()));
    for case in CASES.into_iter().filter(wanted) {
        let counted = instructions(case)?;
        match kept.get(case) {
            Some(&before) if !options.save => {
                let ratio = counted as f64 / before as f64;
                println!("{case:36} {counted:>14} {before:>14} {ratio:>7.3}");
                if (ratio - 1.0).abs() > TOLERANCE {
                    failures.push(format!("{case} takes {counted} instructions, not {before}"));
                }
            }
            None if !options.save => failures.push(format!("{case} has no count in {COUNTS}")),
            _ => {
                println!("{case:36} {counted:>14}");
                kept.insert(case.to_owned(), counted);
            }
        }
    }
    if options.save {
        let text = serde_json::to_string_pretty(&kept)? + "\n";
        return fs::write(root().join(COUNTS), text).context(COUNTS);
    }
    if !failures.is_empty() {
        bail!("{}; if that is meant: cargo xtask instructions --save", failures.join("; "));
    }
    Ok(())
}

fn read() -> Result<BTreeMap<String, u64>> {
    let path = root().join(COUNTS);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    serde_json::from_str(&fs::read_to_string(&path).context(COUNTS)?).context(COUNTS)
}

/// Those of one repetition: what a few more of them add to a run.
fn instructions(case: &str) -> Result<u64> {
    const MORE: u64 = 2;
    let [few, many] = [1, 1 + MORE].map(|repetitions| in_all(case, repetitions));
    Ok((many? - few?) / MORE)
}

/// Those of a process that repeats a case.
fn in_all(case: &str, repetitions: u64) -> Result<u64> {
    let mut child = valgrind::command()
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(root().join("target/debug/libellus-bench"))
        // Which thread finds nothing to do, and how often, would vary.
        .args(["--threads", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("can't start valgrind")?;
    let mut commands = child.stdin.take().context("valgrind has no input")?;
    commands.write_all(format!("prepare {case}\nrepeat {repetitions}\n").as_bytes())?;
    drop(commands);
    let output = child.wait_with_output()?;
    let report = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{case} fails under callgrind: {report}");
    ensure!(output.stdout.starts_with(b"ready"), "no case is named {case}");
    let count = report.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.with_context(|| format!("callgrind counted nothing: {report}"))
}
