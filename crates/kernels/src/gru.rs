//! Gated recurrent units over a whole sequence.

mod extension;
#[cfg(feature = "flex")]
mod flex;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::device::is_accelerated;
use crate::{sigmoid, tanh, unbind};
use extension::GruOps;

/// The recurrent part of gated recurrent units, with the gates `r`, `z`, `n` side by side: `h` after each step. With `x` the
/// projected input and `u = h weight + bias`, a step is `r = sigmoid(x_r + u_r)`, `z = sigmoid(x_z + u_z)`,
/// `n = tanh(x_n + r u_n)` and `h = (1 - z) n + z h`.
///
/// Cho et al. 2014, arXiv:1406.1078, with the reset gate behind the product. Reference: `torch.nn.GRU`.
///
/// On flex, sequences of a batch are divided among the threads, as those of an [LSTM](crate::lstm()).
///
/// # Shapes
/// - `projected`: what the input contributes to the gates, its biases included, `[T, B, 3 D]`
/// - `weight`: `[D, 3 D]`
/// - `bias`: of the state's contribution, `[3 D]`
/// - `hidden`: the state before the first step, `[B, D]`
/// - output: `[T, B, D]`
///
/// # Panics
/// If there is no step, or a shape is another.
pub fn gru(projected: Tensor<3>, weight: Tensor<2>, bias: Option<Tensor<1>>, hidden: Tensor<2>) -> Tensor<3> {
    let [steps, batch, wide] = projected.dims();
    let d_hidden = wide / 3;
    assert!(steps > 0, "a sequence of no steps");
    assert_eq!(weight.dims(), [d_hidden, 3 * d_hidden], "a weight of another shape (actual, expected)");
    if let Some(bias) = &bias {
        assert_eq!(bias.dims(), [3 * d_hidden], "a bias of another shape (actual, expected)");
    }
    assert_eq!(hidden.dims(), [batch, d_hidden], "a state of another shape (actual, expected)");
    if batch * d_hidden == 0 {
        return Tensor::zeros([steps, batch, d_hidden], &hidden.device());
    }
    if !is_accelerated(&projected) {
        return composed(projected, weight, bias, hidden);
    }
    let bias = bias.unwrap_or_else(|| Tensor::zeros([3 * d_hidden], &weight.device()));
    let [weight, hidden] = [weight, hidden].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::gru(projected.into_dispatch(), weight, bias.into_dispatch(), hidden))
}

fn composed(
    projected: Tensor<3>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    mut hidden: Tensor<2>,
) -> Tensor<3> {
    let d_hidden = weight.dims()[0];
    let outputs: Vec<_> = unbind(projected)
        .into_iter()
        .map(|input| {
            let mut state = hidden.clone().matmul(weight.clone());
            if let Some(bias) = &bias {
                state = state + bias.clone().unsqueeze();
            }
            let gate = |gates: &Tensor<2>, index: usize| gates.clone().narrow(1, index * d_hidden, d_hidden);
            let [reset, update] = [0, 1].map(|index| sigmoid(gate(&input, index) + gate(&state, index)));
            let new = tanh(gate(&input, 2) + reset * gate(&state, 2));
            hidden = new.clone() + update * (hidden.clone() - new);
            hidden.clone()
        })
        .collect();
    Tensor::stack(outputs, 0)
}
