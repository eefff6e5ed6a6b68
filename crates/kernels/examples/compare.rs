//! The time of each operation here and composed of burn's, measured in turns.
//!
//! ```text
//! cargo run --release -p libellus-kernels --example compare [NAME]
//! ```
//!
//! Medians in milliseconds; the ratio is ours to burn's. With an argument, only operations whose name contains it.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor, activation};
use libellus_kernels as kernels;

const TURNS: usize = 15;

/// Ours and burn's.
type Pair = [fn(Tensor<3>) -> Tensor<3>; 2];

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    let device = libellus_backend::testing::device();
    let operations: [(&str, [usize; 3], Pair); 7] = [
        ("gelu", [8, 256, 3072], [kernels::gelu, activation::gelu]),
        ("gelu_tanh", [8, 256, 3072], [kernels::gelu_tanh, activation::gelu_approximate]),
        ("quick_gelu", [8, 256, 3072], [kernels::quick_gelu, |x| x.clone() * activation::sigmoid(x * 1.702)]),
        ("silu", [8, 256, 3072], [kernels::silu, activation::silu]),
        ("sigmoid", [8, 256, 3072], [kernels::sigmoid, activation::sigmoid]),
        ("tanh", [8, 256, 3072], [kernels::tanh, activation::tanh]),
        ("exp", [8, 256, 3072], [kernels::exp, |x| x.exp()]),
    ];
    println!("{:32} {:>8} {:>8} {:>6}", "", "ours", "burn", "ratio");
    for (name, shape, pair) in operations {
        if name.contains(&only) {
            let shape_name = shape.map(|size| size.to_string()).join("x");
            report(
                &format!("{name}/{shape_name}"),
                pair.map(|f| move |input| drop(f(input))),
                shape,
                &device,
            );
            let backward = pair.map(|f| {
                move |input: Tensor<3>| {
                    let input = input.require_grad();
                    drop(f(input.clone()).sum().backward());
                }
            });
            report(&format!("{name}/{shape_name} + backward"), backward, shape, &device.clone().autodiff());
        }
    }
}

/// Runs the two in turns and prints a line.
fn report(name: &str, pair: [impl Fn(Tensor<3>); 2], shape: [usize; 3], device: &Device) {
    let input = Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), device);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..TURNS {
        for (run, times) in pair.iter().zip(&mut times) {
            let input = input.clone();
            let start = Instant::now();
            run(input);
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let [ours, burn] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[TURNS / 2]
    });
    println!("{name:32} {ours:8.2} {burn:8.2} {:6.3}", ours / burn);
}
