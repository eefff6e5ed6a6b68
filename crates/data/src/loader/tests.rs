use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use rand::RngExt;

use super::*;

/// Numbers from 0, of which some can't be read or end in a panic.
struct Numbers {
    len: usize,
    broken: Vec<usize>,
    explosive: Vec<usize>,
    reads: AtomicUsize,
    pause: Duration,
}

impl Numbers {
    fn new(len: usize) -> Self {
        Self { len, broken: vec![], explosive: vec![], reads: AtomicUsize::new(0), pause: Duration::ZERO }
    }
}

impl Dataset for Numbers {
    type Item = usize;

    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, index: usize) -> Result<usize, DataError> {
        self.reads.fetch_add(1, Relaxed);
        std::thread::sleep(self.pause);
        assert!(!self.explosive.contains(&index), "number {index} explodes");
        if self.broken.contains(&index) {
            return Err(DataError::EmptyClass { path: format!("number-{index}").into() });
        }
        Ok(index)
    }

    fn describe(&self, index: usize) -> String {
        format!("number {index}")
    }
}

/// Puts a random number beside each sample and each batch.
struct Draw;

#[derive(Debug, Clone, PartialEq)]
struct Drawn {
    samples: Vec<(usize, u64)>,
    batch: u64,
}

impl Drawn {
    fn numbers(&self) -> Vec<usize> {
        self.samples.iter().map(|&(number, _)| number).collect()
    }
}

impl Collate for Draw {
    type Item = usize;
    type Prepared = (usize, u64);
    type Batch = Drawn;

    fn prepare(&self, item: usize, rng: &mut SampleRng) -> Result<(usize, u64), DataError> {
        Ok((item, rng.random()))
    }

    fn collate(&self, samples: Vec<(usize, u64)>, rng: &mut SampleRng) -> Result<Drawn, DataError> {
        Ok(Drawn { samples, batch: rng.random() })
    }
}

/// Batches of 7, shuffled with seed 5, the last one kept.
fn config(workers: usize) -> LoaderConfig {
    LoaderConfig {
        batch_size: BatchSize::Of(7),
        order: Order::Shuffled { seed: 5 },
        last: LastBatch::Keep,
        workers,
        prefetch: 2,
    }
}

fn loader(numbers: Numbers, config: LoaderConfig) -> Loader<Draw> {
    Loader::new(Arc::new(numbers), Draw, config).unwrap()
}

fn batches(loader: &Loader<Draw>, epoch: u64, start: usize) -> Vec<Drawn> {
    loader.epoch(epoch, start).collect::<Result<_, _>>().unwrap()
}

#[test]
fn each_sample_comes_once_and_the_last_batch_is_smaller() {
    let loader = loader(Numbers::new(53), config(2));
    let batches = batches(&loader, 3, 0);
    assert_eq!((batches.len(), loader.batches_per_epoch()), (8, 8));
    assert_eq!(batches.iter().map(|batch| batch.samples.len()).collect::<Vec<_>>(), [7, 7, 7, 7, 7, 7, 7, 4]);
    let mut numbers: Vec<usize> = batches.iter().flat_map(Drawn::numbers).collect();
    assert_eq!(numbers, loader.order(3));
    numbers.sort_unstable();
    assert_eq!(numbers, (0..53).collect::<Vec<_>>());
}

#[test]
fn batches_do_not_depend_on_the_number_of_workers() {
    for batch_size in [BatchSize::Of(7), BatchSize::Of(41), BatchSize::Of(100), BatchSize::Full] {
        let with = |workers, prefetch| {
            let config = LoaderConfig { batch_size, prefetch, ..config(workers) };
            batches(&loader(Numbers::new(97), config), 2, 0)
        };
        let in_place = with(0, 1);
        for (workers, prefetch) in [(1, 1), (2, 3), (5, 1), (5, 11)] {
            assert_eq!(with(workers, prefetch), in_place, "{batch_size}, {workers} workers");
        }
    }
}

#[test]
fn epochs_and_seeds_differ_in_order_and_draws() {
    let loader = |seed| {
        let config =
            LoaderConfig { order: Order::Shuffled { seed }, batch_size: BatchSize::Full, ..config(1) };
        loader(Numbers::new(53), config)
    };
    let [first] = batches(&loader(5), 0, 0).try_into().unwrap();
    for other in [batches(&loader(5), 1, 0), batches(&loader(6), 0, 0)] {
        let [other] = other.try_into().unwrap();
        assert_ne!(first.numbers(), other.numbers());
        assert_ne!(first.batch, other.batch);
        let draw = |batch: &Drawn| batch.samples.iter().find(|sample| sample.0 == 13).unwrap().1;
        assert_ne!(draw(&first), draw(&other));
    }
}

#[test]
fn an_epoch_entered_late_is_the_tail_of_the_whole_one() {
    for workers in [0, 1, 5] {
        let whole = batches(&loader(Numbers::new(53), config(workers)), 4, 0);
        for start in [1, 3, 7, 8, 9, usize::MAX] {
            let numbers = Arc::new(Numbers::new(53));
            let loader = Loader::new(numbers.clone(), Draw, config(workers)).unwrap();
            assert_eq!(
                batches(&loader, 4, start),
                whole[start.min(8)..],
                "from batch {start}, {workers} workers"
            );
            assert_eq!(numbers.reads.load(Relaxed), 53usize.saturating_sub(start.saturating_mul(7)));
        }
    }
}

#[test]
fn a_last_batch_can_be_dropped() {
    let config = LoaderConfig { last: LastBatch::Drop, order: Order::Sequential, ..config(2) };
    let loader = loader(Numbers::new(20), config);
    assert_eq!(loader.batches_per_epoch(), 2);
    let batches = batches(&loader, 0, 0);
    assert_eq!(
        batches.iter().map(Drawn::numbers).collect::<Vec<_>>(),
        [(0..7).collect::<Vec<_>>(), (7..14).collect::<Vec<_>>()]
    );
}

#[test]
fn what_makes_no_batch_is_refused() {
    let new = |len, config| Loader::new(Arc::new(Numbers::new(len)), Draw, config).map(|_| ()).unwrap_err();
    assert!(matches!(new(0, config(1)), DataError::EmptyDataset));
    let zero = LoaderConfig { batch_size: BatchSize::Of(0), ..config(1) };
    assert!(matches!(new(5, zero), DataError::BatchSize { .. }));
    let drop = LoaderConfig { last: LastBatch::Drop, ..config(1) };
    assert!(matches!(new(5, drop), DataError::NoFullBatch { samples: 5, batch_size: 7 }));
}

#[test]
fn an_error_comes_in_its_turn_and_ends_the_epoch() {
    for workers in [0, 1, 2, 5] {
        let numbers = Numbers { broken: vec![44, 23, 27], ..Numbers::new(53) };
        let config = LoaderConfig { order: Order::Sequential, ..config(workers) };
        let mut epoch = loader(numbers, config).epoch(0, 0);
        for start in [0, 7, 14] {
            assert_eq!(epoch.next().unwrap().unwrap().numbers(), (start..start + 7).collect::<Vec<_>>());
        }
        let error = epoch.next().unwrap().unwrap_err();
        assert!(error.to_string().contains("number-23"), "{error}");
        assert!(epoch.next().is_none() && epoch.next().is_none());
    }
}

#[test]
fn a_panic_is_an_error_that_names_the_sample() {
    for workers in [0, 1, 5] {
        let numbers = Numbers { explosive: vec![9], ..Numbers::new(53) };
        let config = LoaderConfig { order: Order::Sequential, ..config(workers) };
        let mut epoch = loader(numbers, config).epoch(0, 0);
        epoch.next().unwrap().unwrap();
        let error = epoch.next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "preparing number 9 panicked: number 9 explodes");
        assert!(epoch.next().is_none());
    }
}

/// Fails in one way or the other, and gives what panics when it is dropped.
struct Troubled(&'static str);

struct Trap(bool);

impl Drop for Trap {
    fn drop(&mut self) {
        assert!(!self.0 || std::thread::panicking(), "the trap snaps");
    }
}

impl Collate for Troubled {
    type Item = usize;
    type Prepared = Trap;
    type Batch = ();

    fn prepare(&self, item: usize, _: &mut SampleRng) -> Result<Trap, DataError> {
        match self.0 {
            "prepare" if item == 3 => Err(DataError::EmptyDataset),
            _ => Ok(Trap(self.0 == "drop")),
        }
    }

    fn collate(&self, samples: Vec<Trap>, _: &mut SampleRng) -> Result<(), DataError> {
        assert!(self.0 != "collate", "no way");
        drop(samples);
        Ok(())
    }
}

#[test]
fn errors_and_panics_of_the_collator_reach_the_consumer() {
    let cases = [
        ("prepare", "cannot prepare number 3"),
        ("collate", "preparing batch 0 panicked: no way"),
        ("drop", "preparing batch 0 panicked: the trap snaps"),
    ];
    for (trouble, message) in cases {
        for workers in [0, 2] {
            let config = LoaderConfig { order: Order::Sequential, ..config(workers) };
            let loader = Loader::new(Arc::new(Numbers::new(11)), Troubled(trouble), config).unwrap();
            assert_eq!(loader.epoch(0, 0).next().unwrap().unwrap_err().to_string(), message);
        }
    }
}

#[test]
fn a_dropped_epoch_stops_its_workers() {
    let numbers = Arc::new(Numbers { pause: Duration::from_millis(2), ..Numbers::new(100_000) });
    let config = LoaderConfig { batch_size: BatchSize::Full, ..config(3) };
    let loader = Loader::new(numbers.clone(), Draw, config).unwrap();
    let epoch = loader.epoch(0, 0);
    std::thread::sleep(Duration::from_millis(20));
    let start = Instant::now();
    drop(epoch);
    // The workers are at most one sample of 2 ms from looking up; a whole chunk would be 32 ms, the epoch over a minute.
    // The bound leaves room for a loaded machine.
    assert!(start.elapsed() < Duration::from_secs(5));
    let reads = numbers.reads.load(Relaxed);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(numbers.reads.load(Relaxed), reads);
    assert_eq!(Arc::strong_count(&numbers), 2, "a worker still holds the data set");
}

#[test]
fn no_more_batches_than_wanted_are_prepared_ahead() {
    let numbers = Arc::new(Numbers::new(700));
    let loader = Loader::new(numbers.clone(), Draw, LoaderConfig { prefetch: 3, ..config(5) }).unwrap();
    let mut epoch = loader.epoch(0, 0);
    epoch.next().unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(numbers.reads.load(Relaxed), 7 * (1 + 3));
}
