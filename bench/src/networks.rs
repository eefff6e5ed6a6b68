//! Whole networks: inference, and steps of training.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Int, Tensor};
use libellus_losses::{CrossEntropy, CrossEntropyConfig};
use libellus_models::{
    CausalLm, ClassifierConfig, Gpt2, Gpt2Config, ModelConfig, Precision, PrepareInference, Prepared, preset,
};
use libellus_optim::{AdamWConfig, DecayPolicy, OptimizerConfig, SgdConfig};

use crate::case::{Case, finish};
use crate::operations::random;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in [
        "resnet18",
        "resnet50",
        "mobilenet_v2",
        "vit_tiny_patch16_224",
        "vit_small_patch16_224",
        "convnext_tiny",
    ] {
        for batch in [1, 8] {
            cases.push(classify(name, batch, "", Precision::F32));
            if matches!(name, "resnet50" | "vit_small_patch16_224") {
                cases.push(classify(name, batch, "/bf16", Precision::Bf16));
            }
        }
    }
    let sgd = || OptimizerConfig::Sgd(SgdConfig::default());
    let adamw = || OptimizerConfig::AdamW(AdamWConfig::default());
    cases.push(train_classifier("resnet18", sgd));
    cases.push(train_classifier("vit_tiny_patch16_224", adamw));
    cases.push(Case::new("nanogpt-char/train/4x256", move |device| {
        let device = device.clone().autodiff();
        let config = Gpt2Config { dropout: 0.0, ..language_model("nanogpt-char") };
        let vocabulary = config.vocab_size;
        let model = config.init(&device).expect("valid");
        let (tokens, next) = (tokens([4, 256], vocabulary, &device), tokens([1024, 1], vocabulary, &device));
        let loss = cross_entropy();
        step(model, adamw(), move |model| {
            let logits = model.forward(tokens.clone()).reshape([1024, vocabulary]);
            loss.forward(logits, next.clone().squeeze_dim(1))
        })
    }));
    for (suffix, precision) in [("", Precision::F32), ("/bf16", Precision::Bf16), ("/q8", Precision::Q8)] {
        cases.push(Case::new(format!("gpt2/prefill_256{suffix}"), move |device| {
            let model = gpt2(precision, device);
            let prompt = tokens([1, 256], 50257, device);
            move || {
                let mut cache = model.new_cache(1, 512);
                let features = model.forward_cached(prompt.clone(), None, &mut cache);
                finish(model.logits(features.narrow(1, 255, 1)));
            }
        }));
        cases.push(Case::new(format!("gpt2/decode_after_256{suffix}"), move |device| {
            let model = gpt2(precision, device);
            let (prompt, token) = (tokens([1, 256], 50257, device), tokens([1, 1], 50257, device));
            let mut cache = model.new_cache(1, 512);
            finish(model.forward_cached(prompt, None, &mut cache));
            move || {
                if cache.len() == 272 {
                    cache.truncate(256);
                }
                finish(model.logits(model.forward_cached(token.clone(), None, &mut cache)));
            }
        }));
    }
    cases
}

fn classify(name: &'static str, batch: usize, suffix: &str, precision: Precision) -> Case {
    Case::new(format!("{name}/b{batch}{suffix}"), move |device| {
        let model = classifier(name).init(device).expect("valid").prepare_inference_in(precision);
        let images = random([batch, 3, 224, 224], device);
        move || finish(model.forward(images.clone()))
    })
}

fn gpt2(precision: Precision, device: &Device) -> Prepared<Gpt2> {
    language_model("gpt2").init(device).expect("valid").prepare_generation_in(precision)
}

fn classifier(name: &str) -> ClassifierConfig {
    match preset(name).expect("a preset").config() {
        ModelConfig::Classifier(config) => config,
        _ => unreachable!("{name} classifies images"),
    }
}

fn language_model(name: &str) -> Gpt2Config {
    match preset(name).expect("a preset").config() {
        ModelConfig::Gpt2(config) => config,
        _ => unreachable!("{name} is a GPT-2"),
    }
}

fn tokens<const D: usize>(shape: [usize; D], vocabulary: usize, device: &Device) -> Tensor<D, Int> {
    Tensor::random(shape, Distribution::Uniform(0.0, (vocabulary - 1) as f64), device)
}

fn cross_entropy() -> CrossEntropy {
    CrossEntropyConfig { label_smoothing: 0.0 }.init().expect("valid")
}

fn train_classifier(name: &'static str, optimizer: fn() -> OptimizerConfig) -> Case {
    Case::new(format!("{name}/train/b8"), move |device| {
        let device = device.clone().autodiff();
        let model = classifier(name).init(&device).expect("valid");
        let (images, labels) = (random([8, 3, 224, 224], &device), tokens([8], 1000, &device));
        let loss = cross_entropy();
        step(model, optimizer(), move |model| loss.forward(model.forward(images.clone()), labels.clone()))
    })
}

/// A step of training.
fn step<M: Module + 'static>(
    model: M,
    optimizer: OptimizerConfig,
    loss: impl Fn(&M) -> Tensor<1> + 'static,
) -> impl FnMut() {
    let mut optimizer = optimizer.init(DecayPolicy::All).expect("valid");
    let mut model = Some(model);
    move || {
        let before = model.take().expect("put back below");
        let gradients = GradientsParams::from_grads(loss(&before).backward(), &before);
        model = Some(optimizer.step(1e-4, before, gradients));
    }
}
