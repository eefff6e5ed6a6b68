//! The time of convolutions here and in burn, measured in turns.
//!
//! ```text
//! cargo run --release -p libellus-kernels --example compare_convolution [NAME]
//! ```
//!
//! Lower quartiles in milliseconds; the ratio is ours to burn's. With an argument, only cases whose name contains it. The argument
//! `-` reads `name/ours` or `name/burn`, with ` + backward` at its end or without, from each line of the standard input, runs it
//! once and prints its time: for whoever measures something else in between.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::io::BufRead;
use std::time::Instant;

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor, module};
use libellus_kernels as kernels;

const TURNS: usize = 15;
const BACKWARD: &str = " + backward";

/// Name, input, output channels, kernel, stride, padding, groups.
type Case = (&'static str, [usize; 4], usize, [usize; 2], usize, [usize; 2], usize);

const CASES: [Case; 22] = [
    ("3x3 64ch 56x56 b1", [1, 64, 56, 56], 64, [3, 3], 1, [1, 1], 1),
    ("3x3 64ch 56x56 b8", [8, 64, 56, 56], 64, [3, 3], 1, [1, 1], 1),
    ("3x3 128ch 28x28 b1", [1, 128, 28, 28], 128, [3, 3], 1, [1, 1], 1),
    ("3x3 128ch 28x28 b8", [8, 128, 28, 28], 128, [3, 3], 1, [1, 1], 1),
    ("3x3 256ch 14x14 b1", [1, 256, 14, 14], 256, [3, 3], 1, [1, 1], 1),
    ("3x3 256ch 14x14 b8", [8, 256, 14, 14], 256, [3, 3], 1, [1, 1], 1),
    ("3x3 512ch 7x7 b1", [1, 512, 7, 7], 512, [3, 3], 1, [1, 1], 1),
    ("3x3 512ch 7x7 b8", [8, 512, 7, 7], 512, [3, 3], 1, [1, 1], 1),
    ("7x7 /2 3-64ch 224x224 b1", [1, 3, 224, 224], 64, [7, 7], 2, [3, 3], 1),
    ("7x7 /2 3-64ch 224x224 b8", [8, 3, 224, 224], 64, [7, 7], 2, [3, 3], 1),
    ("3x3 /2 128ch 56x56 b1", [1, 128, 56, 56], 128, [3, 3], 2, [1, 1], 1),
    ("3x3 /2 64-128ch 56x56 b8", [8, 64, 56, 56], 128, [3, 3], 2, [1, 1], 1),
    ("3x3 /2 256-512ch 14x14 b8", [8, 256, 14, 14], 512, [3, 3], 2, [1, 1], 1),
    ("1x1 256-64ch 56x56 b1", [1, 256, 56, 56], 64, [1, 1], 1, [0, 0], 1),
    ("1x1 64-256ch 56x56 b8", [8, 64, 56, 56], 256, [1, 1], 1, [0, 0], 1),
    ("1x1 512-2048ch 7x7 b8", [8, 512, 7, 7], 2048, [1, 1], 1, [0, 0], 1),
    ("1x1 /2 64-128ch 56x56 b8", [8, 64, 56, 56], 128, [1, 1], 2, [0, 0], 1),
    ("depthwise 3x3 96ch 56x56 b1", [1, 96, 56, 56], 96, [3, 3], 1, [1, 1], 96),
    ("depthwise 3x3 /2 96ch 112x112 b8", [8, 96, 112, 112], 96, [3, 3], 2, [1, 1], 96),
    ("depthwise 5x5 240ch 14x14 b8", [8, 240, 14, 14], 240, [5, 5], 1, [2, 2], 240),
    ("3x3 32 groups of 8 28x28 b1", [1, 256, 28, 28], 256, [3, 3], 1, [1, 1], 32),
    ("1x3 80-384ch 1x3000 b1", [1, 80, 1, 3000], 384, [1, 3], 1, [0, 1], 1),
];

type Convolution = fn(Tensor<4>, Tensor<4>, Option<Tensor<1>>, ConvOptions<2>) -> Tensor<4>;

fn main() {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let device = libellus_backend::testing::device();
    let burn: Convolution = module::conv2d;
    if argument == "-" {
        serve(&device, burn);
        return;
    }
    println!("{:48} {:>8} {:>8} {:>6}", "", "ours", "burn", "ratio");
    for case in CASES.iter().filter(|case| case.0.contains(&argument)) {
        for backward in ["", BACKWARD] {
            let mut times = [Vec::new(), Vec::new()];
            for _ in 0..TURNS {
                for (convolution, times) in [kernels::conv2d, burn].into_iter().zip(&mut times) {
                    times.push(run(case, convolution, !backward.is_empty(), &device));
                }
            }
            let [ours, burn] = times.map(|mut times| {
                times.sort_by(f64::total_cmp);
                times[TURNS / 4]
            });
            println!("{:48} {ours:8.3} {burn:8.3} {:6.3}", format!("{}{backward}", case.0), ours / burn);
        }
    }
}

fn serve(device: &Device, burn: Convolution) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let (name, who) = line.rsplit_once('/').unwrap_or((&line, ""));
        let convolution = if who.starts_with("burn") { burn } else { kernels::conv2d };
        if let Some(case) = CASES.iter().find(|case| case.0 == name) {
            println!("{}", run(case, convolution, who.ends_with(BACKWARD), device));
        }
    }
}

/// Milliseconds of the convolution, alone or with its backward pass.
fn run(case: &Case, convolution: Convolution, backward: bool, device: &Device) -> f64 {
    let &(_, input, channels_out, kernel, stride, padding, groups) = case;
    let device = if backward { device.clone().autodiff() } else { device.clone() };
    let weight = [channels_out, input[1] / groups, kernel[0], kernel[1]];
    let random = |shape: [usize; 4]| {
        let numbers = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        if backward { numbers.require_grad() } else { numbers }
    };
    let (input, weight) = (random(input), random(weight));
    let options = ConvOptions::new([stride; 2], padding, [1, 1], groups);
    let start = Instant::now();
    let output = convolution(input, weight, None, options);
    if backward {
        drop(output.sum().backward());
    }
    start.elapsed().as_secs_f64() * 1e3
}
