//! Batches of samples, prepared on worker threads.
//!
//! What comes out depends on the data set, the configuration and the epoch alone: not on the number of workers, nor on
//! which of them was faster, nor on the batch at which an epoch is entered.

mod batch_size;
mod epoch;

use std::sync::Arc;

use rand::seq::SliceRandom;

use crate::{DataError, Dataset, SampleRng, sample_rng};

pub use batch_size::BatchSize;
pub use epoch::Epoch;

/// What is done to the samples of a batch.
///
/// The work of [`prepare`](Collate::prepare), which sees one sample, is spread over the workers;
/// [`collate`](Collate::collate), which sees them all, should do little more than to put them side by side.
pub trait Collate: Send + Sync {
    /// A sample as the data set gives it.
    type Item: Send;
    /// A sample that is ready to be put beside others.
    type Prepared: Send;
    /// Samples put together.
    type Batch: Send;

    /// Prepares one sample. `rng` belongs to this sample in this epoch.
    ///
    /// # Errors
    /// When the sample is not usable; the loader adds which one it was.
    fn prepare(&self, item: Self::Item, rng: &mut SampleRng) -> Result<Self::Prepared, DataError>;

    /// Puts the samples of a batch together, of which there is at least one. `rng` belongs to this batch in this epoch.
    ///
    /// # Errors
    /// When they don't go together.
    fn collate(&self, samples: Vec<Self::Prepared>, rng: &mut SampleRng) -> Result<Self::Batch, DataError>;
}

/// The order in which an epoch goes through the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As the data set has them. Whatever is random in their preparation is that of seed 0.
    Sequential,
    /// Drawn anew for each epoch.
    Shuffled {
        /// What the order, and whatever is random in the preparation, depends on.
        seed: u64,
    },
}

impl Order {
    fn seed(self) -> u64 {
        match self {
            Self::Sequential => 0,
            Self::Shuffled { seed } => seed,
        }
    }
}

/// What becomes of samples that don't fill a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastBatch {
    /// They make a smaller one.
    Keep,
    /// They are left out of this epoch.
    Drop,
}

/// How a [`Loader`] goes through its data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Samples per batch.
    pub batch_size: BatchSize,
    /// The order of the samples.
    pub order: Order,
    /// What becomes of samples that don't fill a batch.
    pub last: LastBatch,
    /// Threads that prepare samples; with 0, they are prepared when they are asked for.
    pub workers: usize,
    /// Batches that are prepared ahead of the one asked for, at least one. Without workers there are none.
    pub prefetch: usize,
}

impl Default for LoaderConfig {
    /// Batches of 32 in order, including the last one, two of them prepared ahead on one thread.
    fn default() -> Self {
        Self {
            batch_size: BatchSize::Of(32),
            order: Order::Sequential,
            last: LastBatch::Keep,
            workers: 1,
            prefetch: 2,
        }
    }
}

/// Goes through a data set in batches, epoch after epoch.
pub struct Loader<C: Collate> {
    shared: Arc<Recipe<C>>,
    config: LoaderConfig,
}

/// What workers need to prepare any sample.
struct Recipe<C: Collate> {
    dataset: Arc<dyn Dataset<Item = C::Item>>,
    collate: C,
    seed: u64,
}

impl<C: Collate> Loader<C> {
    /// A loader over a data set.
    ///
    /// # Errors
    /// When there would be no batch: the data set is empty, the batch size zero, or no batch full where only full ones
    /// are wanted.
    pub fn new(
        dataset: Arc<dyn Dataset<Item = C::Item>>,
        collate: C,
        config: LoaderConfig,
    ) -> Result<Self, DataError> {
        let samples = dataset.len();
        if samples == 0 {
            return Err(DataError::EmptyDataset);
        }
        let batch_size = config.batch_size.samples(samples);
        if batch_size == 0 {
            return Err(DataError::BatchSize { value: config.batch_size.to_string() });
        }
        if config.last == LastBatch::Drop && batch_size > samples {
            return Err(DataError::NoFullBatch { samples, batch_size });
        }
        Ok(Self { shared: Arc::new(Recipe { dataset, collate, seed: config.order.seed() }), config })
    }

    /// Number of batches in each epoch, at least one.
    pub fn batches_per_epoch(&self) -> usize {
        let batch_size = self.config.batch_size.samples(self.samples());
        match self.config.last {
            LastBatch::Keep => self.samples().div_ceil(batch_size),
            LastBatch::Drop => self.samples() / batch_size,
        }
    }

    /// Number of samples in the data set.
    pub fn samples(&self) -> usize {
        self.shared.dataset.len()
    }

    /// How it goes through its data set.
    pub fn config(&self) -> &LoaderConfig {
        &self.config
    }

    /// Numbers of the samples in the order of an epoch, including those of a last batch that is dropped.
    pub fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.samples()).collect();
        if let Order::Shuffled { seed } = self.config.order {
            order.shuffle(&mut sample_rng(seed ^ ORDER_STREAM, epoch, 0));
        }
        order
    }
}

impl<C: Collate + 'static> Loader<C> {
    /// The batches of an epoch from number `start_batch` on, the same ones as those of the whole epoch from there. The
    /// ones before it cost nothing.
    ///
    /// Beyond the last batch there are none. After an error there are none either.
    pub fn epoch(&self, epoch: u64, start_batch: usize) -> Epoch<C> {
        let batches = self.batches_per_epoch();
        let batch_size = self.config.batch_size.samples(self.samples());
        let plan = epoch::Plan { order: self.order(epoch), epoch, batch_size, batches };
        Epoch::start(self.shared.clone(), plan, start_batch, self.config.workers, self.config.prefetch)
    }
}

/// Sets the generators of orders and of batches apart from those of samples.
const ORDER_STREAM: u64 = 0x6f72_6465_725f_5f5f;
const BATCH_STREAM: u64 = 0x6261_7463_685f_5f5f;

impl<C: Collate> Recipe<C> {
    /// Reads and prepares one sample.
    fn prepare(&self, epoch: u64, index: usize) -> Result<C::Prepared, DataError> {
        let item = self.dataset.get(index)?;
        let mut rng = sample_rng(self.seed, epoch, index as u64);
        self.collate.prepare(item, &mut rng).map_err(|source| DataError::Sample {
            what: self.dataset.describe(index),
            source: Box::new(source),
        })
    }

    /// Puts the samples of a batch together.
    fn collate(&self, epoch: u64, batch: usize, samples: Vec<C::Prepared>) -> Result<C::Batch, DataError> {
        self.collate.collate(samples, &mut sample_rng(self.seed ^ BATCH_STREAM, epoch, batch as u64))
    }
}

#[cfg(test)]
mod tests;
