//! What the recurrent layers share.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use libellus_kernels::{linear, unbind};

use crate::{Dropout, trace};

/// One layer of a stack, in one or both directions.
#[derive(Module, Debug)]
pub struct RecurrentLayer {
    /// From the first step to the last.
    pub forward: RecurrentWeights,
    /// From the last step to the first.
    pub reverse: Option<RecurrentWeights>,
}

/// The weights of one layer in one direction, gates side by side in PyTorch's order.
#[derive(Module, Debug)]
pub struct RecurrentWeights {
    /// From the input, `[I, G D]`.
    pub weight_ih: Param<Tensor<2>>,
    /// From the state, `[D, G D]`.
    pub weight_hh: Param<Tensor<2>>,
    /// `[G D]`.
    pub bias_ih: Option<Param<Tensor<1>>>,
    /// `[G D]`. For the RNN and the LSTM it is added to the other one, and thus without effect of its own; PyTorch's
    /// checkpoints have both.
    pub bias_hh: Option<Param<Tensor<1>>>,
}

/// What makes a stack of recurrent layers.
pub(super) struct Stack {
    pub(super) d_input: usize,
    pub(super) d_hidden: usize,
    pub(super) gates: usize,
    pub(super) n_layers: usize,
    pub(super) bias: bool,
    pub(super) bidirectional: bool,
}

impl Stack {
    /// The layers, with everything drawn from `U(-1/sqrt(D), 1/sqrt(D))` as in PyTorch.
    pub(super) fn init(&self, device: &Device) -> Vec<RecurrentLayer> {
        assert!(self.n_layers > 0, "a recurrent network without layers");
        let bound = 1.0 / (self.d_hidden as f64).sqrt();
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        let wide = self.gates * self.d_hidden;
        let weights = |d_input| RecurrentWeights {
            weight_ih: uniform.init([d_input, wide], device),
            weight_hh: uniform.init([self.d_hidden, wide], device),
            bias_ih: self.bias.then(|| uniform.init([wide], device)),
            bias_hh: self.bias.then(|| uniform.init([wide], device)),
        };
        let directions = 1 + usize::from(self.bidirectional);
        let inputs = (0..self.n_layers).map(|layer| match layer {
            0 => self.d_input,
            _ => directions * self.d_hidden,
        });
        inputs
            .map(|d_input| RecurrentLayer {
                forward: weights(d_input),
                reverse: self.bidirectional.then(|| weights(d_input)),
            })
            .collect()
    }
}

/// All steps of a cell: from the weights, the input `[T, B, I]` and the first state to the output of each step `[T, B, D]` and
/// the last state. A state is `S` vectors `[B, D]`.
pub(super) type Steps<const S: usize> =
    dyn Fn(&RecurrentWeights, Tensor<3>, [Tensor<2>; S]) -> (Tensor<3>, [Tensor<2>; S]);

/// What a stack puts out.
pub(super) struct Run<const S: usize> {
    /// `[B, T, N D]`.
    pub(super) output: Tensor<3>,
    /// The parts of the last state, `[L N, B, D]` each.
    pub(super) state: [Tensor<3>; S],
}

/// Runs a stack of layers. `state` has the parts of the first state, `[L N, B, D]` each, zeros if not given.
pub(super) fn run<const S: usize>(
    layers: &[RecurrentLayer],
    dropout: &Dropout,
    input: Tensor<3>,
    state: Option<[Tensor<3>; S]>,
    steps_of: &Steps<S>,
) -> Run<S> {
    let [batch, steps, d_input] = input.dims();
    let directions = layers.iter().map(|layer| 1 + usize::from(layer.reverse.is_some())).sum::<usize>();
    let [d_hidden, _] = layers[0].forward.weight_hh.lazy_shape().dims();
    let [expected, _] = layers[0].forward.weight_ih.lazy_shape().dims();
    assert_eq!(d_input, expected, "a recurrent layer of {expected} inputs got {:?}", input.dims());
    assert!(steps > 0, "a recurrent layer got a sequence of no steps");
    for part in state.iter().flatten() {
        assert_eq!(
            part.dims(),
            [directions, batch, d_hidden],
            "a first state of another shape (actual, expected)"
        );
    }

    let device = input.device();
    let first = |direction: usize| match &state {
        Some(parts) => parts.each_ref().map(|part| part.clone().narrow(0, direction, 1).squeeze_dim(0)),
        None => std::array::from_fn(|_| Tensor::zeros([batch, d_hidden], &device)),
    };
    let mut last = Vec::with_capacity(directions);
    // Steps first, so that each is a contiguous matrix.
    let mut sequence = input.swap_dims(0, 1);
    for (index, layer) in layers.iter().enumerate() {
        if index > 0 {
            sequence = dropout.forward(sequence);
        }
        let mut outputs = Vec::with_capacity(2);
        for (weights, order) in
            [(Some(&layer.forward), Order::Forward), (layer.reverse.as_ref(), Order::Reverse)]
        {
            let Some(weights) = weights else { continue };
            let (output, state) = weights.run(sequence.clone(), first(last.len()), order, steps_of);
            outputs.push(output);
            last.push(state);
        }
        sequence = match outputs.len() {
            1 => outputs.remove(0),
            _ => Tensor::cat(outputs, 2),
        };
    }
    let state = std::array::from_fn(|part| {
        Tensor::stack(last.iter().map(|state| state[part].clone()).collect::<Vec<_>>(), 0)
    });
    Run { output: sequence.swap_dims(0, 1), state }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Forward,
    Reverse,
}

impl RecurrentWeights {
    /// One direction of one layer: `[T, B, I]` to `[T, B, D]` and the last state.
    fn run<const S: usize>(
        &self,
        sequence: Tensor<3>,
        state: [Tensor<2>; S],
        order: Order,
        steps_of: &Steps<S>,
    ) -> (Tensor<3>, [Tensor<2>; S]) {
        let [steps, batch, d_input] = sequence.dims();
        let [d_hidden, wide] = self.weight_hh.lazy_shape().dims();
        let macs = (steps * batch * (d_input + d_hidden) * wide) as u64;
        let mut state = state;
        let output = trace::layer(
            "Recurrent",
            &self.weight_ih,
            sequence,
            [steps, batch, d_hidden],
            macs,
            |sequence| {
                let turned = |sequence: Tensor<3>| match order {
                    Order::Forward => sequence,
                    Order::Reverse => sequence.flip([0]),
                };
                let output;
                (output, state) = steps_of(self, turned(sequence), state.clone());
                turned(output)
            },
        );
        (output, state)
    }

    /// What the input contributes to all gates of all steps: `[T, B, I]` to `[T, B, G D]`.
    pub(super) fn projected(&self, sequence: Tensor<3>) -> Tensor<3> {
        linear(sequence, self.weight_ih.val(), self.bias_ih.as_ref().map(|bias| bias.val()))
    }

    /// The same with both biases, for cells that only add them.
    pub(super) fn projected_with_biases(&self, sequence: Tensor<3>) -> Tensor<3> {
        let biases = self.bias_ih.iter().chain(&self.bias_hh).map(|bias| bias.val());
        linear(sequence, self.weight_ih.val(), biases.reduce(Tensor::add))
    }

    /// What the state before contributes to all gates, without a bias: `[B, D]` to `[B, G D]`.
    pub(super) fn recurrent(&self, hidden: Tensor<2>) -> Tensor<2> {
        linear(hidden, self.weight_hh.val(), None)
    }
}

/// One step after the other; `step` goes from the projected input `[B, G D]` and the state before to the state after.
pub(super) fn step_by_step(
    projected: Tensor<3>,
    mut state: Tensor<2>,
    step: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<2>,
) -> (Tensor<3>, [Tensor<2>; 1]) {
    let mut outputs = Vec::with_capacity(projected.dims()[0]);
    for input in unbind(projected) {
        state = step(input, state);
        outputs.push(state.clone());
    }
    (Tensor::stack(outputs, 0), [state])
}
