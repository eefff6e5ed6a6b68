//! What runs of all kinds decide in the same way.

use std::path::Path;

use libellus_data::sample_rng;
use libellus_optim::{AdamWConfig, DecayPolicy, OptimizerConfig, ScheduleConfig};
use libellus_train::{FitConfig, LearnerConfig, Length, OptionsError};
use rand::seq::SliceRandom;

use crate::error::TextError;
use crate::options::Keep;

/// An option with a value that can't be met.
pub(crate) fn option(option: &'static str, value: impl ToString, reason: impl Into<String>) -> TextError {
    OptionsError::option(option, value, reason).into()
}

/// The options that don't matter for what was chosen, with whether they were given nevertheless, and why they don't.
pub(crate) fn refuse_idle(options: &[(&'static str, bool, &str)]) -> Result<(), TextError> {
    match options.iter().find(|(_, is_given, _)| *is_given) {
        Some((name, _, reason)) => Err(option(name, "", format!("it has no effect here: {reason}"))),
        None => Ok(()),
    }
}

/// Numbers of which none may be 0.
pub(crate) fn at_least_one(options: &[(&'static str, Option<usize>)]) -> Result<(), TextError> {
    match options.iter().find(|(_, value)| *value == Some(0)) {
        Some((name, _)) => Err(option(name, 0, "it must be at least 1")),
        None => Ok(()),
    }
}

/// A share of the data that is held back.
pub(crate) fn share(name: &'static str, share: f64) -> Result<f64, TextError> {
    match (0.0..1.0).contains(&share) {
        true => Ok(share),
        false => Err(option(name, share, "it must be at least 0 and below 1")),
    }
}

/// Which weights become the model, when the share `validation` is held back.
pub(crate) fn keep(validation: f64, given: Option<Keep>, patience: Option<u64>) -> Result<Keep, TextError> {
    let keep = given.unwrap_or(if validation > 0.0 { Keep::Best } else { Keep::Last });
    if keep == Keep::Best && validation == 0.0 {
        return Err(option("keep", "best", "without validation nothing tells which weights are best"));
    }
    let reason = "without validation, or with --keep last, no validation is better than another";
    refuse_idle(&[("patience", patience.is_some() && keep == Keep::Last, reason)])?;
    Ok(keep)
}

/// How often all is learnt: as given, or where no number of steps is, as by default.
pub(crate) fn epochs(given: Option<f64>, steps: Option<u64>, default: f64) -> Result<Option<f64>, TextError> {
    match given {
        Some(epochs) if !(epochs.is_finite() && epochs > 0.0) => {
            Err(option("epochs", epochs, "it must be above 0"))
        }
        given => Ok(given.or(steps.is_none().then_some(default))),
    }
}

/// The steps of a run: as given, or as many as the epochs have.
pub(crate) fn steps(given: Option<u64>, epochs: Option<f64>, per_epoch: u64) -> u64 {
    given.unwrap_or_else(|| (per_epoch as f64 * epochs.unwrap_or(1.0)).ceil() as u64)
}

/// The rows of which the share `validation` comes behind the others, in random order, and how many those are; `what` they are, in
/// messages.
pub(crate) fn hold_back<T>(
    mut rows: Vec<T>,
    validation: f64,
    seed: u64,
    what: &str,
) -> Result<[Vec<T>; 2], TextError> {
    rows.shuffle(&mut sample_rng(seed, u64::MAX, 0));
    let count = (rows.len() as f64 * validation).ceil() as usize;
    if count >= rows.len() {
        let reason = format!("of {} {what} that leaves none to learn", rows.len());
        return Err(option("validation", validation, reason));
    }
    let held_back = rows.split_off(rows.len() - count);
    Ok([rows, held_back])
}

/// What to call data: the name of the file, without an extension.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_stem().map_or_else(|| "text".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// What of the loop is chosen.
pub(crate) struct Intervals {
    pub(crate) validate_every: Option<u64>,
    pub(crate) checkpoint_every: Option<u64>,
    pub(crate) log_every: Option<u64>,
    pub(crate) patience: Option<u64>,
}

impl Intervals {
    /// The loop of a run of so many steps.
    pub(crate) fn fit_config(&self, steps: u64) -> Result<FitConfig, TextError> {
        let config = FitConfig {
            length: Length::Steps(steps),
            validate_every: Some(self.validate_every.unwrap_or((steps / 10).max(1))),
            checkpoint_every: self.checkpoint_every,
            log_every: self.log_every.unwrap_or(10),
            patience: self.patience,
        };
        config.validate()?;
        Ok(config)
    }
}

/// How AdamW improves a model.
pub(crate) struct AdamW {
    pub(crate) betas: [f64; 2],
    pub(crate) lr: f64,
    pub(crate) schedule: ScheduleConfig,
    pub(crate) weight_decay: f64,
    /// 0 for any norm.
    pub(crate) clip_norm: f64,
    /// 0 for none.
    pub(crate) ema: f64,
    /// 0 for never; the default is 20 times in a run.
    pub(crate) flow_every: Option<u64>,
}

impl AdamW {
    /// For a run of so many steps.
    pub(crate) fn learner_config(self, steps: u64) -> Result<LearnerConfig, TextError> {
        let Self { betas, lr, schedule, weight_decay, clip_norm, ema, flow_every } = self;
        if !(lr > 0.0 && lr.is_finite()) {
            return Err(option("lr", lr, "it must be above 0"));
        }
        if clip_norm.is_nan() || clip_norm < 0.0 {
            return Err(option("clip-norm", clip_norm, "it must be at least 0"));
        }
        Ok(LearnerConfig {
            optimizer: OptimizerConfig::AdamW(AdamWConfig { betas, weight_decay, ..AdamWConfig::default() }),
            lr,
            schedule,
            decay: DecayPolicy::NoNormsAndBiases,
            clip_norm: (clip_norm > 0.0).then_some(clip_norm),
            ema_decay: (ema != 0.0).then_some(ema),
            flow_every: match flow_every {
                Some(0) => None,
                Some(steps) => Some(steps),
                None => Some((steps / 20).max(1)),
            },
        })
    }
}
