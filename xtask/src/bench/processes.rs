//! Whole processes: the most memory that training steps have, and the time from the start to the first prediction.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::page::digits;
use super::side::{Side, Timing};
use super::{Peer, ours};
use crate::cargo::{self, command, root};

const SCRIPT: &str = "xtask/bench/start_peer.py";

/// Compares them with PyTorch's, each case in processes of its own.
pub(super) fn run(python: &Path, folder: &Path, rounds: usize, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let peer = || Side::start(python.as_os_str(), Some(Peer::Torch.script()));
    let known = peer()?.cases()?;
    let cases = ours()?.cases()?.into_iter().filter(|name| name.contains("/train/") && known.contains(name));
    let cases: Vec<String> = cases.filter(|name| wanted(name)).collect();
    ensure!(!cases.is_empty() || wanted(START), "no training step, nor {START}, has that in its name");
    println!("{:44} {:>10} {:>10} {:>7}", "peak memory, MB", "ours", "torch", "ratio");
    for case in cases {
        let mine = memory(&mut ours()?, &case)?;
        let mut peer = peer()?;
        let imported = peer.memory()?;
        let peers = memory(&mut peer, &case)?;
        println!("{}", line(&case, mine, peers));
        println!("{}", line("  without what PyTorch has after its import", mine, peers - imported));
    }
    if wanted(START) { start(python, folder, rounds) } else { Ok(()) }
}

/// A prediction of a model whose weights are in a file.
const START: &str = "resnet18/start";

fn start(python: &Path, folder: &Path, rounds: usize) -> Result<()> {
    cargo::run(command(&python.to_string_lossy()).args([SCRIPT, "make"]).arg(folder))?;
    println!("\n{:44} {:>10} {:>10} {:>7}", "from start to end, ms", "ours", "torch", "ratio");
    let [mut mine, mut peers] = [(); 2].map(|()| Timing::default());
    for _ in 0..rounds {
        let mut program = command(&root().join("target/release/libellus").to_string_lossy());
        program.args(["model", "forward", "--threads", "2", "--arch", "resnet18", "--weights"]);
        program.arg(folder.join("resnet18.pth")).arg("--input").arg(folder.join("images.safetensors"));
        mine.turns.push(milliseconds(program.arg("--output").arg(folder.join("logits.safetensors")))?);
        let mut script = command(&python.to_string_lossy());
        peers.turns.push(milliseconds(script.args([SCRIPT, "predict"]).arg(folder))?);
    }
    println!("{}", line(START, mine.typical(), peers.typical()));
    Ok(())
}

/// The most memory of a process that takes some steps, in megabytes.
fn memory(side: &mut Side, case: &str) -> Result<f64> {
    side.prepare(case)?;
    side.turn(0.0)?;
    side.memory()
}

fn milliseconds(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    let output = command.stderr(Stdio::piped()).output().context("a process can't be started")?;
    let time = start.elapsed();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(time.as_secs_f64() * 1e3)
}

fn line(name: &str, ours: f64, peers: f64) -> String {
    format!("{name:44} {:>10} {:>10} {:>7.2}", digits(ours), digits(peers), ours / peers)
}
