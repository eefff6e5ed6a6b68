//! What the loop tells those who watch it.

use crate::clock::Clock;
use crate::history::Row;

/// Watches a run. Every method has an empty default, so `()` watches nothing.
pub trait Observer {
    /// The run begins at `clock`, which is not 0 where it goes on from a checkpoint.
    fn started(&mut self, _clock: &Clock) {}

    /// A step was taken that saw `samples` samples.
    fn stepped(&mut self, _clock: &Clock, _samples: usize) {}

    /// A row was added to the log.
    fn logged(&mut self, _clock: &Clock, _row: &Row) {}

    /// A validation begins.
    fn evaluating(&mut self, _clock: &Clock) {}

    /// The validation just logged was the best so far.
    fn improved(&mut self, _clock: &Clock) {}

    /// The loop ended.
    fn finished(&mut self, _clock: &Clock) {}
}

impl Observer for () {}
