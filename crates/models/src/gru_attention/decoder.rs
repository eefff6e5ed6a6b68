//! The decoder (section 3.1, appendix A.1.1).

use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};
use libellus_layers::{Activation, Linear};

use super::attention::{AdditiveAttention, Memory, attended, hide_padding};

/// A gated recurrent unit that sees the source through an attention.
#[derive(Module, Debug)]
pub struct Decoder {
    /// `W_s`, which makes the first state.
    pub(super) initial: Linear,
    pub(super) attention: AdditiveAttention,
    /// `W`, from the embedding of the token before to the gates `r`, `z` and `n`.
    pub(super) token_gates: Linear,
    /// `C`, from what the attention takes from the source.
    pub(super) context_gates: Linear,
    /// `U`, from the state.
    pub(super) state_gates: Linear,
}

/// How far a target has been decoded: the source, and the decoder's state.
#[derive(Debug, Clone)]
pub struct GruAttentionState {
    pub(super) memory: Memory,
    /// `[B, D]`.
    pub(super) hidden: Tensor<2>,
}

/// The decoder's states, and what it looked at.
pub(super) struct Decoded {
    /// `[B, T, D]`.
    pub(super) states: Tensor<3>,
    /// Weights of the attention, `[B, T, S]`.
    pub(super) weights: Tensor<3>,
}

impl GruAttentionState {
    /// Number of sequences.
    pub fn batch(&self) -> usize {
        self.hidden.dims()[0]
    }

    /// Makes sequence `rows[i]` sequence `i`, for each of `rows`: the beams that go on (in any order, some twice, some not at
    /// all), or a source that is to have several targets.
    ///
    /// # Panics
    /// If a row isn't less than the number of sequences.
    pub fn select(&mut self, rows: &[usize]) {
        let batch = self.batch();
        assert!(rows.iter().all(|&row| row < batch), "rows {rows:?} of a state of {batch} sequences");
        let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let rows = Tensor::<1, Int>::from_data(rows.as_slice(), &self.hidden.device());
        let Self { memory, hidden } = self;
        for matrix in [hidden, &mut memory.initial].into_iter().chain(&mut memory.padding) {
            *matrix = matrix.clone().select(0, rows.clone());
        }
        for sequence in [&mut memory.tokens, &mut memory.keys, &mut memory.gates] {
            *sequence = sequence.clone().select(0, rows.clone());
        }
    }
}

impl Decoder {
    /// What all steps need of a source.
    ///
    /// # Shapes
    /// - `tokens`: what the encoder puts out, `[B, S, 2 D]`
    /// - `mask`: true for tokens, `[B, S]`
    pub(super) fn read(&self, tokens: Tensor<3>, mask: Option<Tensor<2, Bool>>) -> Memory {
        let width = tokens.dims()[2] / 2;
        // The last state of the direction that ends at the first token.
        let last = tokens.clone().narrow(1, 0, 1).narrow(2, width, width).squeeze_dim(1);
        Memory {
            keys: self.attention.key.forward(tokens.clone()),
            gates: self.context_gates.forward(tokens.clone()),
            padding: mask.map(hide_padding),
            initial: Activation::Tanh.forward(self.initial.forward(last)),
            tokens,
        }
    }

    /// All steps of targets that are given.
    ///
    /// # Shapes
    /// - `embedded`: the tokens before those to predict, `[B, T, E]`
    pub(super) fn forward(&self, embedded: Tensor<3>, memory: &Memory) -> Decoded {
        let mut hidden = memory.initial.clone();
        let (mut states, mut weights) = (Vec::new(), Vec::new());
        for gates in steps(self.token_gates.forward(embedded)) {
            let seen;
            (hidden, seen) = self.step(gates, hidden, memory);
            states.push(hidden.clone());
            weights.push(seen);
        }
        Decoded { states: Tensor::stack(states, 1), weights: Tensor::stack(weights, 1) }
    }

    /// The state after a token, and how much each token of the source counted.
    ///
    /// # Shapes
    /// - `token_gates`: what the token contributes to the gates, `[B, 3 D]`
    /// - `hidden`: the state before, `[B, D]`
    /// - output: `[B, D]` and `[B, S]`
    pub(super) fn step(
        &self,
        token_gates: Tensor<2>,
        hidden: Tensor<2>,
        memory: &Memory,
    ) -> (Tensor<2>, Tensor<2>) {
        let [_, width] = hidden.dims();
        let weights = self.attention.weights(hidden.clone(), memory);
        // The weighted sum of the tokens' contributions is the contribution of their weighted sum.
        let context_gates = attended(weights.clone().unsqueeze_dim(1), memory.gates.clone());
        let input = token_gates + context_gates.squeeze_dim(1);
        let state = self.state_gates.forward(hidden.clone());
        let part = |gates: &Tensor<2>, start, count| gates.clone().narrow(1, start * width, count * width);
        let open = Activation::Sigmoid.forward(part(&input, 0, 2) + part(&state, 0, 2));
        let (reset, update) = (part(&open, 0, 1), part(&open, 1, 1));
        let new = Activation::Tanh.forward(part(&input, 2, 1) + reset * part(&state, 2, 1));
        (new.clone() + update * (hidden - new), weights)
    }
}

/// The steps of `[B, T, W]`, each `[B, W]`. By halving, because the gradient of a part is as large as the whole: to take each
/// step out of all of them would cost the square of their number.
fn steps(sequence: Tensor<3>) -> Vec<Tensor<2>> {
    match sequence.dims()[1] {
        0 => Vec::new(),
        1 => vec![sequence.squeeze_dim(1)],
        count => {
            let half = count / 2;
            let mut first = steps(sequence.clone().narrow(1, 0, half));
            first.extend(steps(sequence.narrow(1, half, count - half)));
            first
        }
    }
}
