//! What can be computed by hand; the numbers of torch are compared with in the architecture `rnn` of the models.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};

use super::{GruConfig, LstmConfig, LstmState, RecurrentWeights, RnnConfig};

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Weights of an input and a state of one number each: `weight_ih` and `weight_hh` for each gate, and no biases.
fn weights<const G: usize>(weight_ih: [f32; G], weight_hh: [f32; G]) -> RecurrentWeights {
    let param = |values| Param::from_tensor(Tensor::<2>::from_data(TensorData::from([values]), &device()));
    RecurrentWeights {
        weight_ih: param(weight_ih),
        weight_hh: param(weight_hh),
        bias_ih: None,
        bias_hh: None,
    }
}

fn sequence(values: [f64; 3]) -> Tensor<3> {
    Tensor::from_data(TensorData::from([values.map(|value| [value])]), &device())
}

#[track_caller]
fn assert_outputs(output: Tensor<3>, expected: [f64; 3]) {
    // A few operations, each rounded to 6e-8.
    assert_close(&read(output), &TensorData::from([expected.map(|value| [value])]), 5e-7);
}

#[test]
fn a_plain_network_by_hand() {
    let mut layer = RnnConfig::new(1, 1).with_bias(false).init(&device());
    layer.layers[0].forward = weights([0.5], [-2.0]);
    let mut h = 0.3;
    let expected = [1.0, -0.5, 2.0].map(|x: f64| {
        h = (0.5 * x - 2.0 * h).tanh();
        h
    });
    let first = Tensor::<3>::from_data([[[0.3]]], &device());
    assert_outputs(layer.forward(sequence([1.0, -0.5, 2.0]), Some(first)).output, expected);
}

#[test]
fn a_plain_network_from_the_end_by_hand() {
    let mut layer = RnnConfig::new(1, 1).with_bias(false).with_bidirectional(true).init(&device());
    layer.layers[0].reverse = Some(weights([0.5], [-2.0]));
    let mut h = 0.0;
    let mut expected = [2.0, -0.5, 1.0].map(|x: f64| {
        h = (0.5 * x - 2.0 * h).tanh();
        h
    });
    expected.reverse();
    let result = layer.forward(sequence([1.0, -0.5, 2.0]), None);
    assert_outputs(result.output.narrow(2, 1, 1), expected);
    let last: Vec<f64> = read(result.hidden).iter::<f64>().collect();
    assert!((last[1] - expected[0]).abs() < 5e-7);
}

#[test]
fn long_short_term_memory_by_hand() {
    let mut layer = LstmConfig::new(1, 1).with_bias(false).init(&device());
    layer.layers[0].forward = weights([0.5, -1.0, 2.0, 0.25], [1.5, 0.5, -0.75, 1.0]);
    let (mut h, mut c) = (0.3, -0.4);
    let expected = [1.0, -0.5, 2.0].map(|x: f64| {
        let (i, f) = (sigmoid(0.5 * x + 1.5 * h), sigmoid(-x + 0.5 * h));
        let (g, o) = ((2.0 * x - 0.75 * h).tanh(), sigmoid(0.25 * x + h));
        c = f * c + i * g;
        h = o * c.tanh();
        h
    });
    let state = LstmState {
        hidden: Tensor::from_data([[[0.3]]], &device()),
        cell: Tensor::from_data([[[-0.4]]], &device()),
    };
    let result = layer.forward(sequence([1.0, -0.5, 2.0]), Some(state));
    assert_outputs(result.output, expected);
    let last: Vec<f64> = read(result.state.cell).iter::<f64>().collect();
    assert!((last[0] - c).abs() < 5e-7);
}

#[test]
fn a_gated_recurrent_unit_by_hand() {
    let mut layer = GruConfig::new(1, 1).with_bias(false).init(&device());
    layer.layers[0].forward = weights([0.5, -1.0, 2.0], [1.5, 0.5, -0.75]);
    let mut h = 0.3;
    let expected = [1.0, -0.5, 2.0].map(|x: f64| {
        let (r, z) = (sigmoid(0.5 * x + 1.5 * h), sigmoid(-x + 0.5 * h));
        let n = (2.0 * x + r * (-0.75 * h)).tanh();
        h = (1.0 - z) * n + z * h;
        h
    });
    let first = Tensor::<3>::from_data([[[0.3]]], &device());
    assert_outputs(layer.forward(sequence([1.0, -0.5, 2.0]), Some(first)).output, expected);
}

/// Any number of steps is halved into single ones, in order.
#[test]
fn every_length_of_sequence() {
    let layer = RnnConfig::new(2, 3).init(&device());
    let whole = Tensor::<3>::ones([2, 11, 2], &device())
        * Tensor::<1>::from_floats([0.5, -1.0], &device()).unsqueeze();
    let expected = layer.forward(whole.clone(), None).output;
    for steps in 1..=11 {
        let output = layer.forward(whole.clone().narrow(1, 0, steps), None).output;
        assert_close(&read(output), &read(expected.clone().narrow(1, 0, steps)), 1e-6);
    }
}

#[test]
fn parameters_are_torchs() {
    // sum(p.numel() for p in nn.GRU(7, 5, 3, bidirectional=True).parameters())
    let layer = GruConfig::new(7, 5).with_n_layers(3).with_bidirectional(true).init(&device());
    assert_eq!(layer.num_params(), 1_440);
}

#[test]
#[should_panic(expected = "a sequence of no steps")]
fn a_sequence_has_steps() {
    RnnConfig::new(2, 3).init(&device()).forward(Tensor::zeros([1, 0, 2], &device()), None);
}

#[test]
#[should_panic(expected = "a first state of another shape")]
fn a_state_has_its_shape() {
    let layer = GruConfig::new(2, 3).init(&device());
    layer.forward(Tensor::zeros([5, 1, 2], &device()), Some(Tensor::zeros([1, 4, 3], &device())));
}
