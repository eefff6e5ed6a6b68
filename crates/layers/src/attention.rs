//! Scaled dot-product attention: the one function that every architecture's attention goes through.
//!
//! Vaswani et al. 2017, *Attention Is All You Need*, arXiv:1706.03762, section 3.2.1. Reference:
//! `torch.nn.functional.scaled_dot_product_attention`.
//! Shapes: `B` batch, `H` heads, `G` heads of keys and values, `T` queries, `S` keys, `D` width of a head.
//!
//! [`libellus_kernels::attention`] does the work, but with dropout, which needs all weights at once.
//!
//! *Differences* to PyTorch: a mask says what is hidden rather than what is seen, causality is aligned to the last key
//! (so that queries which follow a cache see all of it), and a query that sees nothing yields zeros instead of NaN.

use burn::tensor::{Bool, Int, Tensor};
pub use libellus_kernels::Causal;
use libellus_kernels::{self as kernels, masked_softmax, repeat_heads};

use crate::trace;

/// How [`attention`] departs from every query seeing every key.
#[derive(Debug, Clone, Default)]
pub struct AttentionOptions {
    /// What scores are multiplied by; `1 / sqrt(D)` if not given.
    pub scale: Option<f64>,
    /// Whether the future is hidden.
    pub causal: Causal,
    /// True where a key is hidden, `[B or 1, H or 1, T or 1, S]`.
    pub mask: Option<Tensor<4, Bool>>,
    /// Probability of an attention weight being dropped under autodiff, in `[0, 1)`.
    pub dropout: f64,
}

impl AttentionOptions {
    /// Whether weights of these queries are dropped.
    fn drops<const D: usize>(&self, queries: &Tensor<D>) -> bool {
        self.dropout > 0.0 && queries.device().is_autodiff()
    }
}

/// `softmax(Q Kᵀ scale) V` for each head, over the keys that a query may see.
///
/// # Shapes
/// - `query`: `[B, H, T, D]`
/// - `key`, `value`: `[B, G, S, D]`; each serves `H / G` neighbouring heads of queries
/// - output: `[B, H, T, D]`
///
/// # Panics
/// If shapes don't fit each other, or `G` doesn't divide `H`.
pub fn attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    options: &AttentionOptions,
) -> Tensor<4> {
    let [batch, heads, queries, width] = query.dims();
    let [_, groups, keys, value_width] = value.dims();
    assert_eq!(key.dims(), [batch, groups, keys, width], "keys don't fit queries {:?}", query.dims());
    assert!(groups > 0 && heads.is_multiple_of(groups), "{groups} heads of keys don't divide {heads}");
    trace::product((batch * heads * queries * keys * (width + value_width)) as u64);
    if trace::only_shapes() || queries == 0 || keys == 0 {
        return Tensor::zeros([batch, heads, queries, value_width], &query.device());
    }

    if options.drops(&query) {
        let [key, value] = [key, value].map(|x| repeat_heads(x, heads / groups));
        let mask = options.mask.clone().map(|mask| mask.expand([batch, heads, queries, keys]));
        return with_dropout(query, key, value, mask, options);
    }
    let scale = options.scale.unwrap_or_else(|| 1.0 / (width as f64).sqrt());
    kernels::attention(query, key, value, options.mask.clone(), scale, options.causal)
}

/// [`attention`] of a fused projection's output: queries, keys and values side by side, in this order.
///
/// # Shapes
/// - `packed`: `[B, T, 3 H D]`
/// - output: `[B, T, H D]`
///
/// # Panics
/// If a third of the width isn't a multiple of `n_heads`.
pub fn packed_attention(packed: Tensor<3>, n_heads: usize, options: &AttentionOptions) -> Tensor<3> {
    let [batch, tokens, wide] = packed.dims();
    let width = wide / 3;
    if options.drops(&packed) {
        let [query, key, value] = split_packed(packed, n_heads);
        return merge_heads(attention(query, key, value, options));
    }
    trace::product((2 * batch * tokens * tokens * width) as u64);
    if trace::only_shapes() {
        return Tensor::zeros([batch, tokens, width], &packed.device());
    }
    let scale = options.scale.unwrap_or_else(|| 1.0 / ((width / n_heads) as f64).sqrt());
    kernels::packed_attention(packed, n_heads, options.mask.clone(), scale, options.causal)
}

/// Queries, keys and values side by side as heads: `[B, T, 3 H D]` to three times `[B, H, T, D]`: views, where the backend has
/// them.
///
/// # Panics
/// If a third of the width isn't a multiple of `n_heads`.
pub fn split_packed(packed: Tensor<3>, n_heads: usize) -> [Tensor<4>; 3] {
    let heads = split_heads(packed, 3 * n_heads);
    [0, 1, 2].map(|part| heads.clone().narrow(1, part * n_heads, n_heads))
}

fn with_dropout(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    mask: Option<Tensor<4, Bool>>,
    options: &AttentionOptions,
) -> Tensor<4> {
    let [_, _, queries, width] = query.dims();
    let keys = key.dims()[2];
    let device = query.device();
    let scale = options.scale.unwrap_or_else(|| 1.0 / (width as f64).sqrt());
    let mut scores = query.matmul(key.transpose()) * scale;
    let hidden = [mask, (options.causal == Causal::Yes).then(|| future(queries, keys, &device))];
    for hidden in hidden.into_iter().flatten() {
        scores = scores.mask_fill(hidden, f32::NEG_INFINITY);
    }
    let weights = masked_softmax(scores);

    kernels::dropout(weights, options.dropout).matmul(value)
}

/// True where key `s` is hidden from query `t` because it comes later: `[1, 1, T, S]`.
fn future(queries: usize, keys: usize, device: &burn::tensor::Device) -> Tensor<4, Bool> {
    let (first, keys) = (keys as i64 - queries as i64, keys as i64);
    let last_seen = Tensor::<1, Int>::arange(first..keys, device).reshape([1, 1, queries, 1]);
    let key = Tensor::<1, Int>::arange(0..keys, device).reshape([1, 1, 1, keys as usize]);
    last_seen.lower(key)
}

/// A sequence of vectors as heads: `[B, T, H D]` to `[B, H, T, D]`.
///
/// # Panics
/// If the width isn't a multiple of `n_heads`.
pub fn split_heads(sequence: Tensor<3>, n_heads: usize) -> Tensor<4> {
    let [batch, tokens, width] = sequence.dims();
    assert!(width.is_multiple_of(n_heads), "{n_heads} heads don't divide a width of {width}");
    sequence.reshape([batch, tokens, n_heads, width / n_heads]).swap_dims(1, 2)
}

/// Heads as a sequence of vectors: `[B, H, T, D]` to `[B, T, H D]`.
pub fn merge_heads(heads: Tensor<4>) -> Tensor<3> {
    let [batch, n_heads, tokens, width] = heads.dims();
    heads.swap_dims(1, 2).reshape([batch, tokens, n_heads * width])
}

#[cfg(test)]
mod tests;
