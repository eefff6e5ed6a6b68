use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use libellus_layers::NormPlacement;
use libellus_weights::{Checkpoint, Layout, LoadOptions, load, save};

use super::{
    Memory, OutputLayer, PYTORCH, Transformer, TransformerConfig, TransformerInput, sinusoidal_positions,
};
use crate::testing::{Golden, parameter_gradients};
use crate::{Architecture, Tensors};

/// Both placements of the normalisation, both output layers.
fn configs() -> [TransformerConfig; 2] {
    let post = TransformerConfig {
        norm_placement: NormPlacement::Post,
        final_norm: false,
        output: OutputLayer::Separate,
        ..TransformerConfig::tiny()
    };
    [TransformerConfig::tiny(), post]
}

fn init(config: &TransformerConfig, device: &Device) -> Transformer {
    device.seed(11);
    config.init(device).expect("a valid configuration")
}

fn tokens(rows: &[&[i64]], device: &Device) -> Tensor<2, Int> {
    let values: Vec<i64> = rows.concat();
    Tensor::from_data(TensorData::new(values, [rows.len(), rows[0].len()]), device)
}

/// True for the first `lengths[b]` of `length` tokens.
fn mask(lengths: &[usize], length: usize, device: &Device) -> Tensor<2, Bool> {
    let flags: Vec<bool> =
        lengths.iter().flat_map(|&real| (0..length).map(move |index| index < real)).collect();
    Tensor::from_data(TensorData::new(flags, [lengths.len(), length]), device)
}

fn unmasked(source: Tensor<2, Int>, target: Tensor<2, Int>) -> TransformerInput {
    TransformerInput { source, target, source_mask: None, target_mask: None }
}

fn assert_agrees_with_pytorch(name: &str, config: &TransformerConfig) {
    let golden = Golden::open(name);
    let input = |device: &Device| {
        let ints = |key| golden.tensor::<2>(key, device).int();
        TransformerInput {
            source: ints("source"),
            target: ints("target"),
            source_mask: Some(ints("source_mask").equal_elem(1)),
            target_mask: Some(ints("target_mask").equal_elem(1)),
        }
    };
    let plain = device();
    let model = golden.load(init(config, &plain), &PYTORCH);
    let output = model.forward(input(&plain));
    golden.check("eval.memory", output.memory);
    golden.check("eval.logits", output.logits);

    let device = plain.autodiff();
    let model = golden.load(init(config, &device), &PYTORCH);
    let logits = model.forward(input(&device)).logits;
    let gradients = (logits * golden.tensor("coefficients", &device)).sum().backward();
    let gradient = |weights: Tensor<2>| weights.grad(&gradients).expect("required");
    golden.check("gradient.embedding", gradient(model.embedding.weight.val()));
    golden.check(
        "gradient.encoder.layers.0.self_attn",
        gradient(model.encoder.layers[0].attn.qkv.weight.val()),
    );
    golden.check(
        "gradient.decoder.layers.1.multihead_attn.key",
        gradient(model.decoder.layers[1].cross_attn.key.weight.val()),
    );
}

#[test]
fn with_normalisation_first_agrees_with_pytorch() {
    assert_agrees_with_pytorch("transformer_pre", &configs()[0]);
}

#[test]
fn with_normalisation_last_agrees_with_pytorch() {
    assert_agrees_with_pytorch("transformer_post", &configs()[1]);
}

#[test]
fn positions_are_the_formulas() {
    let golden = Golden::open("transformer_pre");
    golden.check("positions", sinusoidal_positions(7, 10, &device()));
    // Far out, where an angle in f32 would be off by 1e-3; an odd width ends with a sine.
    let late = sinusoidal_positions(10_001, 3, &device()).narrow(0, 10_000, 1);
    let expected = [10_000.0_f64.sin(), 10_000.0_f64.cos(), (10_000.0 / 10_000.0_f64.powf(2.0 / 3.0)).sin()];
    assert_close(&read(late), &[expected.map(|value| value as f32)].into(), 1e-6);
}

#[test]
fn parameters_are_those_of_the_paper_s_sizes() {
    let device = device();
    // torch.nn.Transformer without its final normalisations, and 37,000 embeddings.
    for (config, count) in [
        (TransformerConfig::transformer_base(), 44_140_544 - 4 * 512 + 37_000 * 512),
        (TransformerConfig::transformer_big(), 176_361_472 - 4 * 1024 + 37_000 * 1024),
    ] {
        assert_eq!(init(&config, &device).num_params(), count, "{config:?}");
    }
}

#[test]
fn the_future_of_the_target_is_hidden() {
    let device = device();
    for config in configs() {
        let model = init(&config, &device);
        let source = tokens(&[&[3, 1, 4, 1, 5, 9, 2]], &device);
        let logits =
            |target: &[i64]| model.forward(unmasked(source.clone(), tokens(&[target], &device))).logits;
        let whole = logits(&[0, 6, 5, 3, 5]);
        let other = logits(&[0, 6, 5, 8, 9]);
        let short = logits(&[0, 6, 5]);
        assert_eq!(read(whole.clone().narrow(1, 0, 3)), read(other.clone().narrow(1, 0, 3)), "{config:?}");
        assert_ne!(read(whole.clone().narrow(1, 3, 1)), read(other.narrow(1, 3, 1)), "{config:?}");
        // The same sums but for terms that are zero: a few units of f32's rounding.
        assert_close(&read(whole.narrow(1, 0, 3)), &read(short), 2e-6);
    }
}

#[test]
fn a_padded_batch_gives_what_its_pairs_give_alone() {
    let device = device();
    for config in configs() {
        let model = init(&config, &device);
        let source = tokens(&[&[3, 1, 4, 1, 5], &[9, 2, 0, 0, 0]], &device);
        let target = tokens(&[&[0, 6, 0], &[0, 5, 8]], &device);
        let (sources, targets) = ([5, 2], [2, 3]);
        let together = model.forward(TransformerInput {
            source: source.clone(),
            target: target.clone(),
            source_mask: Some(mask(&sources, 5, &device)),
            target_mask: Some(mask(&targets, 3, &device)),
        });
        for index in 0..2 {
            let row =
                |tokens: &Tensor<2, Int>, length| tokens.clone().narrow(0, index, 1).narrow(1, 0, length);
            let alone = model.forward(unmasked(row(&source, sources[index]), row(&target, targets[index])));
            let found = together.logits.clone().narrow(0, index, 1).narrow(1, 0, targets[index]);
            assert_close(&read(found), &read(alone.logits), 2e-6);
            let found = together.memory.clone().narrow(0, index, 1).narrow(1, 0, sources[index]);
            assert_close(&read(found), &read(alone.memory), 2e-6);
        }
    }
}

/// As in a beam search: one source, read once, and its rows repeated.
#[test]
fn a_memory_serves_several_targets() {
    let device = device();
    let model = init(&TransformerConfig::tiny(), &device);
    let source = tokens(&[&[3, 1, 4, 0, 0]], &device);
    let memory = model.encode(source, Some(mask(&[3], 5, &device)));
    let beams = Memory {
        tokens: memory.tokens.clone().repeat_dim(0, 2),
        mask: memory.mask.clone().map(|mask| mask.repeat_dim(0, 2)),
    };
    let together = model.decode(tokens(&[&[0, 6], &[0, 7]], &device), None, &beams);
    let alone = model.decode(tokens(&[&[0, 7]], &device), None, &memory);
    assert_close(&read(together.narrow(0, 1, 1)), &read(alone), 2e-6);
}

#[test]
fn step_by_step_with_a_cache_gives_the_same() {
    let device = device();
    for config in configs() {
        let model = init(&config, &device);
        let source = tokens(&[&[3, 1, 4, 1, 5], &[9, 2, 0, 0, 0]], &device);
        let memory = model.encode(source, Some(mask(&[5, 2], 5, &device)));
        let target = tokens(&[&[0, 6, 7, 2, 11], &[0, 5, 8, 1, 3]], &device);
        let whole = model.decode(target.clone(), None, &memory);
        let mut cache = model.new_cache(&memory, 7);
        let mut start = 0;
        for length in [2, 1, 2] {
            let part = model.decode_cached(target.clone().narrow(1, start, length), None, &mut cache);
            assert_close(&read(part), &read(whole.clone().narrow(1, start, length)), 2e-6);
            start += length;
        }
        assert_eq!([cache.target().len(), cache.target().remaining()], [5, 2]);
    }
}

/// Prompts of different lengths, padded in front; then two beams that both continue the second sequence.
#[test]
fn a_cache_knows_padding_and_beams() {
    let device = device();
    let model = init(&TransformerConfig::tiny(), &device);
    let source = tokens(&[&[3, 1, 4, 1, 5], &[9, 2, 0, 0, 0]], &device);
    let memory = model.encode(source.clone(), Some(mask(&[5, 2], 5, &device)));
    let mut cache = model.new_cache(&memory, 5);
    let real = mask(&[1, 3], 3, &device).flip([1]);
    model.decode_cached(tokens(&[&[12, 12, 0], &[0, 5, 8]], &device), Some(real), &mut cache);
    cache.select(&[1, 1]);
    let next = model.decode_cached(tokens(&[&[7], &[2]], &device), None, &mut cache);

    let alone = model.encode(source.narrow(0, 1, 1).narrow(1, 0, 2), None);
    for (beam, token) in [(0, 7), (1, 2)] {
        let logits = model.decode(tokens(&[&[0, 5, 8, token]], &device), None, &alone);
        assert_close(&read(next.clone().narrow(0, beam, 1)), &read(logits.narrow(1, 3, 1)), 2e-6);
    }

    // The first one, whose prompt was padded.
    let mut cache = model.new_cache(&memory, 5);
    let real = mask(&[1, 3], 3, &device).flip([1]);
    model.decode_cached(tokens(&[&[12, 12, 0], &[0, 5, 8]], &device), Some(real), &mut cache);
    let next = model.decode_cached(tokens(&[&[6], &[2]], &device), None, &mut cache);
    let alone = model.encode(tokens(&[&[3, 1, 4, 1, 5]], &device), None);
    let logits = model.decode(tokens(&[&[0, 6]], &device), None, &alone);
    assert_close(&read(next.narrow(0, 0, 1)), &read(logits.narrow(1, 1, 1)), 2e-6);
}

#[test]
fn every_parameter_gets_a_finite_gradient_that_is_not_zero() {
    let device = device().autodiff();
    for config in configs() {
        let model = init(&config, &device);
        let source = tokens(&[&[3, 1, 4, 1, 5], &[9, 2, 6, 5, 3]], &device);
        let target = tokens(&[&[0, 6, 7], &[0, 5, 8]], &device);
        let logits = model.forward(unmasked(source, target)).logits;
        let gradients = logits.square().sum().backward();
        for gradient in parameter_gradients(&model, &gradients) {
            let values = gradient.values.unwrap_or_else(|| panic!("{} has no gradient", gradient.name));
            assert!(values.iter::<f32>().all(f32::is_finite), "{}", gradient.name);
            // A bias of the keys moves all scores of a query alike, so that rounding alone is left.
            let idle = gradient.name.ends_with("cross_attn.key.bias");
            assert!(idle || values.iter::<f32>().any(|value| value != 0.0), "{}", gradient.name);
        }
    }
}

#[test]
fn dropout_acts_in_training_only() {
    let plain = device();
    let config = TransformerConfig { dropout: 0.5, ..TransformerConfig::tiny() };
    let model = init(&config, &plain.clone().autodiff());
    let logits = |model: &Transformer, device: &Device| {
        let (source, target) = (tokens(&[&[3, 1, 4]], device), tokens(&[&[0, 6]], device));
        read(model.forward(unmasked(source, target)).logits)
    };
    let training = plain.clone().autodiff();
    assert_ne!(logits(&model, &training), logits(&model, &training));
    let model = model.valid();
    assert_eq!(logits(&model, &plain), logits(&model, &plain));
}

#[test]
fn a_saved_and_loaded_model_gives_the_same() {
    let device = device();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    for config in configs() {
        for layout in config.layouts().into_iter().chain([Layout::NATIVE]) {
            let model = init(&config, &device);
            save(&model, &path, &layout, &BTreeMap::new()).expect("a writable folder");
            let written = Checkpoint::open(&path).expect("what was just written");
            device.seed(12);
            let fresh = config.init(&device).expect("a valid configuration");
            let loaded =
                load(fresh, &written, &layout, &LoadOptions::default()).expect("the same architecture");
            let logits = |model: &Transformer| {
                let input = unmasked(tokens(&[&[3, 1, 4]], &device), tokens(&[&[0, 6]], &device));
                read(model.forward(input).logits)
            };
            assert_eq!(logits(&loaded), logits(&model), "{config:?} as {}", layout.name);
        }
    }
}

#[test]
fn runs_on_named_tensors() {
    let config = TransformerConfig::tiny();
    let model = init(&config, &device());
    let inputs = |source: &[&[i64]], target: &[&[i64]]| {
        Tensors::new().with("source", tokens(source, &device())).with("target", tokens(target, &device()))
    };
    let outputs = config.run(&model, &inputs(&[&[3, 1, 4]], &[&[0, 6]])).expect("valid tokens");
    assert_eq!(outputs.get("memory").expect("an output").shape().as_slice(), [1, 3, 10]);
    assert_eq!(outputs.get("logits").expect("an output").shape().as_slice(), [1, 2, 13]);
    let padded =
        inputs(&[&[3, 1, 4, 0]], &[&[0, 6]]).with("source_mask", tokens(&[&[1, 1, 1, 0]], &device()));
    let padded = config.run(&model, &padded).expect("a valid mask");
    assert_close(padded.get("logits").expect("an output"), outputs.get("logits").expect("an output"), 2e-6);

    let error = |inputs: Tensors| config.run(&model, &inputs).expect_err("wrong inputs").to_string();
    assert_eq!(
        error(inputs(&[&[3, 1]], &[&[0], &[0]])),
        "dimension 0 of input `target` must be 1, not shape [2, 1]"
    );
    assert_eq!(
        error(inputs(&[&[3, 13]], &[&[0]])),
        "element 1 of input `source` is 13; it must be at least 0 and less than 13"
    );
}

#[test]
fn what_is_wrong_is_named() {
    let error =
        |config: TransformerConfig| config.init(&device()).expect_err("a wrong configuration").to_string();
    assert_eq!(
        error(TransformerConfig { n_heads: 3, ..TransformerConfig::tiny() }),
        "`d_model` (10) must be a multiple of `n_heads` (3)"
    );
    assert_eq!(
        error(TransformerConfig { n_decoder_layers: 0, ..TransformerConfig::tiny() }),
        "`n_decoder_layers` must be between 1 and 256, not 0"
    );
    assert_eq!(
        error(TransformerConfig { dropout: 1.5, ..TransformerConfig::tiny() }),
        "`dropout` must be at least 0 and less than 1, not 1.5"
    );
}
