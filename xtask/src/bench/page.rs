//! What is kept of measurements: the ratios, and the page of the book.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Row;
use crate::cargo::root;

const RATIOS: &str = "xtask/bench/ratios.json";
const PAGE: &str = "docs/src/benchmarks.md";

/// All that was kept: for each peer and case.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Ratios(BTreeMap<String, BTreeMap<String, Kept>>);

/// A case that was measured.
#[derive(Serialize, Deserialize)]
struct Kept {
    ours_ms: f64,
    peer_ms: f64,
    ratio: f64,
    least: f64,
    most: f64,
    /// Turns of each side, and seconds of each.
    turns: usize,
    seconds: f64,
    date: String,
}

impl Ratios {
    pub(super) fn read() -> Result<Self> {
        match fs::read_to_string(root().join(RATIOS)) {
            Ok(text) => serde_json::from_str(&text).with_context(|| RATIOS.to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| RATIOS.to_owned()),
        }
    }

    pub(super) fn ratio(&self, peer: &str, case: &str) -> Option<f64> {
        Some(self.0.get(peer)?.get(case)?.ratio)
    }

    pub(super) fn update(&mut self, peer: &str, rows: &[Row], seconds: f64) {
        let date = today();
        let kept = self.0.entry(peer.to_owned()).or_default();
        for row in rows {
            let (Some(peers), Some(ratio), Some((least, most))) = (&row.peers, row.ratio(), row.spread())
            else {
                continue;
            };
            let (ours_ms, peer_ms) = (round(row.ours.typical()), round(peers.typical()));
            let (ratio, least, most) = (round(ratio), round(least), round(most));
            let (turns, date) = (row.ours.turns.len(), date.clone());
            kept.insert(
                row.name.clone(),
                Kept { ours_ms, peer_ms, ratio, least, most, turns, seconds, date },
            );
        }
    }

    pub(super) fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(root().join(RATIOS), text).with_context(|| RATIOS.to_owned())?;
        fs::write(root().join(PAGE), self.page()?).with_context(|| PAGE.to_owned())
    }

    fn page(&self) -> Result<String> {
        let pins = fs::read_to_string(root().join("xtask/bench/requirements.txt"))?;
        let versions: Vec<String> = pins
            .lines()
            .filter_map(|line| line.split_once("=="))
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        let mut page = format!(
            "# Benchmarks\n\n\
             This project and its peers on two threads, measured in turns (ours, peer, ours, peer) by\n\n\
             ```console\n$ cargo xtask bench --peer torch --save\n$ cargo xtask bench --peer onnxruntime --save\n```\n\n\
             A turn repeats the case for a while, after a tenth of a second in which both sides are idle; its time is the median. The table has the lower quartile of the turns, the\n\
             ratio of the two (below 1 ours is faster), and the least and largest ratio of two turns that followed each other. Machine:\n\
             {}. Versions: {}.\n\n\
             `NAME/train` is forward and backward: the gradients of the inputs and of the parameters, from ones for the output. For a\n\
             model it is a whole step with its optimiser, PyTorch's fused AdamW or SGD. In `NAME/bf16` and\n\
             `NAME/q8` our linear layers multiply bfloat16 or 8 bits, and the peer's 32-bit floats.\n",
            machine(),
            versions.join(", "),
        );
        for (peer, cases) in &self.0 {
            page += &format!(
                "\n## {peer}\n\n| case | ours, ms | {peer}, ms | ratio | of turns | turns | measured |\n|---|---|---|---|---|---|---|\n"
            );
            for (name, case) in cases {
                page += &format!(
                    "| `{name}` | {} | {} | {:.2} | {:.2} to {:.2} | {} of {} s | {} |\n",
                    digits(case.ours_ms),
                    digits(case.peer_ms),
                    case.ratio,
                    case.least,
                    case.most,
                    case.turns,
                    case.seconds,
                    case.date
                );
            }
        }
        Ok(page)
    }
}

/// Three digits.
pub(super) fn digits(milliseconds: f64) -> String {
    let decimals = match milliseconds {
        ..0.9995 => 3,
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{milliseconds:.decimals$}")
}

/// Four digits are more than enough to keep.
fn round(value: f64) -> f64 {
    let scale = 10_f64.powf(3.0 - value.abs().log10().floor());
    if scale.is_finite() { (value * scale).round() / scale } else { value }
}

/// The processor's family, as a virtual machine may hide its model, and what it can do.
fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))
            .unwrap_or("unknown")
            .trim()
    };
    let sets: Vec<&str> =
        [("avx2", "AVX2"), ("avx512f", "AVX-512"), ("avx512_bf16", "BF16"), ("avx512_vnni", "VNNI")]
            .into_iter()
            .filter(|(flag, _)| field("flags").split_whitespace().any(|found| found == *flag))
            .map(|(_, name)| name)
            .collect();
    format!(
        "2 threads of {} (family {}, model {}; {})",
        field("model name"),
        field("cpu family"),
        field("model\t"),
        sets.join(", ")
    )
}

fn today() -> String {
    let output = Command::new("date").arg("+%Y-%m-%d").output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{digits, round};

    #[test]
    fn numbers_have_three_or_four_digits() {
        assert_eq!([0.01234, 1.2345, 12.345, 123.45].map(digits), ["0.012", "1.23", "12.3", "123"]);
        assert_eq!([0.0123456, 123.456].map(round), [0.01235, 123.5]);
    }
}
