use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use libellus_layers::trace::{Event, record};
use libellus_weights::{Checkpoint, Layout, LoadOptions, load, save};

use super::{GruAttention, GruAttentionConfig, PYTORCH};
use crate::Architecture;
use crate::testing::{Golden, images, parameter_gradients};
use crate::transformer::{OutputLayer, TransformerInput};

/// Both output layers, an encoder of one layer and one of two.
fn configs() -> [GruAttentionConfig; 2] {
    let separate =
        GruAttentionConfig { n_layers: 1, output: OutputLayer::Separate, ..GruAttentionConfig::tiny() };
    [GruAttentionConfig::tiny(), separate]
}

fn init(config: &GruAttentionConfig, device: &Device) -> GruAttention {
    device.seed(11);
    config.init(device).expect("a valid configuration")
}

fn tokens(rows: &[&[i64]], device: &Device) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(rows.concat(), [rows.len(), rows[0].len()]), device)
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

/// Three sources of up to five tokens and targets of up to four.
const SOURCES: [usize; 3] = [5, 2, 1];
const TARGETS: [usize; 3] = [2, 4, 3];

/// `padding` stands in every place that is hidden.
fn padded(padding: i64, device: &Device) -> TransformerInput {
    let p = padding;
    TransformerInput {
        source: tokens(&[&[3, 1, 4, 1, 5], &[9, 2, p, p, p], &[6, p, p, p, p]], device),
        target: tokens(&[&[0, 6, p, p], &[0, 5, 8, 7], &[0, 11, 12, p]], device),
        source_mask: Some(mask(&SOURCES, 5, device)),
        target_mask: Some(mask(&TARGETS, 4, device)),
    }
}

fn assert_agrees_with_pytorch(name: &str, config: &GruAttentionConfig) {
    let golden = Golden::open(name);
    let input = |device: &Device| {
        let ints = |key| golden.ints(key, device);
        TransformerInput {
            source: ints("source"),
            target: ints("target"),
            source_mask: Some(ints("source_mask").equal_elem(1)),
            target_mask: Some(ints("target_mask").equal_elem(1)),
        }
    };
    let plain = device();
    let model = golden.load(init(config, &plain), &PYTORCH);
    let (logits, events) = record(|| model.forward(input(&plain)));
    golden.check_taps(&events, &["decoder", "decoder.attention"]);
    golden.check("eval.logits", logits);
    golden.check("eval.weights", model.attention_map(input(&plain)));
    // PyTorch has zeros where the source is padding.
    let TransformerInput { source, source_mask, .. } = input(&plain);
    let memory = model.encode(source, source_mask.clone());
    let real = source_mask.expect("there is one").float().unsqueeze_dim(2);
    golden.check("eval.memory", memory.tokens * real);

    let device = plain.autodiff();
    let model = golden.load(init(config, &device), &PYTORCH);
    let logits = model.forward(input(&device));
    let gradients = (logits * golden.tensor("coefficients", &device)).sum().backward();
    let check = |key: &str, weights: Tensor<2>| {
        // The query's gradient is a sum over the source of terms ten times as large, those of the key's, which cancel: PyTorch
        // in f32 is 5e-6 off where it is at most 1e-6 off elsewhere.
        let tolerance = if key == "query" { 2e-5 } else { 1e-5 };
        golden.check_within(
            &format!("gradient.{key}"),
            weights.grad(&gradients).expect("required"),
            tolerance,
        );
    };
    check("embedding", model.embedding.weight.val());
    let [first, .., last] = [0, config.n_layers - 1].map(|layer| &model.encoder.layers[layer]);
    let last_key = format!("encoder.weight_ih_l{}", config.n_layers - 1);
    check(&last_key, last.forward.layers[0].forward.weight_ih.val());
    check("encoder.weight_hh_l0_reverse", first.reverse.layers[0].forward.weight_hh.val());
    let decoder = &model.decoder;
    for (key, linear) in [
        ("initial", &decoder.initial),
        ("query", &decoder.attention.query),
        ("key", &decoder.attention.key),
        ("score", &decoder.attention.score),
        ("cell.token", &decoder.token_gates),
        ("cell.context", &decoder.context_gates),
        ("readout", &model.readout),
    ] {
        check(key, linear.weight.val());
    }
    let bias = decoder.state_gates.bias.as_ref().expect("it has one");
    golden.check("gradient.cell.bias_hh", bias.grad(&gradients).expect("required"));
}

#[test]
fn two_layers_agree_with_pytorch() {
    assert_agrees_with_pytorch("gru_attention", &configs()[0]);
}

#[test]
fn an_output_of_its_own_agrees_with_pytorch() {
    assert_agrees_with_pytorch("gru_attention_separate", &configs()[1]);
}

#[test]
fn parameters_are_those_of_the_papers_sizes() {
    let count = |config: GruAttentionConfig| config.init(&device()).expect("valid").num_params();
    // nn.GRU(620, 1000, bidirectional=True), nn.GRUCell(2620, 1000), the first state, the attention, and what the output needs.
    let (encoder, cell) = (9_732_000, 10_866_000);
    let (initial, attention) = (1_001_000, 1_000_000 + 2_001_000 + 1000);
    let output = 3620 * 620 + 620 + 620 * 30_000 + 30_000;
    let total = 30_000 * 620 + encoder + cell + initial + attention + output;
    assert_eq!(total, 64_076_020);
    assert_eq!(count(GruAttentionConfig::rnnsearch()), total);
    // sum(p.numel() for p in RnnSearch(2, True).parameters()) in the script of the golden files.
    assert_eq!(count(GruAttentionConfig::tiny()), 2_559);
}

#[test]
fn a_padded_batch_gives_what_its_pairs_give_alone() {
    let device = device();
    for config in configs() {
        let model = init(&config, &device);
        let TransformerInput { source, target, source_mask, .. } = padded(0, &device);
        let together = model.forward(padded(0, &device));
        let memory = model.encode(source.clone(), source_mask);
        for (index, (source_length, target_length)) in SOURCES.into_iter().zip(TARGETS).enumerate() {
            let row =
                |tokens: &Tensor<2, Int>, length| tokens.clone().narrow(0, index, 1).narrow(1, 0, length);
            let alone = unmasked(row(&source, source_length), row(&target, target_length));
            // The same sums, which may be taken in another order.
            let found = together.clone().narrow(0, index, 1).narrow(1, 0, target_length);
            assert_close(&read(found), &read(model.forward(alone)), 2e-6);
            let alone = model.encode(row(&source, source_length), None);
            let found = memory.tokens.clone().narrow(0, index, 1).narrow(1, 0, source_length);
            assert_close(&read(found), &read(alone.tokens), 2e-6);
        }
    }
}

#[test]
fn what_stands_in_the_padding_changes_nothing() {
    let device = device();
    for config in configs() {
        let model = init(&config, &device);
        let logits = |padding| {
            let hidden = mask(&TARGETS, 4, &device).bool_not().unsqueeze_dim::<3>(2).expand([3, 4, 13]);
            let logits = model.forward(padded(padding, &device)).mask_fill(hidden, 0.0);
            (read(logits), read(model.attention_map(padded(padding, &device)).narrow(1, 0, 2)))
        };
        assert_eq!(logits(0), logits(10));
    }
}

/// A source of nothing but padding has no meaning, but it must not spoil the gradients of the others in its batch.
#[test]
fn nothing_but_padding_is_finite() {
    let device = device().autodiff();
    let model = init(&GruAttentionConfig::tiny(), &device);
    let input = TransformerInput { source_mask: Some(mask(&[5, 0, 1], 5, &device)), ..padded(0, &device) };
    let logits = model.forward(input);
    let gradients = logits.clone().square().sum().backward();
    assert!(read(logits).iter::<f32>().all(f32::is_finite));
    for gradient in parameter_gradients(&model, &gradients) {
        let values = gradient.values.unwrap_or_else(|| panic!("{} has no gradient", gradient.name));
        assert!(values.iter::<f32>().all(f32::is_finite), "{}", gradient.name);
    }
}

#[test]
fn the_map_of_the_attention_has_rows_of_weights() {
    let device = device();
    for config in configs() {
        let model = init(&config, &device);
        let map = model.attention_map(padded(0, &device));
        assert_eq!(map.dims(), [3, 4, 5]);
        // Five weights, each rounded to 6e-8.
        assert_close(&read(map.clone().sum_dim(2)), &read(Tensor::<3>::ones([3, 4, 1], &device)), 5e-7);
        let hidden = mask(&SOURCES, 5, &device).bool_not().float().unsqueeze_dim(1);
        assert!(read(map.clone() * hidden).iter::<f32>().all(|weight| weight == 0.0));
        // A single token gets all, and two of them differently much.
        let rows: Vec<f32> = read(map).iter::<f32>().collect();
        assert_eq!(rows[40..45], [1.0, 0.0, 0.0, 0.0, 0.0]);
        assert_ne!(rows[20], rows[21]);
    }
}

#[test]
fn the_future_of_the_target_is_hidden() {
    let device = device();
    for config in configs() {
        let model = init(&config, &device);
        let source = tokens(&[&[3, 1, 4, 1, 5, 9, 2]], &device);
        let logits = |target: &[i64]| model.forward(unmasked(source.clone(), tokens(&[target], &device)));
        let (whole, other) = (logits(&[0, 6, 5, 3, 5]), logits(&[0, 6, 5, 8, 9]));
        assert_eq!(read(whole.clone().narrow(1, 0, 3)), read(other.clone().narrow(1, 0, 3)));
        assert_ne!(read(whole.narrow(1, 3, 1)), read(other.narrow(1, 3, 1)));
    }
}

#[test]
fn step_by_step_gives_the_same() {
    let device = device();
    for config in configs() {
        let model = init(&config, &device);
        let TransformerInput { source, target, source_mask, .. } = padded(0, &device);
        let whole = model.forward(padded(0, &device));
        let memory = model.encode(source, source_mask);
        let mut state = model.new_state(&memory);
        let steps: Vec<_> = (0..4)
            .map(|place| {
                let next = target.clone().narrow(1, place, 1).squeeze_dim(1);
                model.decode_step(next, &mut state)
            })
            .collect();
        assert_close(&read(Tensor::stack::<3>(steps, 1)), &read(whole), 2e-6);
    }
}

/// Of three sources, two beams that go on with the second and one that goes on with the third.
#[test]
fn a_state_knows_beams() {
    let device = device();
    let model = init(&GruAttentionConfig::tiny(), &device);
    let next = |tokens: &[i64]| Tensor::<1, Int>::from_data(tokens, &device);
    let TransformerInput { source, source_mask, .. } = padded(0, &device);
    let mut state = model.new_state(&model.encode(source.clone(), source_mask));
    model.decode_step(next(&[0, 0, 0]), &mut state);
    state.select(&[1, 2, 1]);
    assert_eq!(state.batch(), 3);
    model.decode_step(next(&[5, 8, 1]), &mut state);
    state.select(&[2, 0, 1, 1]);
    let logits = model.decode_step(next(&[3, 7, 2, 9]), &mut state);

    let beams = [(1, [0, 1, 3]), (1, [0, 5, 7]), (2, [0, 8, 2]), (2, [0, 8, 9])];
    for (beam, (index, target)) in beams.into_iter().enumerate() {
        let source = source.clone().narrow(0, index, 1).narrow(1, 0, SOURCES[index]);
        let alone = model.forward(unmasked(source, tokens(&[&target], &device)));
        assert_close(
            &read(logits.clone().narrow(0, beam, 1)),
            &read(alone.narrow(1, 2, 1).squeeze_dim::<2>(1)),
            2e-6,
        );
    }
}

#[test]
#[should_panic(expected = "rows [3] of a state of 3 sequences")]
fn a_beam_has_a_row() {
    let model = init(&GruAttentionConfig::tiny(), &device());
    let TransformerInput { source, .. } = padded(0, &device());
    model.new_state(&model.encode(source, None)).select(&[3]);
}

#[test]
fn every_parameter_gets_a_finite_gradient_that_is_not_zero() {
    let device = device().autodiff();
    for config in configs() {
        let model = init(&config, &device);
        let logits = model.forward(padded(0, &device));
        let weights = images([1, 3, 4, 13], &device).squeeze_dim::<3>(0);
        let gradients = (logits * weights).sum().backward();
        for gradient in parameter_gradients(&model, &gradients) {
            let values = gradient.values.unwrap_or_else(|| panic!("{} has no gradient", gradient.name));
            assert!(values.iter::<f32>().all(f32::is_finite), "{}", gradient.name);
            assert!(values.iter::<f32>().any(|value| value != 0.0), "{} of {config:?}", gradient.name);
        }
    }
}

fn is_states(event: &Event) -> bool {
    matches!(event, Event::Tap { name, .. } if name == "decoder")
}

#[test]
fn dropout_acts_in_training_only() {
    let plain = device();
    let config = GruAttentionConfig { d_model: 101, dropout: 0.5, ..GruAttentionConfig::tiny() };
    let training = plain.clone().autodiff();
    let model = init(&config, &training);
    let features = |model: &GruAttention, device: &Device| read(model.forward_features(padded(0, device)));
    let values = features(&model, &training);
    let dropped = values.iter::<f32>().filter(|value| *value == 0.0).count();
    // Of 1212 values half are dropped, with a standard deviation of 17: five of them to either side.
    assert!((519..=693).contains(&dropped), "{dropped} of the features are dropped");
    // What the decoder's states depend on is dropped too.
    let states = || record(|| model.forward_features(padded(0, &training))).1.into_iter().find(is_states);
    assert_ne!(states(), states());
    let model = model.valid();
    assert_eq!(features(&model, &plain), features(&model, &plain));
}

#[test]
fn a_saved_and_loaded_model_gives_the_same() {
    let device = device();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let deep = GruAttentionConfig { n_layers: 8, ..GruAttentionConfig::tiny() };
    for config in configs().into_iter().chain([deep]) {
        for layout in config.layouts().into_iter().chain([Layout::NATIVE]) {
            let model = init(&config, &device);
            save(&model, &path, &layout, &BTreeMap::new()).expect("a writable folder");
            let written = Checkpoint::open(&path).expect("what was just written");
            device.seed(12);
            let fresh = config.init(&device).expect("a valid configuration");
            let loaded =
                load(fresh, &written, &layout, &LoadOptions::default()).expect("the same architecture");
            let logits = |model: &GruAttention| read(model.forward(padded(0, &device)));
            assert_eq!(logits(&loaded), logits(&model), "{config:?} as {}", layout.name);
        }
    }
}
