//! One pass over the samples: the iterator, and the workers behind it.
//!
//! Workers take chunks of samples, in the order of the epoch, from the batches in a window that moves on as batches are
//! handed out. Whoever finishes the last chunk of a batch puts the batch together. So several workers share even a
//! single large batch, and no more than the window is ever in memory.

use std::{
    any::Any,
    collections::BTreeMap,
    iter::FusedIterator,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::{Collate, Recipe};
use crate::DataError;

/// The most samples that a worker takes at a time: few enough to spread one batch over several workers, enough to make
/// the hand-over of small images cheap.
const CHUNK: usize = 16;

/// What is to be done in an epoch.
pub(super) struct Plan {
    pub(super) order: Vec<usize>,
    pub(super) epoch: u64,
    pub(super) batch_size: usize,
    pub(super) batches: usize,
}

impl Plan {
    /// Where the samples of a batch lie in the order.
    fn range(&self, batch: usize) -> Range<usize> {
        let start = batch * self.batch_size;
        start..(start + self.batch_size).min(self.order.len())
    }
}

/// The batches of an epoch, in order. Dropping it stops the workers.
pub struct Epoch<C: Collate + 'static> {
    shared: Arc<Shared<C>>,
    workers: Vec<JoinHandle<()>>,
    next: usize,
}

struct Shared<C: Collate> {
    recipe: Arc<Recipe<C>>,
    plan: Plan,
    state: Mutex<State<C>>,
    /// Something changed that workers wait for: the window moved on, or the epoch is over.
    work: Condvar,
    /// Something changed that the consumer waits for: a batch is ready.
    ready: Condvar,
    /// Set when no more batches are wanted. Beside the state, so that workers can look between samples.
    stopped: AtomicBool,
    /// Batches that may be prepared ahead of the one that is handed out next.
    window: usize,
}

struct State<C: Collate> {
    /// The batch that is handed out next.
    consumed: usize,
    /// The batch and the place in the order from which the next chunk is taken.
    batch: usize,
    position: usize,
    /// Batches of which chunks have been prepared, but not all.
    partial: BTreeMap<usize, Partial<C>>,
    /// Batches that wait to be handed out.
    finished: BTreeMap<usize, Result<C::Batch, DataError>>,
    /// Why a worker is gone, so that nobody waits for it.
    lost: Option<String>,
}

/// A batch in the making. The error of its earliest chunk counts, so that it doesn't depend on who was faster.
struct Partial<C: Collate> {
    chunks: Chunks<C>,
    missing: usize,
}

/// Prepared chunks of a batch, by their place in the order.
type Chunks<C> = BTreeMap<usize, Result<Vec<<C as Collate>::Prepared>, DataError>>;

/// Samples that a worker takes at a time.
struct Chunk {
    batch: usize,
    range: Range<usize>,
}

impl<C: Collate + 'static> Epoch<C> {
    pub(super) fn start(
        recipe: Arc<Recipe<C>>,
        plan: Plan,
        start_batch: usize,
        workers: usize,
        prefetch: usize,
    ) -> Self {
        let start = start_batch.min(plan.batches);
        let state = State {
            consumed: start,
            batch: start,
            position: start * plan.batch_size,
            partial: BTreeMap::new(),
            finished: BTreeMap::new(),
            lost: None,
        };
        let shared = Arc::new(Shared {
            recipe,
            plan,
            state: Mutex::new(state),
            work: Condvar::new(),
            ready: Condvar::new(),
            stopped: AtomicBool::new(false),
            window: prefetch.max(1),
        });
        let mut epoch = Self { shared, workers: Vec::new(), next: start };
        for number in 0..workers {
            let shared = epoch.shared.clone();
            let thread = thread::Builder::new().name(format!("libellus-loader-{number}"));
            match thread.spawn(move || shared.run()) {
                Ok(worker) => epoch.workers.push(worker),
                // With the workers there are it goes on; without any, the first batch is the error.
                Err(_) if number > 0 => break,
                Err(source) => {
                    epoch.shared.lock().finished.insert(start, Err(DataError::Spawn { source }));
                    break;
                }
            }
        }
        epoch
    }

    fn stop(&mut self) {
        self.next = self.shared.plan.batches;
        self.shared.stop();
        for worker in self.workers.drain(..) {
            // Panics are caught in the worker and have been handed out as an error.
            let _ = worker.join();
        }
    }
}

impl<C: Collate + 'static> Iterator for Epoch<C> {
    type Item = Result<C::Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.shared.plan.batches {
            return None;
        }
        let batch = if self.workers.is_empty() {
            self.shared.in_place(self.next)
        } else {
            self.shared.wait(self.next)
        };
        self.next += 1;
        if batch.is_err() || self.next == self.shared.plan.batches {
            self.stop();
        }
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error ends it early.
        let left = self.shared.plan.batches - self.next;
        (left.min(1), Some(left))
    }
}

impl<C: Collate + 'static> FusedIterator for Epoch<C> {}

impl<C: Collate + 'static> Drop for Epoch<C> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<C: Collate> Shared<C> {
    /// The state, which no panic can leave half changed: samples and batches are prepared outside the lock.
    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        let _state = self.lock();
        self.stopped.store(true, Ordering::Relaxed);
        self.work.notify_all();
    }

    /// A worker's whole life. Panics in preparing and collating are errors of their batch; this catches what is left, as
    /// the panic of a destructor.
    fn run(&self) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work())) {
            self.lock().lost = Some(message(&*panic));
            self.ready.notify_one();
        }
    }

    /// What a worker does until the epoch is over.
    fn work(&self) {
        while let Some(chunk) = self.take() {
            let batch = chunk.batch;
            let place = chunk.range.start;
            let Some(prepared) = self.prepare(chunk.range) else { return };
            if let Some(chunks) = self.hand_in(batch, place, prepared) {
                let finished = self.collate(batch, chunks);
                self.lock().finished.insert(batch, finished);
                self.ready.notify_one();
            }
        }
    }

    /// The next chunk, once its batch lies in the window.
    fn take(&self) -> Option<Chunk> {
        let mut state = self.lock();
        loop {
            if self.stopped.load(Ordering::Relaxed) || state.batch == self.plan.batches {
                return None;
            }
            if state.batch < state.consumed + self.window {
                break;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let batch = state.batch;
        let whole = self.plan.range(batch);
        let range = state.position..(state.position + CHUNK).min(whole.end);
        state
            .partial
            .entry(batch)
            .or_insert_with(|| Partial { chunks: BTreeMap::new(), missing: whole.len().div_ceil(CHUNK) });
        state.position = range.end;
        if range.end == whole.end {
            state.batch += 1;
        }
        Some(Chunk { batch, range })
    }

    /// Prepares the samples at these places of the order; nothing when they are no longer wanted.
    fn prepare(&self, range: Range<usize>) -> Option<Result<Vec<C::Prepared>, DataError>> {
        let mut samples = Vec::with_capacity(range.len());
        for &index in &self.plan.order[range] {
            if self.stopped.load(Ordering::Relaxed) {
                return None;
            }
            let prepared = caught(
                || self.recipe.prepare(self.plan.epoch, index),
                || caught_description(|| self.recipe.dataset.describe(index), index),
            );
            match prepared {
                Ok(sample) => samples.push(sample),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(samples))
    }

    /// Adds a chunk to its batch, and gives the chunks of the batch when they are complete.
    fn hand_in(
        &self,
        batch: usize,
        place: usize,
        prepared: Result<Vec<C::Prepared>, DataError>,
    ) -> Option<Chunks<C>> {
        let mut state = self.lock();
        let partial = state.partial.get_mut(&batch)?;
        partial.chunks.insert(place, prepared);
        partial.missing -= 1;
        if partial.missing > 0 {
            return None;
        }
        state.partial.remove(&batch).map(|partial| partial.chunks)
    }

    fn collate(&self, batch: usize, chunks: Chunks<C>) -> Result<C::Batch, DataError> {
        let mut samples = Vec::with_capacity(self.plan.range(batch).len());
        for chunk in chunks.into_values() {
            samples.extend(chunk?);
        }
        caught(|| self.recipe.collate(self.plan.epoch, batch, samples), || format!("batch {batch}"))
    }

    /// Waits for a batch and lets the workers begin another one.
    fn wait(&self, batch: usize) -> Result<C::Batch, DataError> {
        let mut state = self.lock();
        loop {
            if let Some(finished) = state.finished.remove(&batch) {
                state.consumed = batch + 1;
                self.work.notify_all();
                return finished;
            }
            if let Some(message) = state.lost.take() {
                return Err(DataError::Panicked { what: format!("batch {batch}"), message });
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Prepares a batch on this thread.
    fn in_place(&self, batch: usize) -> Result<C::Batch, DataError> {
        if let Some(failed) = self.lock().finished.remove(&batch) {
            return failed;
        }
        let range = self.plan.range(batch);
        let place = range.start;
        let prepared = self.prepare(range).unwrap_or_else(|| Ok(Vec::new()));
        self.collate(batch, BTreeMap::from([(place, prepared)]))
    }
}

/// Runs code of a data set or a transform; its panic becomes an error.
fn caught<T>(
    work: impl FnOnce() -> Result<T, DataError>,
    what: impl FnOnce() -> String,
) -> Result<T, DataError> {
    // Nothing that a panic could leave half changed is looked at again: the epoch ends with the error.
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(DataError::Panicked { what: what(), message: message(&*panic) }))
}

/// The description of a sample; where that panics too, its number.
fn caught_description(describe: impl FnOnce() -> String, index: usize) -> String {
    catch_unwind(AssertUnwindSafe(describe)).unwrap_or_else(|_| format!("sample {index}"))
}

fn message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "no message".to_owned()
    }
}
