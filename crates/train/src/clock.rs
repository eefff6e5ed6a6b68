//! Where a run stands.

use serde::{Deserialize, Serialize};

/// How long a run lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// This many passes over the training data.
    Epochs(u64),
    /// This many optimiser steps.
    Steps(u64),
}

/// A position in a run, counted in optimiser steps from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Steps that were completed: the index of the step that comes next, or is being taken.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Steps of one pass over the training data, at least 1.
    pub steps_per_epoch: u64,
}

impl Clock {
    /// The start of a run of the given length.
    pub fn start(length: Length, steps_per_epoch: u64) -> Self {
        let steps_per_epoch = steps_per_epoch.max(1);
        let total_steps = match length {
            Length::Epochs(epochs) => epochs * steps_per_epoch,
            Length::Steps(steps) => steps,
        };
        Self { step: 0, total_steps, steps_per_epoch }
    }

    /// The epoch of the step, from 0.
    pub fn epoch(&self) -> u64 {
        self.step / self.steps_per_epoch
    }

    /// Steps already taken in this epoch.
    pub fn step_in_epoch(&self) -> u64 {
        self.step % self.steps_per_epoch
    }

    /// Epochs completed, as a fraction: 1.5 is in the middle of the second.
    pub fn epochs_done(&self) -> f64 {
        self.step as f64 / self.steps_per_epoch as f64
    }

    /// Whether the last step was taken.
    pub fn is_done(&self) -> bool {
        self.step >= self.total_steps
    }

    /// Whether something that happens every `every` steps, and at the end, is due after the step just completed.
    pub fn is_due(&self, every: u64) -> bool {
        self.is_done() || self.step.is_multiple_of(every.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_epochs_from_steps() {
        let mut clock = Clock::start(Length::Epochs(3), 7);
        assert_eq!(clock.total_steps, 21);
        clock.step = 13;
        assert_eq!((clock.epoch(), clock.step_in_epoch()), (1, 6));
        clock.step = 14;
        assert_eq!((clock.epoch(), clock.step_in_epoch()), (2, 0));
        assert!(clock.is_due(7) && !clock.is_due(5) && !clock.is_done());
        clock.step = 21;
        assert!(clock.is_done() && clock.is_due(1000));
    }

    #[test]
    fn an_empty_epoch_does_not_divide_by_zero() {
        assert_eq!(Clock::start(Length::Steps(5), 0).epochs_done(), 0.0);
    }
}
