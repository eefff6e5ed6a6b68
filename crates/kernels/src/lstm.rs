//! Long short-term memory over a whole sequence.

mod extension;
#[cfg(feature = "flex")]
mod flex;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::device::is_accelerated;
use crate::{sigmoid, tanh};
use extension::LstmOps;

/// What [`lstm`] puts out.
#[derive(Debug, Clone)]
pub struct LstmSequence {
    /// `h` after each step, `[T, B, D]`.
    pub hidden: Tensor<3>,
    /// `c` after the last step, `[B, D]`.
    pub cell: Tensor<2>,
}

/// The recurrent part of an LSTM: at each step `gates = projected + hidden weight`, then
/// `c = sigmoid(f) c + sigmoid(i) tanh(g)` and `h = sigmoid(o) tanh(c)`, with the gates `i`, `f`, `g`, `o` side by side.
///
/// Hochreiter and Schmidhuber 1997; the forget gate is that of Gers et al. 2000. Reference: `torch.nn.LSTM`.
///
/// On flex, sequences of a batch are divided among the threads, which need not wait for each other then; a single one has
/// one thread.
///
/// # Shapes
/// - `projected`: what the input contributes to the gates, biases included, `[T, B, 4 D]`
/// - `weight`: `[D, 4 D]`
/// - `hidden`, `cell`: the state before the first step, `[B, D]`
///
/// # Panics
/// If there is no step, or a shape is another.
pub fn lstm(projected: Tensor<3>, weight: Tensor<2>, hidden: Tensor<2>, cell: Tensor<2>) -> LstmSequence {
    let [steps, batch, wide] = projected.dims();
    let d_hidden = wide / 4;
    assert!(steps > 0, "a sequence of no steps");
    assert_eq!(weight.dims(), [d_hidden, 4 * d_hidden], "a weight of another shape (actual, expected)");
    for state in [&hidden, &cell] {
        assert_eq!(state.dims(), [batch, d_hidden], "a state of another shape (actual, expected)");
    }
    if batch * d_hidden == 0 {
        return LstmSequence { hidden: Tensor::zeros([steps, batch, d_hidden], &cell.device()), cell };
    }
    if !is_accelerated(&projected) {
        return composed(projected, weight, hidden, cell);
    }
    let [weight, hidden, cell] = [weight, hidden, cell].map(|tensor| tensor.into_dispatch());
    let states = Dispatch::lstm(projected.into_dispatch(), weight, hidden, cell);
    let states = Tensor::<3>::from_dispatch(states);
    LstmSequence {
        hidden: states.clone().narrow(0, 0, steps),
        cell: states.narrow(0, steps, 1).squeeze_dim(0),
    }
}

fn composed(
    projected: Tensor<3>,
    weight: Tensor<2>,
    mut hidden: Tensor<2>,
    mut cell: Tensor<2>,
) -> LstmSequence {
    let d_hidden = weight.dims()[0];
    let outputs: Vec<_> = unbind(projected)
        .into_iter()
        .map(|input| {
            let gates = input + hidden.clone().matmul(weight.clone());
            let gate = |index| gates.clone().narrow(1, index * d_hidden, d_hidden);
            cell = sigmoid(gate(1)) * cell.clone() + sigmoid(gate(0)) * tanh(gate(2));
            hidden = sigmoid(gate(3)) * tanh(cell.clone());
            hidden.clone()
        })
        .collect();
    LstmSequence { hidden: Tensor::stack(outputs, 0), cell }
}

/// `[T, B, D]` as `T` matrices `[B, D]`, by halving: the gradient of a part is a tensor of the whole's size, so that taking
/// each step out of all of them would cost the square of their number.
pub fn unbind(sequence: Tensor<3>) -> Vec<Tensor<2>> {
    fn halve(sequence: Tensor<3>, steps: &mut Vec<Tensor<2>>) {
        match sequence.dims()[0] {
            0 => {}
            1 => steps.push(sequence.squeeze_dim(0)),
            count => {
                let half = count / 2;
                halve(sequence.clone().narrow(0, 0, half), steps);
                halve(sequence.narrow(0, half, count - half), steps);
            }
        }
    }
    let mut steps = Vec::with_capacity(sequence.dims()[0]);
    halve(sequence, &mut steps);
    steps
}
