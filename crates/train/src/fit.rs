//! The one loop.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{CheckpointReader, CheckpointWriter};
use crate::clock::{Clock, Length};
use crate::error::TrainError;
use crate::history::{History, Row};
use crate::interrupt::Interrupt;
use crate::observer::Observer;
use crate::run_dir::RunDir;
use crate::task::{Evaluation, StepLog, Task};

/// How the loop goes: its length, and what happens how often. All intervals are in optimiser steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitConfig {
    /// How long to train.
    pub length: Length,
    /// Steps between validations; the default is once an epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate_every: Option<u64>,
    /// Steps between checkpoints; the default is at each validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<u64>,
    /// Steps between rows of the log, which is also how often the device is asked for the losses.
    pub log_every: u64,
    /// Stop after this many validations without a better one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
}

impl FitConfig {
    /// # Errors
    /// When a number is out of its range.
    pub fn validate(&self) -> Result<(), TrainError> {
        let (Length::Epochs(length) | Length::Steps(length)) = self.length;
        let numbers = [
            ("length", Some(length)),
            ("validate_every", self.validate_every),
            ("checkpoint_every", self.checkpoint_every),
            ("log_every", Some(self.log_every)),
            ("patience", self.patience),
        ];
        match numbers.into_iter().find(|(_, value)| *value == Some(0)) {
            Some((key, _)) => {
                Err(TrainError::Config { key, value: "0".to_owned(), allowed: "it must be at least 1" })
            }
            None => Ok(()),
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Where it ended.
    pub clock: Clock,
    /// Why.
    pub ending: Ending,
    /// The step of the best weights, and the metric that told it, where the task has a goal.
    pub best: Option<Best>,
    /// All rows of the log.
    pub rows: Vec<Row>,
    /// Time spent training, over all resumptions.
    pub elapsed: Duration,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All steps were taken.
    Completed,
    /// Validation had not improved for as long as the patience allows.
    StoppedEarly,
    /// It was asked to stop, and saved a checkpoint.
    Interrupted,
}

/// The best validation so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Steps completed then.
    pub step: u64,
    /// The metric of the task's goal.
    pub value: f64,
}

/// What the loop itself has to remember in a checkpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Progress {
    step: u64,
    best: Option<Best>,
    validations_since_best: u64,
    stopped_early: bool,
    elapsed_s: f64,
}

/// Trains `task` in the run directory `run`, from its newest checkpoint if there is one.
///
/// The same seed, machine and thread count give the same weights, whether or not the run was interrupted: the device's
/// random numbers are seeded from (`seed`, step) at each step, and batches depend on their position only.
///
/// # Errors
/// The task's own errors; a loss that is not finite; a run directory that can't be read or written. The newest
/// checkpoint and the best weights stay as they are.
pub fn fit<T: Task>(
    task: &mut T,
    config: &FitConfig,
    seed: u64,
    run: &RunDir,
    interrupt: &Interrupt,
    observer: &mut dyn Observer,
) -> Result<Outcome, T::Error> {
    config.validate()?;
    let mut progress = Progress::default();
    if let Some(checkpoint) = CheckpointReader::newest(&run.checkpoints())? {
        progress = checkpoint.state("loop")?;
        task.load(&checkpoint)?;
    }
    let mut clock = Clock::start(config.length, task.steps_per_epoch());
    clock.step = progress.step;
    let elapsed_before = Duration::from_secs_f64(progress.elapsed_s);
    let started = Instant::now();
    let elapsed = || elapsed_before + started.elapsed();

    let mut history = History::open(&run.metrics(), clock.step)?;
    let mut unread: Vec<(u64, StepLog)> = Vec::new();
    let mut ending = if progress.stopped_early { Ending::StoppedEarly } else { Ending::Completed };
    let validate_every = config.validate_every.unwrap_or(clock.steps_per_epoch);
    let checkpoint_every = config.checkpoint_every.unwrap_or(validate_every);
    observer.started(&clock);

    'run: while !clock.is_done() && !progress.stopped_early {
        let _epoch = tracing::info_span!("epoch", epoch = clock.epoch()).entered();
        let first_step = clock.step;
        for batch in task.batches(clock.epoch(), clock.step_in_epoch()) {
            let _step = tracing::debug_span!("step", step = clock.step).entered();
            libellus_backend::seed(task.device(), seed, clock.step);
            let log = task.step(batch?, &clock)?;
            let samples = log.samples;
            unread.push((clock.step, log));
            clock.step += 1;
            observer.stepped(&clock, samples);

            let validate = clock.is_due(validate_every);
            let interrupted = interrupt.is_requested();
            let checkpoint = interrupted || clock.is_due(checkpoint_every);
            if validate || checkpoint || clock.is_due(config.log_every) {
                for row in read_logs(&mut unread, &clock)? {
                    observer.logged(&clock, &row);
                    history.push(row)?;
                }
            }
            if validate {
                observer.evaluating(&clock);
                libellus_backend::seed(task.device(), seed, clock.step);
                let evaluation = task.evaluate(&clock)?;
                let improved = remember_best(task, &evaluation, &clock, &mut progress);
                let row = Row::Evaluation {
                    step: clock.step,
                    epoch: clock.epochs_done(),
                    metrics: evaluation.metrics,
                    sample: evaluation.sample,
                };
                observer.logged(&clock, &row);
                history.push(row)?;
                if improved {
                    task.export(&run.model())?;
                    if task.goal().is_some() {
                        observer.improved(&clock);
                    }
                }
                progress.stopped_early = config.patience == Some(progress.validations_since_best);
            }
            if checkpoint || progress.stopped_early {
                progress.step = clock.step;
                progress.elapsed_s = elapsed().as_secs_f64();
                let mut writer = CheckpointWriter::begin(&run.checkpoints(), clock.step)?;
                writer.state("loop", &progress)?;
                task.save(&mut writer)?;
                writer.commit()?;
            }
            if progress.stopped_early {
                ending = Ending::StoppedEarly;
                break 'run;
            }
            if interrupted && !clock.is_done() {
                ending = Ending::Interrupted;
                break 'run;
            }
            if clock.is_done() {
                break 'run;
            }
        }
        if clock.step == first_step {
            return Err(TrainError::Config {
                key: "batch_size",
                value: "of the training data".to_owned(),
                allowed: "an epoch must have at least one batch",
            }
            .into());
        }
    }
    observer.finished(&clock);
    Ok(Outcome { clock, ending, best: progress.best, rows: history.rows().to_vec(), elapsed: elapsed() })
}

/// Whether the weights of this evaluation are the ones to keep. Without a goal the newest always are; a metric that is not a
/// number is worse than any other, and better than nothing.
fn remember_best<T: Task>(task: &T, evaluation: &Evaluation, clock: &Clock, progress: &mut Progress) -> bool {
    let Some(goal) = task.goal() else { return true };
    let value = evaluation.metrics.get(goal.metric).copied().filter(|value| !value.is_nan());
    let improved = match (value, progress.best) {
        (Some(value), Some(best)) => goal.improves(value, best.value),
        (_, None) => true,
        (None, Some(_)) => false,
    };
    match value {
        Some(value) if improved => {
            progress.best = Some(Best { step: clock.step, value });
            progress.validations_since_best = 0;
        }
        _ => progress.validations_since_best += 1,
    }
    improved
}

/// Reads the numbers of the steps since the last log point from the device, in one transfer.
fn read_logs(unread: &mut Vec<(u64, StepLog)>, clock: &Clock) -> Result<Vec<Row>, TrainError> {
    let Some((_, last)) = unread.last() else { return Ok(Vec::new()) };
    let learning_rate = last.learning_rate;
    let scalars: Vec<Tensor<1>> = unread
        .iter()
        .flat_map(|(_, log)| {
            let parts = log.loss.parts.iter().map(|part| part.value.clone());
            [log.loss.total.clone(), log.gradient_norm.clone()].into_iter().chain(parts)
        })
        .collect();
    let mut values = Tensor::cat(scalars, 0).into_data().iter::<f32>().collect::<Vec<_>>().into_iter();

    let mut rows = Vec::new();
    let (mut loss, mut gradient_norm) = (Mean::default(), Mean::default());
    let mut parts: BTreeMap<&str, Mean> = BTreeMap::new();
    for (step, mut log) in unread.drain(..) {
        let mut next = || values.next().expect("as many values come back as were read");
        let (total, norm) = (next(), next());
        // Steps may differ in their parts, as those of a GAN's two players do.
        let named: Vec<(&'static str, f32)> = log.loss.parts.iter().map(|part| (part.name, next())).collect();
        if !total.is_finite() || !norm.is_finite() {
            let parts: Vec<String> = named.iter().map(|(name, value)| format!("{name} {value}")).collect();
            return Err(TrainError::NonFinite {
                step,
                loss: total,
                parts: if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) },
                gradient_norm: norm,
                learning_rate: log.learning_rate,
            });
        }
        loss.add(total);
        gradient_norm.add(norm);
        for (name, value) in named {
            parts.entry(name).or_default().add(value);
        }
        if let Some(mut layers) = log.flow.take() {
            // JSON has no infinity; a layer without a finite number is a gap in the picture.
            layers.retain(|layer| layer.gradient_norm.is_finite() && layer.update_ratio.is_finite());
            rows.push(Row::Flow { step: step + 1, layers });
        }
    }
    rows.push(Row::Train {
        step: clock.step,
        epoch: clock.epochs_done(),
        loss: loss.value(),
        parts: parts.into_iter().map(|(name, mean)| (name.to_owned(), mean.value())).collect(),
        gradient_norm: gradient_norm.value(),
        learning_rate,
    });
    Ok(rows)
}

/// A sum and a count, divided once.
#[derive(Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f32) {
        self.sum += f64::from(value);
        self.count += 1;
    }

    fn value(&self) -> f32 {
        (self.sum / f64::from(self.count.max(1))) as f32
    }
}
