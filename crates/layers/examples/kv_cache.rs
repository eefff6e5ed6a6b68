//! What a step with a cache of keys and values costs, by the cache's capacity and by what it has read.
//!
//! ```text
//! cargo run --release -p libellus-layers --example kv_cache
//! ```
//!
//! Writing a token must cost the same whatever the capacity and the length: if it grew, the buffers would be copied.
//! Attention reads everything that has been read, so it grows with the length.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use libellus_layers::{AttentionOptions, Causal, KvCache, attention};

const HEADS: usize = 12;
const WIDTH: usize = 64;
const STEPS: usize = 50;

fn main() {
    let device = libellus_backend::testing::device();
    println!("capacity  length  append (us)  attention (us)  a copy of both buffers (us)");
    for (capacity, length) in [(1024, 100), (1024, 900), (16_384, 100), (16_384, 900), (16_384, 16_000)] {
        let (append, attend, copy) = measure(capacity, length, &device);
        println!("{capacity:8} {length:7} {append:12.1} {attend:15.1} {copy:28.1}");
    }
}

/// Medians in microseconds.
fn measure(capacity: usize, length: usize, device: &Device) -> (f64, f64, f64) {
    let heads =
        |tokens| Tensor::<4>::random([1, HEADS, tokens, WIDTH], Distribution::Normal(0.0, 1.0), device);
    let mut cache = KvCache::new(1, 1, capacity);
    cache.advance(length, None, device);
    cache.append(0, heads(length), heads(length));

    let (mut appends, mut attentions) = (Vec::new(), Vec::new());
    for _ in 0..STEPS {
        let [query, keys, values] = [heads(1), heads(1), heads(1)];
        let start = Instant::now();
        let span = cache.advance(1, None, device);
        let kept = cache.append(0, keys, values);
        appends.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let options =
            AttentionOptions { causal: Causal::Yes, mask: span.hidden, ..AttentionOptions::default() };
        attention(query, kept.keys, kept.values, &options).into_data();
        attentions.push(start.elapsed().as_secs_f64());
    }

    let buffer = Tensor::<4>::zeros([1, HEADS, capacity, WIDTH], device);
    let copies = (0..STEPS).map(|_| {
        let start = Instant::now();
        drop((buffer.clone() + 1.0, buffer.clone() + 1.0));
        start.elapsed().as_secs_f64()
    });
    let copies = copies.collect();
    (median(appends), median(attentions), median(copies))
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2] * 1e6
}
