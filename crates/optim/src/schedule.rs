//! Learning rates that depend on the step.
//!
//! burn's schedulers count their own steps; these are pure functions of the step, so that a resumed run needs no state
//! and a plot needs no run.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::error::{OptimError, require, require_non_negative};

/// How the learning rate goes over a run. In a file, `name` tells which, in `snake_case`.
///
/// ```
/// use libellus_optim::ScheduleConfig;
///
/// let config: ScheduleConfig = serde_json::from_str(r#"{ "name": "step", "every": 30 }"#)?;
/// let schedule = config.init(90, 0.1)?;
/// assert_eq!(schedule.lr(29), 0.1);
/// assert!((schedule.lr(30) - 0.01).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// The peak learning rate throughout.
    Constant {},
    /// A linear rise over the first steps, then half a cosine.
    ///
    /// Step `t` of a warm-up of `w` has `peak (t + 1) / (w + 1)`, so that the first step already learns; behind it,
    /// `min + (peak - min) (1 + cos(π (t - w) / (T - w))) / 2` with `T` steps in all. In PyTorch's terms: a `LinearLR` with
    /// `start_factor = 1 / (w + 1)` and `total_iters = w`, then a `CosineAnnealingLR` with `T_max = T - w`. The cosine is
    /// Loshchilov and Hutter 2017, *SGDR*, arXiv:1608.03983, equation 5, without restarts.
    WarmupCosine {
        /// Steps `w` of the warm-up. Default 0.
        #[serde(default)]
        warmup: u64,
        /// Where the cosine ends (`min`), as a factor of the peak, in [0, 1]. Default 0.
        #[serde(default)]
        final_factor: f64,
    },
    /// A linear rise over the first steps, then a fall with the square root of the step.
    ///
    /// Vaswani et al. 2017, *Attention Is All You Need*, arXiv:1706.03762, equation 3, which is known as Noam's: step `t` has
    /// `peak min((t + 1) / w, sqrt(w / (t + 1)))` with a warm-up of `w`; the paper's peak is `1 / sqrt(d_model w)`.
    Noam {
        /// Steps `w` of the warm-up, at least 1. Default 4,000, as in the paper.
        #[serde(default = "default_noam_warmup")]
        warmup: u64,
    },
    /// A factor at regular intervals; PyTorch's `StepLR`.
    Step {
        /// Steps between two factors, at least 1.
        every: u64,
        /// The factor, from 0 up. Default 0.1.
        #[serde(default = "default_gamma")]
        gamma: f64,
    },
    /// A factor at given steps; PyTorch's `MultiStepLR`.
    Milestones {
        /// The steps, increasing, from which on the learning rate has one factor more.
        at: Vec<u64>,
        /// The factor, from 0 up. Default 0.1.
        #[serde(default = "default_gamma")]
        gamma: f64,
    },
    /// One cycle: a rise to the peak along half a cosine, then a fall far below the start along another.
    ///
    /// Smith and Topin 2018, *Super-Convergence*, arXiv:1708.07120. PyTorch's `OneCycleLR` with its two phases and
    /// cosines. *Difference:* momentum stays as it is (`cycle_momentum=False`).
    OneCycle {
        /// The part of the run that rises, in [0, 1]. Default 0.3.
        #[serde(default = "default_pct_start")]
        pct_start: f64,
        /// The run starts at the peak divided by this, above 0. Default 25.
        #[serde(default = "default_div_factor")]
        div_factor: f64,
        /// The run ends at its start divided by this, above 0. Default 10,000.
        #[serde(default = "default_final_div_factor")]
        final_div_factor: f64,
    },
}

fn default_noam_warmup() -> u64 {
    4000
}

fn default_gamma() -> f64 {
    0.1
}

fn default_pct_start() -> f64 {
    0.3
}

fn default_div_factor() -> f64 {
    25.0
}

fn default_final_div_factor() -> f64 {
    1e4
}

impl ScheduleConfig {
    /// One cycle with PyTorch's defaults.
    pub fn one_cycle() -> Self {
        Self::OneCycle {
            pct_start: default_pct_start(),
            div_factor: default_div_factor(),
            final_div_factor: default_final_div_factor(),
        }
    }

    /// Checks the range of every number.
    ///
    /// # Errors
    /// The first one that lies outside.
    pub fn validate(&self) -> Result<(), OptimError> {
        match self {
            Self::Constant {} => Ok(()),
            Self::WarmupCosine { final_factor, .. } => {
                require((0.0..=1.0).contains(final_factor), "final_factor", *final_factor, "from 0 to 1")
            }
            Self::Noam { warmup } => require(*warmup > 0, "warmup", *warmup as f64, "at least 1 step"),
            Self::Step { every, gamma } => {
                require(*every > 0, "every", *every as f64, "at least 1 step")?;
                require_non_negative("gamma", *gamma)
            }
            Self::Milestones { at, gamma } => {
                if let Some(pair) = at.windows(2).find(|pair| pair[0] >= pair[1]) {
                    return Err(OptimError::MilestoneOrder { earlier: pair[0], later: pair[1] });
                }
                require_non_negative("gamma", *gamma)
            }
            Self::OneCycle { pct_start, div_factor, final_div_factor } => {
                require((0.0..=1.0).contains(pct_start), "pct_start", *pct_start, "from 0 to 1")?;
                for (key, value) in [("div_factor", *div_factor), ("final_div_factor", *final_div_factor)] {
                    require(value.is_finite() && value > 0.0, key, value, "a number above 0")?;
                }
                Ok(())
            }
        }
    }

    /// The schedule of a run of `total_steps` steps whose learning rate is `peak_lr` at its highest.
    ///
    /// # Errors
    /// As [`validate`](ScheduleConfig::validate), and when `peak_lr` isn't a finite number from 0 up.
    pub fn init(&self, total_steps: u64, peak_lr: f64) -> Result<Schedule, OptimError> {
        self.validate()?;
        require_non_negative("lr", peak_lr)?;
        Ok(Schedule { config: self.clone(), total_steps, peak: peak_lr })
    }
}

/// The learning rate of each step of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    config: ScheduleConfig,
    total_steps: u64,
    peak: f64,
}

impl Schedule {
    /// The learning rate of step `step`, counted from 0. Behind the last step it stays where the schedule ended.
    pub fn lr(&self, step: u64) -> f64 {
        let peak = self.peak;
        match &self.config {
            ScheduleConfig::Constant {} => peak,
            ScheduleConfig::WarmupCosine { warmup, .. } if step < *warmup => {
                peak * (step as f64 + 1.0) / (*warmup as f64 + 1.0)
            }
            ScheduleConfig::WarmupCosine { warmup, final_factor } => {
                let length = self.total_steps.saturating_sub(*warmup).max(1);
                let done = (step - warmup).min(length) as f64 / length as f64;
                cosine(peak, peak * final_factor, done)
            }
            ScheduleConfig::Noam { warmup } => {
                let (step, warmup) = (step as f64 + 1.0, *warmup as f64);
                peak * (step / warmup).min((warmup / step).sqrt())
            }
            ScheduleConfig::Step { every, gamma } => peak * gamma.powf((step / every) as f64),
            ScheduleConfig::Milestones { at, gamma } => {
                peak * gamma.powf(at.partition_point(|&milestone| milestone <= step) as f64)
            }
            ScheduleConfig::OneCycle { pct_start, div_factor, final_div_factor } => {
                let initial = peak / div_factor;
                let last = self.total_steps.saturating_sub(1);
                let step = step.min(last) as f64;
                let rise = pct_start * self.total_steps as f64 - 1.0;
                if step > rise {
                    cosine(peak, initial / final_div_factor, (step - rise) / (last as f64 - rise))
                } else if rise > 0.0 {
                    cosine(initial, peak, step / rise)
                } else {
                    peak
                }
            }
        }
    }
}

/// From `start` to `end` along half a cosine, of which the part `done`, in [0, 1], lies behind.
fn cosine(start: f64, end: f64, done: f64) -> f64 {
    end + (start - end) * (1.0 + (PI * done).cos()) / 2.0
}
