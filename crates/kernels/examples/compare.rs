//! The time of each operation here and composed of burn's, measured in turns.
//!
//! ```text
//! cargo run --release -p libellus-kernels --example compare [NAME [alone]]
//! ```
//!
//! Lower quartiles in milliseconds, which other programs disturb least; the ratio is ours to burn's. With a first argument,
//! only operations whose name contains it. With `alone`, burn's are left out, whose way with memory and caches the next
//! operation feels.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::cell::RefCell;
use std::time::Instant;

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Distribution, Tensor, activation, module};
use libellus_kernels::{self as kernels, AdamAverages, AdamStep, Causal};

const TURNS: usize = 15;

/// Ours and burn's.
type Pair<const D: usize> = [fn(Tensor<D>) -> Tensor<D>; 2];

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    println!("{:44} {:>8} {:>8} {:>6}", "", "ours", "burn", "ratio");
    let wide: [(&str, Pair<3>); 7] = [
        ("gelu", [kernels::gelu, activation::gelu]),
        ("gelu_tanh", [kernels::gelu_tanh, activation::gelu_approximate]),
        ("quick_gelu", [kernels::quick_gelu, |x| x.clone() * activation::sigmoid(x * 1.702)]),
        ("silu", [kernels::silu, activation::silu]),
        ("sigmoid", [kernels::sigmoid, activation::sigmoid]),
        ("tanh", [kernels::tanh, activation::tanh]),
        ("exp", [kernels::exp, |x| x.exp()]),
    ];
    for (name, pair) in wide {
        compare(name, [8, 256, 3072], pair, &only);
    }
    compare("softmax", [8, 12, 256, 256], [kernels::softmax, |x| activation::softmax(x, 3)], &only);
    compare("log_softmax", [64, 50_257], [kernels::log_softmax, |x| activation::log_softmax(x, 1)], &only);
    compare("layer_norm", [8, 256, 768], [layer_norm, burn_layer_norm], &only);
    compare("rms_norm", [8, 256, 768], [rms_norm, burn_rms_norm], &only);
    compare("batch_norm_train", [32, 64, 56, 56], [batch_norm_train, burn_batch_norm_train], &only);
    compare("batch_norm", [32, 64, 56, 56], [batch_norm, burn_batch_norm], &only);
    let full: Pair<4> = [|x| attend(x, Causal::No), |x| burn_attend(x, Causal::No)];
    compare("attention", [8, 12, 256, 64], full, &only);
    let causal: Pair<4> = [|x| attend(x, Causal::Yes), |x| burn_attend(x, Causal::Yes)];
    compare("causal_attention", [8, 12, 256, 64], causal, &only);
    compare("causal_attention", [1, 12, 2048, 64], causal, &only);
    if "adam_step".contains(&only) {
        adam();
    }
}

fn layer_norm(x: Tensor<3>) -> Tensor<3> {
    let [gamma, beta] = scale_and_shift(&x, 2);
    kernels::layer_norm(x, gamma, Some(beta), 1e-5)
}

fn burn_layer_norm(x: Tensor<3>) -> Tensor<3> {
    let [gamma, beta] = scale_and_shift(&x, 2);
    module::layer_norm(x, gamma, Some(beta), 1e-5)
}

fn rms_norm(x: Tensor<3>) -> Tensor<3> {
    let [gamma, _] = scale_and_shift(&x, 2);
    kernels::rms_norm(x, gamma, 1e-5)
}

fn burn_rms_norm(x: Tensor<3>) -> Tensor<3> {
    let [gamma, _] = scale_and_shift(&x, 2);
    let rms = (x.clone().square().mean_dim(2) + 1e-5).sqrt();
    x / rms * gamma.unsqueeze()
}

fn batch_norm_train(x: Tensor<4>) -> Tensor<4> {
    let [gamma, beta] = scale_and_shift(&x, 1);
    kernels::batch_norm_train(x, gamma, beta, 1e-5).output
}

fn burn_batch_norm_train(x: Tensor<4>) -> Tensor<4> {
    let [gamma, beta] = scale_and_shift(&x, 1);
    module::batch_norm_train(x, gamma, beta, 1e-5).output
}

fn batch_norm(x: Tensor<4>) -> Tensor<4> {
    let ([gamma, beta], [variance, mean]) = (scale_and_shift(&x, 1), scale_and_shift(&x, 1));
    kernels::batch_norm(x, gamma, beta, mean.detach(), variance.detach(), 1e-5)
}

fn burn_batch_norm(x: Tensor<4>) -> Tensor<4> {
    let ([gamma, beta], [variance, mean]) = (scale_and_shift(&x, 1), scale_and_shift(&x, 1));
    module::batch_norm(x, gamma, beta, mean.detach(), variance.detach(), 1e-5)
}

/// Every token asks, answers and is looked at with the same vector.
fn attend(x: Tensor<4>, causal: Causal) -> Tensor<4> {
    kernels::attention(x.clone(), x.clone(), x, None, 0.125, causal)
}

fn burn_attend(x: Tensor<4>, causal: Causal) -> Tensor<4> {
    let options = AttentionModuleOptions { scale: None, softcap: None, is_causal: causal == Causal::Yes };
    module::attention(x.clone(), x.clone(), x, None, None, options)
}

/// Steps of AdamW on as many parameters as a ResNet-50 has.
fn adam() {
    let step = AdamStep { betas: [0.9, 0.999], shrink: 0.99999, decay: 0.0, size: 1e-3, eps: 1e-8 };
    let ours = |(parameter, averages), gradient| kernels::adam_step(parameter, gradient, averages, step);
    let burn = |(parameter, averages): (Tensor<2>, AdamAverages<2>), gradient: Tensor<2>| {
        let [beta1, beta2] = step.betas;
        let first = averages.first * beta1 + gradient.clone() * (1.0 - beta1);
        let second = averages.second * beta2 + gradient.square() * (1.0 - beta2);
        let update = first.clone() / (second.clone().sqrt() + step.eps) * step.size;
        (parameter * step.shrink - update, AdamAverages { first, second, largest: None })
    };
    let shape = [5_000, 5_040];
    let device = libellus_backend::testing::device();
    let gradient = Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let zeros = || Tensor::zeros(shape, &device);
    let start =
        || Some((gradient.clone() * 0.1, AdamAverages { first: zeros(), second: zeros(), largest: None }));
    let states = [RefCell::new(start()), RefCell::new(start())];
    let turn = |index: usize, update: &dyn Fn(State, Tensor<2>) -> State| {
        let state = states[index].take().expect("put back below");
        *states[index].borrow_mut() = Some(update(state, gradient.clone()));
    };
    print("adam_step/5000x5040", [&|| turn(0, &ours), &|| turn(1, &burn)]);
}

/// A parameter with what Adam remembers of it.
type State = (Tensor<2>, AdamAverages<2>);

/// Parameters of a norm for each index of dimension `dim`.
fn scale_and_shift<const D: usize>(x: &Tensor<D>, dim: usize) -> [Tensor<1>; 2] {
    let (size, device) = (x.dims()[dim], x.device());
    let parameters = [Tensor::ones([size], &device), Tensor::zeros([size], &device)];
    if device.is_autodiff() { parameters.map(|x| x.require_grad()) } else { parameters }
}

/// Forward, and forward and backward.
fn compare<const D: usize>(name: &str, shape: [usize; D], pair: Pair<D>, only: &str) {
    if !name.contains(only) {
        return;
    }
    let device = libellus_backend::testing::device();
    let name = format!("{name}/{}", shape.map(|size| size.to_string()).join("x"));
    report(&name, pair.map(|f| move |input| drop(f(input))), shape, &device);
    let backward = pair.map(|f| {
        move |input: Tensor<D>| {
            let input = input.require_grad();
            drop(f(input.clone()).sum().backward());
        }
    });
    report(&format!("{name} + backward"), backward, shape, &device.autodiff());
}

/// The two on a random input.
fn report<const D: usize>(name: &str, pair: [impl Fn(Tensor<D>); 2], shape: [usize; D], device: &Device) {
    let input = Tensor::<D>::random(shape, Distribution::Normal(0.0, 1.0), device);
    let [ours, burn] = &pair;
    print(name, [&|| ours(input.clone()), &|| burn(input.clone())]);
}

/// Runs the two in turns and prints a line.
fn print(name: &str, pair: [&dyn Fn(); 2]) {
    let mut times = [Vec::new(), Vec::new()];
    let alone = std::env::args().nth(2).is_some_and(|argument| argument == "alone");
    for _ in 0..TURNS {
        for (run, times) in pair.iter().zip(&mut times).take(if alone { 1 } else { 2 }) {
            let start = Instant::now();
            run();
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let [ours, burn] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times.get(TURNS / 4).copied().unwrap_or(f64::NAN)
    });
    println!("{name:44} {ours:8.2} {burn:8.2} {:6.3}", ours / burn);
}
