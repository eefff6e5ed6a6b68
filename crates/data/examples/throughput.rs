//! Images a second of the augmented CIFAR pipeline: crop with padding, flip, normalise, batches of 128.
//!
//! `cargo run --release -p libellus-data --example throughput`
//!
//! The images are generated, so that decoding is not measured: 10,000 of 32 x 32 pixels in memory, as those of CIFAR-10
//! are once they have been read.

use std::{error::Error, sync::Arc, time::Instant};

use libellus_data::{
    BatchSize, Channels, DataError, Dataset, Image, ImageCollate, LastBatch, Loader, LoaderConfig, Normalize,
    Order, Pipeline, Sample, TransformConfig,
    transform::{HorizontalFlip, RandAugment, RandomCrop},
};

/// Images of a smooth pattern that differs from one to the next.
struct Patterns;

const SIDE: usize = 32;

impl Dataset for Patterns {
    type Item = Sample;

    fn len(&self) -> usize {
        10_000
    }

    fn get(&self, index: usize) -> Result<Sample, DataError> {
        let values = (0..SIDE * SIDE * 3).map(|place| ((place / 7 + index) % 256) as u8);
        Ok(Sample { image: Image::new(SIDE, SIDE, Channels::Rgb, values.collect()), label: index % 10 })
    }

    fn describe(&self, index: usize) -> String {
        format!("pattern {index}")
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let crop = RandomCrop { height: SIDE, width: SIDE, padding: 4, fill: [0; 3] };
    let standard =
        vec![TransformConfig::RandomCrop(crop), TransformConfig::HorizontalFlip(HorizontalFlip::default())];
    let strong = [standard.as_slice(), &[TransformConfig::RandAugment(RandAugment::default())]].concat();
    for (name, steps) in [("crop, flip", &standard), ("crop, flip, RandAugment", &strong)] {
        for workers in [0, 1, 2] {
            let rate = images_per_second(steps, workers)?;
            println!("{name}, {workers} workers: {rate:.0} images/s");
        }
    }
    Ok(())
}

fn images_per_second(steps: &[TransformConfig], workers: usize) -> Result<f64, DataError> {
    let normalize = Normalize { mean: vec![0.4914, 0.4822, 0.4465], std: vec![0.2470, 0.2435, 0.2616] };
    let collate =
        ImageCollate { pipeline: Pipeline::from_config(steps, normalize)?, mix: None, num_classes: 10 };
    let config = LoaderConfig {
        batch_size: BatchSize::Of(128),
        order: Order::Shuffled { seed: 1 },
        last: LastBatch::Keep,
        workers,
        prefetch: 4,
    };
    let loader = Loader::new(Arc::new(Patterns), collate, config)?;
    // The first epoch warms up; the second one counts.
    let mut rate = 0.0;
    for epoch in 0..2 {
        let start = Instant::now();
        let mut images = 0;
        for batch in loader.epoch(epoch, 0) {
            images += batch?.labels.len();
        }
        rate = images as f64 / start.elapsed().as_secs_f64();
    }
    Ok(rate)
}
