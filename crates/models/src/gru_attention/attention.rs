//! Attention to the source (section 3.1, appendix A.1.2).

use burn::module::Module;
use burn::tensor::{Bool, Tensor, activation};
use libellus_layers::{Activation, Linear, trace};

/// Stands in place of the score of padding, and makes its weight zero.
const HIDDEN: f64 = -1e30;

/// Attention whose scores come from a layer of hyperbolic tangents: `vᵀ tanh(W s + U h)` for a state `s` of the decoder and
/// each token `h` of the source.
#[derive(Module, Debug)]
pub struct AdditiveAttention {
    /// `W_a`.
    pub(super) query: Linear,
    /// `U_a`.
    pub(super) key: Linear,
    /// `v_a`.
    pub(super) score: Linear,
}

/// A source that has been read, and all that the decoder needs of it, computed once for all steps.
#[derive(Debug, Clone)]
pub struct Memory {
    /// What the encoder puts out, `[B, S, 2 D]`. It means nothing where the source is padding.
    pub tokens: Tensor<3>,
    /// What the tokens contribute to the attention's hidden units, `[B, S, D]`.
    pub(super) keys: Tensor<3>,
    /// What the tokens contribute to the decoder's gates, `[B, S, 3 D]`.
    pub(super) gates: Tensor<3>,
    /// Zero for tokens and [`HIDDEN`] for padding, `[B, S]`.
    pub(super) padding: Option<Tensor<2>>,
    /// The decoder's first state, `[B, D]`.
    pub(super) initial: Tensor<2>,
}

impl AdditiveAttention {
    /// How much each token of the source counts; a sequence's weights add up to 1.
    ///
    /// # Shapes
    /// - `state`: `[B, D]`
    /// - output: `[B, S]`
    pub(super) fn weights(&self, state: Tensor<2>, memory: &Memory) -> Tensor<2> {
        let query = self.query.forward(state).unsqueeze_dim::<3>(1);
        let hidden = Activation::Tanh.forward(memory.keys.clone() + query);
        let scores = self.score.forward(hidden).squeeze_dim::<2>(2);
        let scores = match &memory.padding {
            Some(padding) => scores + padding.clone(),
            None => scores,
        };
        activation::softmax(scores, 1)
    }
}

/// The sums of a source's `values`, weighted.
///
/// # Shapes
/// - `weights`: `[B, T, S]`
/// - `values`: `[B, S, W]`
/// - output: `[B, T, W]`
pub(super) fn attended(weights: Tensor<3>, values: Tensor<3>) -> Tensor<3> {
    let ([batch, targets, sources], [_, _, width]) = (weights.dims(), values.dims());
    trace::product((batch * targets * sources * width) as u64);
    weights.matmul(values)
}

/// Zero for tokens and [`HIDDEN`] for padding.
pub(super) fn hide_padding(mask: Tensor<2, Bool>) -> Tensor<2> {
    mask.bool_not().float() * HIDDEN
}
