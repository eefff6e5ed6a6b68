//! `cargo xtask bench`

mod page;
mod processes;
mod side;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::cargo::{self, cargo, root};
use crate::python::environment;
use page::Ratios;
use side::{Side, Timing};

/// What to measure, and against what.
#[derive(Args)]
pub(crate) struct Options {
    /// Only cases with one of these in their name
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Measure this in turns with ours; it is installed in target/bench
    #[arg(long, value_enum)]
    peer: Option<Peer>,
    /// A Python that has the packages of xtask/bench/requirements.txt [default: an environment made in target/bench]
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
    /// Turns of each side
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,
    /// Seconds of each turn
    #[arg(long, value_name = "SECONDS", default_value_t = 0.3)]
    seconds: f64,
    /// Print JSON in place of the table
    #[arg(long)]
    json: bool,
    /// Keep the ratios and write them to the book's page
    #[arg(long, requires = "peer")]
    save: bool,
    /// Compare with the ratios that were kept, and name what has got slower
    #[arg(long, requires = "peer", conflicts_with = "save")]
    check: bool,
    /// Compare whole processes with PyTorch's instead: the peak memory of training steps, and the start of the program
    #[arg(long, conflicts_with_all = ["peer", "json"])]
    processes: bool,
}

/// What ours is measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// PyTorch, eager
    Torch,
    /// ONNX Runtime
    Onnxruntime,
}

impl Peer {
    fn script(self) -> &'static str {
        match self {
            Self::Torch => "xtask/bench/torch_peer.py",
            Self::Onnxruntime => "xtask/bench/onnxruntime_peer.py",
        }
    }

    /// Its name in the kept ratios and on the page.
    fn name(self) -> &'static str {
        match self {
            Self::Torch => "torch",
            Self::Onnxruntime => "onnxruntime",
        }
    }
}

/// A ratio may grow by this much before `--check` calls it slower: timings on shared machines vary.
const SLOWER: f64 = 1.2;

/// A measured case.
struct Row {
    name: String,
    ours: Timing,
    peers: Option<Timing>,
}

impl Row {
    /// Ours to the peer's.
    fn ratio(&self) -> Option<f64> {
        self.peers.as_ref().map(|peers| self.ours.typical() / peers.typical())
    }

    /// The least and the largest ratio of two turns that followed each other.
    fn spread(&self) -> Option<(f64, f64)> {
        let ratios = self.ours.turns.iter().zip(&self.peers.as_ref()?.turns).map(|(ours, peer)| ours / peer);
        Some(ratios.fold((f64::INFINITY, 0.0), |(least, most), ratio| (ratio.min(least), ratio.max(most))))
    }
}

/// Measures the cases.
pub(crate) fn run(options: &Options) -> Result<()> {
    cargo::run(cargo().args(["build", "--release", "-p", "libellus-cli", "-p", "libellus-bench"]))?;
    let wanted = |name: &str| {
        options.filter.is_empty() || options.filter.iter().any(|text| name.contains(text.as_str()))
    };
    let folder = root().join("target/bench");
    let python = || {
        fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
        match &options.python {
            Some(python) => Ok(python.clone()),
            None => environment(&folder, "xtask/bench/requirements.txt"),
        }
    };
    if options.processes {
        return processes::run(&python()?, &folder, options.rounds, wanted);
    }
    let mut ours = ours()?;
    let mut peer = match options.peer {
        None => None,
        Some(peer) => Some(Side::start(python()?.as_os_str(), Some(peer.script()))?),
    };

    let mut known = peer.as_mut().map(Side::cases).transpose()?;
    let mut rows = Vec::new();
    if !options.json {
        println!("{:36} {:>10} {:>10} {:>7}   of turns", "case", "ours, ms", "peer, ms", "ratio");
    }
    for name in ours.cases()?.into_iter().filter(|name| wanted(name)) {
        if known.as_mut().is_some_and(|known| !known.contains(&name)) {
            continue;
        }
        let row = measure(name, &mut ours, peer.as_mut(), options)?;
        if !options.json {
            println!("{}", line(&row));
        }
        rows.push(row);
    }
    if rows.is_empty() {
        bail!("no case has {} in its name", options.filter.join(" or "));
    }
    if options.json {
        println!("{:#}", json!(rows.iter().map(json_of).collect::<Vec<_>>()));
    }

    let Some(name) = options.peer.map(Peer::name) else { return Ok(()) };
    let measured: BTreeMap<String, f64> =
        rows.iter().filter_map(|row| Some((row.name.clone(), row.ratio()?))).collect();
    let mut kept = Ratios::read()?;
    if options.check {
        return check(&kept, name, &measured);
    }
    if options.save {
        kept.update(name, &rows, options.seconds);
        kept.write()?;
    }
    Ok(())
}

/// A process with our cases.
fn ours() -> Result<Side> {
    Side::start(root().join("target/release/libellus-bench").as_os_str(), None)
}

/// Both sides in turns: ours, peer, ours, peer.
fn measure(name: String, ours: &mut Side, mut peer: Option<&mut Side>, options: &Options) -> Result<Row> {
    ours.prepare(&name)?;
    if let Some(peer) = &mut peer {
        peer.prepare(&name)?;
    }
    let mut row = Row { name, ours: Timing::default(), peers: peer.is_some().then(Timing::default) };
    for _ in 0..options.rounds {
        row.ours.turns.push(ours.turn(options.seconds)?);
        if let (Some(peer), Some(timing)) = (&mut peer, &mut row.peers) {
            timing.turns.push(peer.turn(options.seconds)?);
        }
    }
    Ok(row)
}

fn line(row: &Row) -> String {
    let ours = page::digits(row.ours.typical());
    match (&row.peers, row.ratio(), row.spread()) {
        (Some(peers), Some(ratio), Some((least, most))) => {
            let peers = page::digits(peers.typical());
            format!("{:36} {ours:>10} {peers:>10} {ratio:>7.2}   {least:.2} to {most:.2}", row.name)
        }
        _ => format!("{:36} {ours:>10}", row.name),
    }
}

fn json_of(row: &Row) -> serde_json::Value {
    json!({
        "case": row.name,
        "ours_ms": row.ours.typical(),
        "peer_ms": row.peers.as_ref().map(Timing::typical),
        "ratio": row.ratio(),
        "spread": row.spread(),
    })
}

fn check(kept: &Ratios, peer: &str, measured: &BTreeMap<String, f64>) -> Result<()> {
    let slower: Vec<String> = measured
        .iter()
        .filter_map(|(name, ratio)| {
            let before = kept.ratio(peer, name)?;
            (*ratio > before * SLOWER)
                .then(|| format!("{name} has a ratio of {ratio:.2}, it had {before:.2}"))
        })
        .collect();
    match slower.is_empty() {
        true => Ok(()),
        false => bail!("slower than before: {}", slower.join("; ")),
    }
}
