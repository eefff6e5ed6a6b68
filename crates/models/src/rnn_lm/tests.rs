use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use libellus_layers::trace::{Event, record, shapes};
use libellus_weights::{Checkpoint, Layout, LoadOptions, load, save};

use super::{RnnLm, RnnLmConfig, RnnLmDecoder};
use crate::rnn::{RecurrentCell, RnnState};
use crate::testing::{Golden, ParameterGradient, golden_path, images, parameter_gradients};
use crate::{Architecture, Tensors};

const BATCH: usize = 3;
const LENGTH: usize = 11;

fn tied() -> RnnLmConfig {
    RnnLmConfig { d_model: 7, cell: RecurrentCell::Gru, tie_embeddings: true, ..RnnLmConfig::tiny() }
}

/// A tiny model of each kind.
fn configs() -> [RnnLmConfig; 4] {
    let with = |cell| RnnLmConfig { cell, ..RnnLmConfig::tiny() };
    [with(RecurrentCell::RnnTanh), with(RecurrentCell::RnnRelu), with(RecurrentCell::Lstm), tied()]
}

fn init(config: &RnnLmConfig, device: &Device) -> RnnLm {
    device.seed(11);
    config.init(device).expect("valid")
}

/// Each token of the vocabulary at least once.
fn tokens(device: &Device) -> Tensor<2, Int> {
    let values: Vec<i64> = (0..(BATCH * LENGTH) as i64).map(|index| index * 12 % 29).collect();
    Tensor::from_data(TensorData::new(values, [BATCH, LENGTH]), device)
}

/// Outputs at several depths, the last state, and gradients.
fn assert_agrees(name: &str, config: &RnnLmConfig) {
    let golden = Golden::open(name);
    let layout = config.pytorch_layout();
    let device = device().autodiff();
    let model = golden.load(config.init(&device).expect("valid"), &layout);
    let hidden = golden.tensor::<3>("hidden", &device).require_grad();
    let cell = (config.cell == RecurrentCell::Lstm).then(|| golden.tensor("cell", &device));
    let state = RnnState { hidden: hidden.clone(), cell };
    let (features, events) =
        record(|| model.forward_features(golden.ints("tokens", &device), Some(state.clone())));
    golden.check_taps(&events, &["drop", "rnn"]);
    let logits = model.logits(features.output);
    golden.check("eval.logits", logits.clone());
    golden.check("eval.hidden", features.state.hidden.clone());
    let mut last = features.state.hidden.sum();
    if let Some(cell) = features.state.cell {
        golden.check("eval.cell", cell.clone());
        last = last + cell.sum();
    }

    let gradients = ((logits * golden.tensor("coefficients", &device)).sum() + last).backward();
    golden.check("gradient.hidden", hidden.grad(&gradients).expect("required"));
    golden.check("gradient.encoder.weight", model.encoder.weight.grad(&gradients).expect("required"));
    match &model.decoder {
        RnnLmDecoder::Linear(linear) => {
            golden.check("gradient.decoder.weight", linear.weight.grad(&gradients).expect("required"));
            let bias = linear.bias.as_ref().expect("it has one");
            golden.check("gradient.decoder.bias", bias.grad(&gradients).expect("required"));
        }
        RnnLmDecoder::Tied(tied) => {
            golden.check("gradient.decoder.bias", tied.bias.grad(&gradients).expect("required"));
        }
    }
    let found = parameter_gradients(&model, &gradients);
    for (ours, theirs) in
        [("layers.0.forward.weight_ih", "weight_ih_l0"), ("layers.1.forward.weight_hh", "weight_hh_l1")]
    {
        let is_it = |gradient: &&ParameterGradient| gradient.name.ends_with(ours);
        let values = found.iter().find(is_it).and_then(|gradient| gradient.values.clone());
        let values = Tensor::<2>::from_data(values.expect("required"), &device);
        golden.check(&format!("gradient.rnn.{theirs}"), values);
    }
}

#[test]
fn lstm_agrees_with_torch() {
    assert_agrees("rnn_lm", &RnnLmConfig::tiny());
}

#[test]
fn tied_gru_agrees_with_torch() {
    assert_agrees("rnn_lm_tied", &tied());
}

#[test]
fn a_tied_file_whose_output_differs_is_refused() {
    let checkpoint = Checkpoint::open(golden_path("rnn_lm.safetensors")).expect("a golden file");
    let config = RnnLmConfig { tie_embeddings: true, d_model: 7, ..RnnLmConfig::tiny() };
    let model = config.init(&device()).expect("valid");
    let error = load(model, &checkpoint, &config.pytorch_layout(), &LoadOptions::default())
        .expect_err("an output of its own");
    assert!(error.to_string().contains("encoder.weight"), "{error}");
}

#[test]
fn parameters_are_the_published() {
    let count = |config: RnnLmConfig| config.init(&device()).expect("valid").num_params();
    // sum(p.numel() for p in RNNModel("LSTM", 10000, 650, 650, 2).parameters()); the paper's model is of 20 M.
    assert_eq!(count(RnnLmConfig::lstm_lm()), 19_780_400);
    // The same with tie_weights=True.
    assert_eq!(count(RnnLmConfig { tie_embeddings: true, ..RnnLmConfig::lstm_lm() }), 13_280_400);
    // 29 embeddings, two layers of four gates, and an output for 29.
    assert_eq!(count(RnnLmConfig::tiny()), 29 * 5 + 28 * (5 + 7 + 2) + 28 * (7 + 7 + 2) + 29 * (7 + 1));
}

#[test]
fn initial_weights_are_the_examples() {
    let config = RnnLmConfig { vocab_size: 301, ..RnnLmConfig::tiny() };
    let model = init(&config, &device());
    let RnnLmDecoder::Linear(decoder) = &model.decoder else { panic!("it isn't tied") };
    // Of 1,505 and 2,107 values the largest is above 0.099 but for a probability of 3e-7.
    for weight in [&model.encoder.weight, &decoder.weight] {
        let values: Vec<f32> = read(weight.val()).iter::<f32>().collect();
        let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        assert!((0.099..=0.1).contains(&largest), "{largest}");
        assert!(values.iter().any(|value| *value < -0.09) && values.iter().any(|value| *value > 0.09));
    }
    let bias = decoder.bias.as_ref().expect("it has one");
    assert!(read(bias.val()).iter::<f32>().all(|value| value == 0.0));
}

#[test]
fn a_batch_gives_what_its_sequences_give_alone() {
    for config in configs() {
        let model = init(&config, &device());
        let together = model.forward(tokens(&device()));
        let alone = (0..BATCH).map(|row| model.forward(tokens(&device()).narrow(0, row, 1)));
        // The same sums, which may be taken in another order.
        assert_close(&read(Tensor::cat(alone.collect(), 0)), &read(together), 2e-6);
    }
}

#[test]
fn no_token_sees_the_future() {
    for config in configs() {
        let model = init(&config, &device());
        let changed = tokens(&device()).slice_fill([0..BATCH, 7..LENGTH], 1);
        let [before, after] = [tokens(&device()), changed].map(|tokens| model.forward(tokens));
        assert_eq!(read(after.clone().narrow(1, 0, 7)), read(before.clone().narrow(1, 0, 7)));
        assert_ne!(read(after.narrow(1, 7, 4)), read(before.narrow(1, 7, 4)));
    }
}

#[test]
fn every_parameter_gets_a_finite_gradient_that_is_not_zero() {
    let device = device().autodiff();
    for config in configs() {
        let model = init(&config, &device);
        let weights = images([1, BATCH, LENGTH, 29], &device).squeeze_dim::<3>(0);
        let gradients = (model.forward(tokens(&device)) * weights).sum().backward();
        for gradient in parameter_gradients(&model, &gradients) {
            let values = gradient.values.unwrap_or_else(|| panic!("{} has no gradient", gradient.name));
            assert!(values.iter::<f32>().all(f32::is_finite), "{}", gradient.name);
            assert!(values.iter::<f32>().any(|value| value != 0.0), "{} of {config:?}", gradient.name);
        }
    }
}

#[test]
fn dropout_acts_in_training_alone() {
    let (plain, training) = (device(), device().autodiff());
    // With one layer nothing is dropped between layers: what remains is the embedding and the output.
    for n_layers in [1, 2] {
        let model = init(&RnnLmConfig { n_layers, dropout: 0.5, ..RnnLmConfig::tiny() }, &training);
        let features = |model: &RnnLm, device: &Device| {
            read(model.forward_features(tokens(device), None).output).iter::<f32>().collect::<Vec<_>>()
        };
        let dropped = features(&model, &training).iter().filter(|value| **value == 0.0).count();
        // Of 231 values 115.5 are dropped, with a standard deviation of 7.6: five of them to either side.
        assert!((77..=154).contains(&dropped), "{dropped} of the features are dropped");
        assert_ne!(features(&model, &training), features(&model, &training));
        let model = model.valid();
        assert_eq!(features(&model, &plain), features(&model, &plain));
    }
}

#[test]
fn a_saved_and_loaded_model_gives_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let deep = RnnLmConfig { n_layers: 12, ..RnnLmConfig::tiny() };
    for config in configs().into_iter().chain([deep]) {
        let model = init(&config, &device());
        let expected = read(model.forward(tokens(&device())));
        for layout in config.layouts().iter().chain([&Layout::NATIVE]) {
            save(&model, &path, layout, &BTreeMap::new()).expect("a writable folder");
            let checkpoint = Checkpoint::open(&path).expect("what was just written");
            device().seed(12);
            let fresh = config.init(&device()).expect("valid");
            let loaded = load(fresh, &checkpoint, layout, &LoadOptions::default()).expect("it fits");
            assert_eq!(read(loaded.forward(tokens(&device()))), expected, "{config:?} as {}", layout.name);
        }
    }
}

#[test]
fn inputs_from_outside_are_checked() {
    let config = RnnLmConfig::tiny();
    let model = init(&config, &device());
    let inputs = Tensors::new().with("tokens", tokens(&device()));
    let outputs = config.run(&model, &inputs).expect("valid inputs");
    let names: Vec<&str> = outputs.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["cell", "hidden", "logits", "output"]);
    assert_eq!(outputs.get("logits"), Some(&read(model.forward(tokens(&device())))));
    // A state of zeros is the same as none.
    let zeros = Tensor::<3>::zeros([2, BATCH, 7], &device());
    for name in ["hidden", "cell"] {
        assert_eq!(config.run(&model, &inputs.clone().with(name, zeros.clone())), Ok(outputs.clone()));
    }

    let error = |config: &RnnLmConfig, inputs: Tensors| {
        config.run(&init(config, &device()), &inputs).expect_err("wrong inputs").to_string()
    };
    assert_eq!(
        error(&config, inputs.clone().with("hidden", zeros.clone().narrow(1, 0, 2))),
        "dimension 1 of input `hidden` must be 3, not shape [2, 2, 7]"
    );
    assert_eq!(
        error(&tied(), inputs.with("cell", zeros)),
        "the model takes no input `cell`, only tokens, hidden"
    );
    assert_eq!(
        error(&config, Tensors::new().with("tokens", Tensor::<2, Int>::full([1, 2], 29, &device()))),
        "element 0 of input `tokens` is 29; it must be at least 0 and less than 29"
    );
    let none = TensorData::new(Vec::<i64>::new(), [1, 0]);
    let error = error(&config, Tensors::new().with_data("tokens", none));
    assert!(error.starts_with("dimension 1 of input `tokens` must be"), "{error}");
}

#[test]
fn costs_follow_from_shapes_alone() {
    for tie_embeddings in [false, true] {
        let config = RnnLmConfig { tie_embeddings, ..RnnLmConfig::lstm_lm() };
        let model = config.init(&device()).expect("valid");
        let (outputs, events) =
            shapes(|| config.run(&model, &config.example().expect("small"))).expect("small");
        assert!(outputs.is_ok());
        let layers = events.iter().filter_map(|event| match event {
            Event::Layer(layer) => Some(layer.macs),
            _ => None,
        });
        // Per token: two layers with four gates over 650 inputs and 650 units, and the output.
        assert_eq!(layers.sum::<u64>(), 128 * (2 * 4 * 650 * 1300 + 650 * 10_000));
        assert!(!model.encoder.weight.is_initialized());
    }
}

#[test]
fn what_is_wrong_is_named() {
    let error = |config: RnnLmConfig| config.init(&device()).expect_err("a wrong configuration").to_string();
    assert_eq!(
        error(RnnLmConfig { vocab_size: 0, ..RnnLmConfig::tiny() }),
        "`vocab_size` must be between 1 and 1048576, not 0"
    );
    assert_eq!(
        error(RnnLmConfig { d_model: 1 << 16, ..RnnLmConfig::tiny() }),
        "`d_model` must be between 1 and 32768, not 65536"
    );
    assert_eq!(
        error(RnnLmConfig { n_layers: 17, ..RnnLmConfig::tiny() }),
        "`n_layers` must be between 1 and 16, not 17"
    );
    assert_eq!(
        error(RnnLmConfig { dropout: 1.0, ..RnnLmConfig::tiny() }),
        "`dropout` must be at least 0 and less than 1, not 1"
    );
    assert_eq!(
        error(RnnLmConfig { tie_embeddings: true, ..RnnLmConfig::tiny() }),
        "`tie_embeddings` needs `d_model` (5) and `d_hidden` (7) to be the same"
    );
}
