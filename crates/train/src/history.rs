//! The log of a run: `metrics.jsonl`, one JSON object a line.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use libellus_optim::LayerFlow;
use libellus_weights::write_atomic;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::TrainError;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Row {
    /// Averages over the training steps since the row before.
    Train {
        /// Steps completed.
        step: u64,
        /// Epochs completed, as a fraction.
        epoch: f64,
        /// Mean loss.
        loss: f32,
        /// Mean of each part of the loss, where it has several.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        parts: BTreeMap<String, f32>,
        /// Mean global gradient norm, before clipping.
        gradient_norm: f32,
        /// Learning rate of the last of the steps.
        learning_rate: f64,
    },
    /// A validation.
    Evaluation {
        /// Steps completed.
        step: u64,
        /// Epochs completed, as a fraction.
        epoch: f64,
        /// Metrics by name. One that is not a number is `null` in the file.
        #[serde(deserialize_with = "null_is_nan")]
        metrics: BTreeMap<String, f64>,
        /// Text that the weights made, where the task makes text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sample: Option<String>,
    },
    /// Gradient norm and update ratio of each parameter in one step.
    Flow {
        /// Steps completed.
        step: u64,
        /// The parameters, in the model's order from input to output.
        layers: Vec<LayerFlow>,
    },
}

impl Row {
    /// Steps completed when the row was written.
    pub fn step(&self) -> u64 {
        match self {
            Self::Train { step, .. } | Self::Evaluation { step, .. } | Self::Flow { step, .. } => *step,
        }
    }
}

/// The rows so far, in memory and in the file.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    file: File,
    rows: Vec<Row>,
}

impl History {
    /// Opens the log at `path` and keeps its rows up to `step`: what a killed run wrote after its last checkpoint will
    /// be written again.
    ///
    /// # Errors
    /// When the file can't be read or written. A line cut by a kill counts as not written.
    pub fn open(path: &Path, step: u64) -> Result<Self, TrainError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(TrainError::io("read", path)(error)),
        };
        let rows: Vec<Row> = text
            .lines()
            .map_while(|line| serde_json::from_str(line).ok())
            .filter(|row: &Row| row.step() <= step)
            .collect();
        write_atomic(path, |file| rows.iter().try_for_each(|row| write_row(file, row)))
            .map_err(TrainError::io("write", path))?;
        let file = OpenOptions::new().append(true).open(path).map_err(TrainError::io("write", path))?;
        Ok(Self { path: path.to_path_buf(), file, rows })
    }

    /// All rows so far.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn push(&mut self, row: Row) -> Result<(), TrainError> {
        write_row(&mut self.file, &row).map_err(TrainError::io("write", &self.path))?;
        self.rows.push(row);
        Ok(())
    }
}

/// JSON has no NaN: serde_json writes `null`.
fn null_is_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let metrics = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
    Ok(metrics.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect())
}

fn write_row(file: &mut dyn Write, row: &Row) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(row)?;
    line.push(b'\n');
    file.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(step: u64) -> Row {
        Row::Evaluation {
            step,
            epoch: 0.5,
            metrics: BTreeMap::from([("accuracy".to_owned(), 0.25)]),
            sample: None,
        }
    }

    #[test]
    fn metrics_keep_their_bits_and_may_be_no_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let metrics = [("a", 1.999_576_091_766_357_6), ("b", f64::NAN), ("c", 1.0 / 3.0)];
        let metrics: BTreeMap<String, f64> = metrics.map(|(name, value)| (name.to_owned(), value)).into();
        let row = Row::Evaluation { step: 1, epoch: 1.0, metrics: metrics.clone(), sample: None };
        History::open(&path, 0).unwrap().push(row).unwrap();
        let history = History::open(&path, 1).unwrap();
        let [Row::Evaluation { metrics: read, .. }] = history.rows() else { panic!("one evaluation") };
        let bits = |metrics: &BTreeMap<String, f64>| {
            metrics.values().map(|value| value.to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(bits(read), bits(&metrics));
    }

    #[test]
    fn rows_after_the_checkpoint_and_cut_lines_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut history = History::open(&path, 0).unwrap();
        for step in [3, 7, 11] {
            history.push(evaluation(step)).unwrap();
        }
        let mut text = fs::read_to_string(&path).unwrap();
        text.truncate(text.len() - 5);
        fs::write(&path, text).unwrap();

        let history = History::open(&path, 7).unwrap();
        assert_eq!(history.rows(), [evaluation(3), evaluation(7)]);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    }
}
