//! `report.json`: the result of a run, for programs.

use std::collections::BTreeMap;

use libellus_backend::DeviceName;
use serde::{Deserialize, Serialize};

use crate::history::Row;

/// How and where a run was made.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The command as it was typed.
    pub command: &'a str,
    /// Where it computed.
    pub device: DeviceName,
    /// With how many threads.
    pub threads: usize,
}

/// What `report.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunSummary {
    /// The command that made it.
    pub command: String,
    /// Version of Libellus.
    pub version: String,
    /// The configuration, as in `config.toml`.
    pub config: serde_json::Value,
    /// The seed of the run.
    pub seed: u64,
    /// The device's name.
    pub device: String,
    /// The data set and the sizes of its parts.
    pub dataset: serde_json::Value,
    /// The final evaluation, by name.
    pub metrics: BTreeMap<String, f64>,
    /// A row per validation.
    pub history: Vec<Row>,
    /// Seconds spent training, over all resumptions.
    pub duration_s: f64,
    /// The most memory that the process held at once, where the system tells.
    pub peak_rss_bytes: Option<u64>,
}

/// The most memory that this process has held so far, in bytes; `None` where the system doesn't tell.
pub fn peak_rss_bytes() -> Option<u64> {
    // Linux: a line such as `VmHWM:     12345 kB`.
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}
