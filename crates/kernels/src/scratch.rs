//! Memory for intermediate results, kept from call to call: fresh pages cost more than what is computed in them.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// A cache line, in numbers.
const ALIGNMENT: usize = 64 / size_of::<f32>();

/// What a thread keeps at most, in numbers: 64 MB.
const KEPT: usize = 16 << 20;

/// Numbers that start at a cache line.
#[derive(Debug)]
pub(crate) struct Scratch {
    memory: Vec<f32>,
    start: usize,
    len: usize,
}

impl Scratch {
    /// Of any value, in memory that somebody else had before.
    pub(crate) fn new(len: usize) -> Self {
        let fitting = FREE.with_borrow_mut(|free| {
            let large_enough = free.iter().enumerate().filter(|(_, memory)| memory.len() >= len + ALIGNMENT);
            let (index, _) = large_enough.min_by_key(|(_, memory)| memory.len())?;
            Some(free.swap_remove(index))
        });
        match fitting {
            Some(memory) => Self::within(memory, len),
            None => Self::zeros(len),
        }
    }

    /// In memory that is no larger than that.
    pub(crate) fn zeros(len: usize) -> Self {
        Self::within(vec![0.0; len + ALIGNMENT], len)
    }

    fn within(memory: Vec<f32>, len: usize) -> Self {
        let start = memory.as_ptr().align_offset(64).min(ALIGNMENT);
        Self { memory, start, len }
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        if memory.len() > KEPT {
            return;
        }
        // A thread that is about to end keeps nothing.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            free.push(memory);
            let mut kept: usize = free.iter().map(Vec::len).sum();
            while kept > KEPT {
                // One that nobody has wanted for long.
                kept -= free.remove(0).len();
            }
        });
    }
}

/// Runs `f` with `len` numbers of any value, which start at a cache line.
pub(crate) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    f(&mut Scratch::new(len))
}
