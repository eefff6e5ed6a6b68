use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use libellus_backend::testing::{assert_close, device, read};
use libellus_weights::{Checkpoint, LoadOptions, load, save};

use super::{PYTORCH, Recurrent, RecurrentCell, Rnn, RnnConfig, RnnState};
use crate::testing::{Golden, images, parameter_gradients};
use crate::{Architecture, Tensors};

const CELLS: [RecurrentCell; 4] =
    [RecurrentCell::RnnTanh, RecurrentCell::RnnRelu, RecurrentCell::Lstm, RecurrentCell::Gru];

fn tiny(cell: RecurrentCell) -> RnnConfig {
    RnnConfig { cell, ..RnnConfig::tiny() }
}

fn init(config: &RnnConfig, device: &burn::tensor::Device) -> Rnn {
    device.seed(11);
    config.init(device).expect("valid")
}

fn sequence(batch: usize, steps: usize, device: &burn::tensor::Device) -> Tensor<3> {
    images([1, batch, steps, 5], device).squeeze_dim(0)
}

impl Rnn {
    fn layers(&self) -> &[libellus_layers::RecurrentLayer] {
        match &self.rnn {
            Recurrent::Rnn(rnn) => &rnn.layers,
            Recurrent::Lstm(lstm) => &lstm.layers,
            Recurrent::Gru(gru) => &gru.layers,
        }
    }
}

fn assert_agrees(name: &str, config: RnnConfig) {
    let golden = Golden::open(name);
    let is_lstm = config.cell == RecurrentCell::Lstm;
    let device = device().autodiff();
    let model = golden.load(config.init(&device).expect("valid"), &PYTORCH);
    let sequence = golden.tensor::<3>("sequence", &device).require_grad();
    let hidden = golden.tensor::<3>("hidden", &device).require_grad();
    let cell = is_lstm.then(|| golden.tensor("cell", &device));
    let result = model.forward(sequence.clone(), Some(RnnState { hidden: hidden.clone(), cell }));
    golden.check("eval.output", result.output.clone());
    golden.check("eval.hidden", result.state.hidden.clone());
    let mut last = result.state.hidden.sum();
    if let Some(cell) = result.state.cell {
        golden.check("eval.cell", cell.clone());
        last = last + cell.sum();
    }
    let output = match result.logits {
        Some(logits) => {
            golden.check("eval.logits", logits.clone());
            logits
        }
        None => result.output,
    };

    let gradients = ((output * golden.tensor("coefficients", &device)).sum() + last).backward();
    golden.check("gradient.sequence", sequence.grad(&gradients).expect("required"));
    golden.check("gradient.hidden", hidden.grad(&gradients).expect("required"));
    let first = &model.layers()[0];
    golden.check("gradient.weight_ih_l0", first.forward.weight_ih.grad(&gradients).expect("required"));
    let reverse = first.reverse.as_ref().expect("both directions");
    let bias = reverse.bias_hh.as_ref().expect("biases are on");
    golden.check("gradient.bias_hh_l0_reverse", bias.grad(&gradients).expect("required"));
    let reverse = model.layers()[1].reverse.as_ref().expect("both directions");
    golden.check("gradient.weight_hh_l1_reverse", reverse.weight_hh.grad(&gradients).expect("required"));
}

#[test]
fn plain_with_tanh_agrees_with_torch() {
    assert_agrees("rnn_tanh", tiny(RecurrentCell::RnnTanh));
}

#[test]
fn plain_with_relu_agrees_with_torch() {
    assert_agrees("rnn_relu", tiny(RecurrentCell::RnnRelu));
}

#[test]
fn lstm_agrees_with_torch() {
    assert_agrees("rnn_lstm", tiny(RecurrentCell::Lstm));
}

/// The file is that of the bare layer.
#[test]
fn gru_agrees_with_torch() {
    assert_agrees("rnn_gru", RnnConfig { d_output: None, ..tiny(RecurrentCell::Gru) });
}

#[test]
fn parameters_are_torchs() {
    let count = |config: RnnConfig| config.init(&device()).expect("valid").num_params();
    assert_eq!(count(RnnConfig::rnn()), 131_584);
    assert_eq!(count(RnnConfig::lstm()), 526_336);
    assert_eq!(count(RnnConfig::gru()), 394_752);
    // sum(p.numel() for p in nn.LSTM(5, 4, 2, bidirectional=True).parameters()) is 800, and the linear layer has 54.
    assert_eq!(count(RnnConfig::tiny()), 800 + 54);
}

#[test]
fn a_batch_gives_what_its_sequences_give_alone() {
    for cell in CELLS {
        let model = init(&tiny(cell), &device());
        let together = model.forward(sequence(3, 7, &device()), None);
        let alone = (0..3).map(|row| model.forward(sequence(3, 7, &device()).narrow(0, row, 1), None).output);
        // The same sums, which may be taken in another order.
        assert_close(&read(Tensor::cat(alone.collect(), 0)), &read(together.output), 2e-6);
    }
}

#[test]
fn a_sequence_in_parts_is_the_whole_one() {
    for cell in CELLS {
        let config = RnnConfig { bidirectional: false, ..tiny(cell) };
        let model = init(&config, &device());
        let whole = model.forward(sequence(3, 7, &device()), None);
        let first = model.forward(sequence(3, 7, &device()).narrow(1, 0, 4), None);
        let rest = model.forward(sequence(3, 7, &device()).narrow(1, 4, 3), Some(first.state));
        let output = Tensor::cat(vec![first.output, rest.output], 1);
        assert_close(&read(output), &read(whole.output), 2e-6);
        assert_close(&read(rest.state.hidden), &read(whole.state.hidden), 2e-6);
    }
}

struct Absolute;

impl ModuleMapper for Absolute {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        Param::from_mapped_value(id, tensor.abs().detach().require_grad(), mapper)
    }
}

#[test]
fn every_parameter_gets_a_finite_gradient_that_is_not_zero() {
    let device = device().autodiff();
    for cell in CELLS {
        // With weights, inputs and shifts above zero no rectifier is closed, whatever numbers the device draws.
        let model = init(&tiny(cell), &device).map(&mut Absolute);
        let logits = model.forward(sequence(3, 7, &device).abs(), None).logits.expect("there are outputs");
        let weights = images([1, 3, 7, 6], &device).squeeze_dim::<3>(0);
        let gradients = (logits * weights).sum().backward();
        for gradient in parameter_gradients(&model, &gradients) {
            let values = gradient.values.unwrap_or_else(|| panic!("{} has no gradient", gradient.name));
            assert!(values.iter::<f32>().all(f32::is_finite), "{}", gradient.name);
            assert!(values.iter::<f32>().any(|value| value != 0.0), "{} of {cell:?}", gradient.name);
        }
    }
}

#[test]
fn a_saved_and_loaded_model_gives_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    for cell in CELLS {
        for (n_layers, bias, bidirectional, d_output) in
            [(2, true, true, Some(6)), (1, false, false, None), (12, true, false, Some(2))]
        {
            let config = RnnConfig { n_layers, bias, bidirectional, d_output, ..tiny(cell) };
            let model = init(&config, &device());
            let expected = read(model.forward(sequence(2, 3, &device()), None).output);
            for layout in config.layouts().iter().chain([&libellus_weights::Layout::NATIVE]) {
                save(&model, &path, layout, &BTreeMap::new()).expect("a writable folder");
                let checkpoint = Checkpoint::open(&path).expect("what was just written");
                device().seed(12);
                let fresh = config.init(&device()).expect("valid");
                let loaded = load(fresh, &checkpoint, layout, &LoadOptions::default()).expect("it fits");
                assert_eq!(read(loaded.forward(sequence(2, 3, &device()), None).output), expected);
            }
        }
    }
}

#[test]
fn dropout_acts_between_layers_in_training_alone() {
    let device = device().autodiff();
    for n_layers in [1, 2] {
        let config = RnnConfig { n_layers, dropout: 0.5, ..RnnConfig::tiny() };
        let model = init(&config, &device);
        // Many draws: the device's random numbers are shared with other tests, one of which may set them back.
        let outputs: Vec<_> =
            (0..20).map(|_| read(model.forward(sequence(3, 7, &device), None).output)).collect();
        assert_eq!(outputs.iter().all(|output| *output == outputs[0]), n_layers == 1);
        let model = model.valid();
        let plain = sequence(3, 7, &device).without_autodiff();
        let outputs = [0, 1].map(|_| read(model.forward(plain.clone(), None).output));
        assert_eq!(outputs[0], outputs[1]);
    }
}

#[test]
fn inputs_from_outside_are_checked() {
    let config = RnnConfig::tiny();
    let model = init(&config, &device());
    let inputs = Tensors::new().with("sequence", sequence(3, 7, &device()));
    let outputs = config.run(&model, &inputs).expect("valid inputs");
    let names: Vec<&str> = outputs.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["cell", "hidden", "logits", "output"]);
    // A state of zeros is the same as none.
    let zeros = Tensor::<3>::zeros([4, 3, 4], &device());
    for name in ["hidden", "cell"] {
        assert_eq!(config.run(&model, &inputs.clone().with(name, zeros.clone())), Ok(outputs.clone()));
    }
    let error = |config: &RnnConfig, inputs: Tensors| {
        config.run(&init(config, &device()), &inputs).expect_err("wrong inputs").to_string()
    };
    assert_eq!(
        error(&config, inputs.clone().with("hidden", zeros.clone().narrow(0, 0, 3))),
        "dimension 0 of input `hidden` must be 4, not shape [3, 3, 4]"
    );
    assert_eq!(
        error(&tiny(RecurrentCell::Gru), inputs.with("cell", zeros)),
        "the model takes no input `cell`, only sequence, hidden"
    );
    assert_eq!(
        error(&config, Tensors::new().with("sequence", Tensor::<3>::zeros([3, 7, 4], &device()))),
        "dimension 2 of input `sequence` must be 5, not shape [3, 7, 4]"
    );
}

#[test]
fn what_is_wrong_is_named() {
    let error = |config: RnnConfig| config.init(&device()).expect_err("a wrong configuration").to_string();
    assert_eq!(
        error(RnnConfig { n_layers: 17, ..RnnConfig::tiny() }),
        "`n_layers` must be between 1 and 16, not 17"
    );
    assert_eq!(
        error(RnnConfig { d_output: Some(0), ..RnnConfig::tiny() }),
        "`d_output` must be between 1 and 131072, not 0"
    );
    assert_eq!(
        error(RnnConfig { dropout: 1.5, ..RnnConfig::tiny() }),
        "`dropout` must be at least 0 and less than 1, not 1.5"
    );
}
