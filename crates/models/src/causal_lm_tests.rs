//! Properties that every language model has, with a cache and without.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use libellus_layers::KvCache;
use libellus_weights::{Checkpoint, Layout, LoadOptions, load, save};

use crate::testing::parameter_gradients;
use crate::{Architecture, CausalLm, Gpt2Config, LlamaConfig, Tensors};

/// What is the same sum, perhaps taken in another order: a few units of f32's rounding, of the largest value.
const REORDERED: f64 = 3e-6;

const BATCH: usize = 3;
const LENGTH: usize = 7;

/// Checks `$check(config, model)` for a tiny model of each kind.
macro_rules! for_each_model {
    ($device:expr, $check:ident) => {
        for config in [Gpt2Config::tiny(), Gpt2Config { bias: false, ..Gpt2Config::tiny() }] {
            $device.seed(11);
            $check(&config, &config.init(&$device).expect("a valid configuration"));
        }
        let scaled = crate::llama::LlamaRopeScaling {
            factor: 8.0,
            low_freq_factor: 0.5,
            high_freq_factor: 2.0,
            original_context: 13,
        };
        for config in [
            LlamaConfig::tiny(),
            LlamaConfig {
                attention_bias: true,
                tie_embeddings: false,
                rope_scaling: Some(scaled),
                ..LlamaConfig::tiny()
            },
        ] {
            $device.seed(11);
            $check(&config, &config.init(&$device).expect("a valid configuration"));
        }
    };
}

/// Tokens that look random.
fn tokens(batch: usize, length: usize, vocab_size: usize) -> Tensor<2, Int> {
    let scattered = (1..=(batch * length) as u32).map(|index| index.wrapping_mul(2_654_435_761) >> 7);
    let values: Vec<i64> = scattered.map(|bits| i64::from(bits) % vocab_size as i64).collect();
    Tensor::from_data(TensorData::new(values, [batch, length]), &device())
}

/// True at `real` places from the left (if `pad_right`) or from the right.
fn mask(real: [usize; BATCH], pad_right: bool) -> Tensor<2, Bool> {
    let values: Vec<bool> = real
        .iter()
        .flat_map(|&real| (0..LENGTH).map(move |at| if pad_right { at < real } else { at >= LENGTH - real }))
        .collect();
    Tensor::from_data(TensorData::new(values, [BATCH, LENGTH]), &device())
}

fn rows<const D: usize>(tensor: &Tensor<D>, row: usize, from: usize, count: usize) -> Tensor<D> {
    tensor.clone().narrow(0, row, 1).narrow(1, from, count)
}

#[track_caller]
fn assert_same<const D: usize>(actual: Tensor<D>, expected: Tensor<D>) {
    assert_close(&read(actual), &read(expected), REORDERED);
}

fn future_is_hidden<M: CausalLm>(_: &impl Architecture, model: &M) {
    let tokens = tokens(2, LENGTH, model.vocab_size());
    let changed = tokens.clone().slice_fill([0..2, 5..LENGTH], 1);
    let [before, after] = [tokens, changed].map(|tokens| model.forward(tokens));
    assert_same(after.clone().narrow(1, 0, 5), before.clone().narrow(1, 0, 5));
    assert_ne!(read(after.narrow(1, 5, 2)), read(before.narrow(1, 5, 2)));
}

#[test]
fn no_token_sees_the_future() {
    for_each_model!(device(), future_is_hidden);
}

fn padding_changes_nothing<M: CausalLm>(_: &impl Architecture, model: &M) {
    let tokens = tokens(BATCH, LENGTH, model.vocab_size());
    let real = [7, 4, 1];
    for pad_right in [false, true] {
        let together = model.forward_features(tokens.clone(), Some(mask(real, pad_right)));
        assert!(
            read(together.clone()).iter::<f32>().all(f32::is_finite),
            "padding makes numbers that aren't"
        );
        for (row, real) in real.into_iter().enumerate() {
            let from = if pad_right { 0 } else { LENGTH - real };
            let alone = tokens.clone().narrow(0, row, 1).narrow(1, from, real);
            assert_same(rows(&together, row, from, real), model.forward_features(alone, None));
        }
    }
}

#[test]
fn a_padded_batch_gives_what_its_sequences_give_alone() {
    for_each_model!(device(), padding_changes_nothing);
}

fn cached<M: CausalLm>(
    model: &M,
    tokens: &Tensor<2, Int>,
    chunks: &[usize],
    cache: &mut KvCache,
) -> Tensor<3> {
    let mut at = 0;
    let outputs = chunks.iter().map(|&chunk| {
        let new = tokens.clone().narrow(1, at, chunk);
        at += chunk;
        model.forward_cached(new, None, cache)
    });
    Tensor::cat(outputs.collect(), 1)
}

fn cache_changes_nothing<M: CausalLm>(_: &impl Architecture, model: &M) {
    let tokens = tokens(BATCH, LENGTH, model.vocab_size());
    let expected = model.forward_features(tokens.clone(), None);
    for chunks in [&[7][..], &[1; 7], &[3, 1, 2, 1], &[1, 6]] {
        let mut cache = model.new_cache(BATCH, 11);
        assert_same(cached(model, &tokens, chunks, &mut cache), expected.clone());
        assert_eq!([cache.len(), cache.remaining()], [7, 4]);
        // What was read last is read again.
        cache.truncate(5);
        let again = model.forward_cached(tokens.clone().narrow(1, 5, 2), None, &mut cache);
        assert_same(again, expected.clone().narrow(1, 5, 2));
    }
}

#[test]
fn with_a_cache_it_computes_the_same() {
    for_each_model!(device(), cache_changes_nothing);
}

#[test]
fn under_autodiff_the_cache_works_too() {
    let device = device().autodiff();
    let model = Gpt2Config::tiny().init(&device).expect("valid");
    let tokens = tokens(BATCH, LENGTH, 29).to_device(&device);
    let expected = model.forward_features(tokens.clone(), None);
    assert_same(cached(&model, &tokens, &[3, 1, 2, 1], &mut model.new_cache(BATCH, 11)), expected);
}

/// Prompts of different lengths, padded, and then the same number of tokens for each: as generating does.
fn cache_and_padding_change_nothing<M: CausalLm>(_: &impl Architecture, model: &M) {
    let prompts = tokens(BATCH, LENGTH, model.vocab_size());
    let next = tokens(BATCH, 4, model.vocab_size() - 1) + 1;
    let real = [7, 4, 1];
    for pad_right in [false, true] {
        let mask = mask(real, pad_right);
        let mut cache = model.new_cache(BATCH, 11);
        // The prompts in two parts, each with its part of the mask.
        let parts = [(0, 3), (3, 4)].map(|(from, count)| {
            let part = prompts.clone().narrow(1, from, count);
            model.forward_cached(part, Some(mask.clone().narrow(1, from, count)), &mut cache)
        });
        let prompted = Tensor::cat(parts.to_vec(), 1);
        let steps = cached(model, &next, &[1, 1, 2], &mut cache);
        for (row, real) in real.into_iter().enumerate() {
            let from = if pad_right { 0 } else { LENGTH - real };
            let alone = Tensor::cat(
                vec![prompts.clone().narrow(0, row, 1).narrow(1, from, real), next.clone().narrow(0, row, 1)],
                1,
            );
            let expected = model.forward_features(alone, None);
            assert_same(rows(&prompted, row, from, real), rows(&expected, 0, 0, real));
            assert_same(rows(&steps, row, 0, 4), rows(&expected, 0, real, 4));
        }
    }
}

#[test]
fn with_a_cache_padded_sequences_go_on_as_alone() {
    for_each_model!(device(), cache_and_padding_change_nothing);
}

/// As beams that go on, repeat and end, or a prompt with several continuations.
fn rows_can_be_chosen<M: CausalLm>(_: &impl Architecture, model: &M) {
    let prompts = tokens(BATCH, LENGTH, model.vocab_size());
    let mut cache = model.new_cache(BATCH, 11);
    model.forward_cached(prompts.clone(), Some(mask([7, 4, 5], false)), &mut cache);
    let chosen = [1, 2, 1, 1];
    cache.select(&chosen);
    let next = tokens(chosen.len(), 2, model.vocab_size());
    let steps = cached(model, &next, &[1, 1], &mut cache);
    for (row, (from, real)) in [(1, 4), (2, 5), (1, 4), (1, 4)].into_iter().enumerate() {
        let prompt = prompts.clone().narrow(0, from, 1).narrow(1, LENGTH - real, real);
        let alone = Tensor::cat(vec![prompt, next.clone().narrow(0, row, 1)], 1);
        assert_same(rows(&steps, row, 0, 2), model.forward_features(alone, None).narrow(1, real, 2));
    }
}

#[test]
fn rows_of_a_cache_go_on_where_they_were() {
    for_each_model!(device(), rows_can_be_chosen);
}

/// A scalar that depends on each logit in its own way.
fn scalar(logits: Tensor<3>) -> Tensor<1> {
    let shape = logits.dims();
    let weights: Vec<f32> = (0..shape.iter().product()).map(|index: usize| (index as f32).sin()).collect();
    let weights = Tensor::<3>::from_data(TensorData::new(weights, shape), &logits.device());
    (logits * weights).sum()
}

fn gradients_are_there<M: CausalLm + Module>(_: &impl Architecture, model: &M) {
    let tokens = tokens(BATCH, LENGTH, model.vocab_size()).to_device(&device().autodiff());
    let gradients = scalar(model.forward(tokens)).backward();
    let found = parameter_gradients(model, &gradients);
    assert!(!found.is_empty());
    for gradient in found {
        let values = gradient.values.unwrap_or_else(|| panic!("{} has no gradient", gradient.name));
        assert!(values.iter::<f32>().all(f32::is_finite), "{}", gradient.name);
        assert!(values.iter::<f32>().any(|value| value != 0.0), "{}", gradient.name);
    }
}

#[test]
fn every_parameter_gets_a_finite_gradient_that_is_not_zero() {
    for_each_model!(device().autodiff(), gradients_are_there);
}

fn files_change_nothing<C>(config: &C, model: &C::Model)
where
    C: Architecture + Init,
    C::Model: CausalLm,
{
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let tokens = tokens(2, 5, model.vocab_size());
    let expected = read(model.forward(tokens.clone()));
    for layout in config.layouts().iter().chain([&Layout::NATIVE]) {
        save(model, &path, layout, &BTreeMap::new()).expect("a writable folder");
        let checkpoint = Checkpoint::open(&path).expect("what was just written");
        device().seed(12);
        let fresh = config.fresh(&device());
        assert_ne!(read(fresh.forward(tokens.clone())), expected);
        let loaded =
            load(fresh, &checkpoint, layout, &LoadOptions::default()).expect("the same architecture");
        assert_eq!(read(loaded.forward(tokens.clone())), expected, "as {}", layout.name);
    }
}

/// `init` is each configuration's own function.
trait Init: Architecture {
    fn fresh(&self, device: &Device) -> Self::Model;
}

impl Init for Gpt2Config {
    fn fresh(&self, device: &Device) -> Self::Model {
        self.init(device).expect("a valid configuration")
    }
}

impl Init for LlamaConfig {
    fn fresh(&self, device: &Device) -> Self::Model {
        self.init(device).expect("a valid configuration")
    }
}

#[test]
fn a_saved_and_loaded_model_gives_the_same() {
    for_each_model!(device(), files_change_nothing);
}

fn inputs_are_checked<C: Architecture>(config: &C, model: &C::Model)
where
    C::Model: CausalLm,
{
    let tokens = tokens(BATCH, LENGTH, model.vocab_size());
    let outputs = config.run(model, &Tensors::new().with("tokens", tokens.clone())).expect("valid inputs");
    assert_eq!(outputs.get("logits"), Some(&read(model.forward(tokens.clone()))));
    assert_eq!(outputs.get("hidden"), Some(&read(model.forward_features(tokens.clone(), None))));

    let padding = mask([7, 4, 1], true);
    let inputs = Tensors::new().with("tokens", tokens.clone()).with("mask", padding.clone().int());
    let outputs = config.run(model, &inputs).expect("valid inputs");
    assert_eq!(outputs.get("hidden"), Some(&read(model.forward_features(tokens.clone(), Some(padding)))));

    let error = |inputs: Tensors| config.run(model, &inputs).expect_err("wrong inputs").to_string();
    let short = Tensor::<2, Int>::ones([BATCH, 2], &device());
    assert_eq!(
        error(Tensors::new().with("tokens", tokens.clone()).with("mask", short)),
        "dimension 1 of input `mask` must be 7, not shape [3, 2]"
    );
    assert_eq!(
        error(Tensors::new().with("tokens", Tensor::<2, Int>::zeros([1, 18], &device()))),
        "dimension 1 of input `tokens` must be between 1 and 17, not shape [1, 18]"
    );
    assert_eq!(
        error(Tensors::new().with("tokens", Tensor::<2, Int>::full([1, 2], 29, &device()))),
        "element 0 of input `tokens` is 29; it must be at least 0 and less than 29"
    );
}

#[test]
fn inputs_from_outside_are_checked() {
    for_each_model!(device(), inputs_are_checked);
}

#[test]
fn nothing_is_dropped_in_evaluation() {
    let training = device().autodiff();
    training.seed(11);
    let gpt2 = Gpt2Config { dropout: 0.5, ..Gpt2Config::tiny() }.init(&training).expect("valid");
    let llama = LlamaConfig { dropout: 0.5, ..LlamaConfig::tiny() }.init(&training).expect("valid");
    check(&gpt2);
    check(&llama);

    fn check<M: CausalLm + Module>(model: &M) {
        let tokens = tokens(BATCH, LENGTH, model.vocab_size());
        let training = tokens.clone().to_device(&device().autodiff());
        let outputs = [0, 1].map(|_| read(model.forward(training.clone())));
        assert_ne!(outputs[0], outputs[1]);
        let frozen = model.clone().freeze();
        let outputs = [0, 1].map(|_| read(frozen.forward(training.clone())));
        assert_eq!(outputs[0], outputs[1]);
        let model = model.valid();
        assert_eq!(read(model.forward(tokens.clone())), read(model.forward(tokens)));
    }
}

#[test]
#[should_panic(expected = "a cache of 18 tokens exceeds the context of 17")]
fn no_cache_exceeds_the_context() {
    Gpt2Config::tiny().init(&device()).expect("valid").new_cache(1, 18);
}
