//! Attention of several heads, without a matrix of all scores.

#[cfg(feature = "flex")]
mod block;
mod extension;
#[cfg(feature = "flex")]
mod flex;
#[cfg(test)]
mod tests;

use burn::backend::{Backend, Dispatch, ExtensionType, tensor::BoolTensor};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Tensor, module};

use crate::device::is_accelerated;
use crate::masked_softmax;
use extension::AttentionOps;

/// Whether queries see the keys behind them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Causal {
    /// Every key is seen.
    #[default]
    No,
    /// Query `t` of `T` sees keys up to `t + S - T` of `S`.
    Yes,
}

/// `softmax(Q Kᵀ scale) V` for each head, over the keys that a query may see; zeros for a query that sees none.
///
/// Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1. On flex a few dozen queries are worked on at a time, and the
/// backward pass computes their weights again (Dao et al. 2022, arXiv:2205.14135, section 3.1): memory grows with the
/// length, not with its square.
///
/// # Shapes
/// - `query`: `[B, H, T, D]`
/// - `key`: `[B, G, S, D]`, `value`: `[B, G, S, E]`; each serves `H / G` neighbouring heads of queries
/// - `hidden`: true where a key is hidden, `[B or 1, H or 1, T or 1, S or 1]`
/// - output: `[B, H, T, E]`
///
/// # Panics
/// If shapes don't fit each other, or `G` doesn't divide `H`.
pub fn attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    hidden: Option<Tensor<4, Bool>>,
    scale: f64,
    causal: Causal,
) -> Tensor<4> {
    let [batch, heads, queries, width] = query.dims();
    let [_, groups, keys, value_width] = value.dims();
    assert_eq!(key.dims(), [batch, groups, keys, width], "keys don't fit queries {:?}", query.dims());
    assert!(groups > 0 && heads.is_multiple_of(groups), "{groups} heads of keys don't divide {heads}");
    let hidden = hidden.map(|hidden| hidden.expand([batch, heads, queries, keys]));
    if queries == 0 || keys == 0 {
        return Tensor::zeros([batch, heads, queries, value_width], &query.device());
    }
    if ![&query, &key, &value].into_iter().all(is_accelerated) || width * value_width == 0 {
        return match queries {
            1 => composed_single(query, key, value, hidden, scale),
            _ => composed(query, key, value, hidden, scale, causal),
        };
    }
    let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
    let mask = hidden.map_or(Mask::Nothing, |hidden| Mask::Hidden(hidden.into_dispatch()));
    Tensor::from_dispatch(Dispatch::attention_by_blocks(query, key, value, mask, scale, causal))
}

/// [`attention`] of queries, keys and values that a fused projection has put side by side, in this order.
///
/// On flex nothing is copied on the way, nor are three gradients put together.
///
/// # Shapes
/// - `packed`: `[B, T, 3 H D]`
/// - `hidden`: true where a key is hidden, `[B or 1, H or 1, T or 1, T or 1]`
/// - output: `[B, T, H D]`
///
/// # Panics
/// If shapes don't fit each other, or the width of `packed` isn't a multiple of `3 heads`.
pub fn packed_attention(
    packed: Tensor<3>,
    heads: usize,
    hidden: Option<Tensor<4, Bool>>,
    scale: f64,
    causal: Causal,
) -> Tensor<3> {
    let [batch, tokens, width] = packed.dims();
    assert!(heads > 0 && width.is_multiple_of(3 * heads), "{heads} heads don't divide a third of {width}");
    if is_accelerated(&packed) && batch * tokens * width > 0 {
        let hidden = hidden.map(|hidden| hidden.expand([batch, heads, tokens, tokens]));
        let mask = hidden.map_or(Mask::Nothing, |hidden| Mask::Hidden(hidden.into_dispatch()));
        let packed = packed.into_dispatch();
        let output = Dispatch::packed_attention_by_blocks(packed, mask, heads, scale, causal);
        return Tensor::from_dispatch(output);
    }
    let parts = packed.reshape([batch, tokens, 3 * heads, width / (3 * heads)]).swap_dims(1, 2);
    let [query, key, value] = [0, 1, 2].map(|part| parts.clone().narrow(1, part * heads, heads));
    attention(query, key, value, hidden, scale, causal).swap_dims(1, 2).reshape([batch, tokens, width / 3])
}

/// What is hidden besides the future.
#[derive(Debug, Clone, ExtensionType)]
pub(crate) enum Mask<B: Backend> {
    /// Nothing.
    Nothing,
    /// True where a key is hidden, `[B, H, T, S]`.
    Hidden(BoolTensor<B>),
}

/// The same of burn's operations.
fn composed(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    hidden: Option<Tensor<4, Bool>>,
    scale: f64,
    causal: Causal,
) -> Tensor<4> {
    let sharing = query.dims()[1] / key.dims()[1];
    let [key, value] = [key, value].map(|heads| repeat_heads(heads, sharing));
    let options =
        AttentionModuleOptions { scale: Some(scale), softcap: None, is_causal: causal == Causal::Yes };
    module::attention(query, key, value, hidden, None, options)
}

/// One query, from which nothing is hidden as future. Keys and values are read where they are: neither copied nor repeated for
/// the heads that share them.
fn composed_single(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    hidden: Option<Tensor<4, Bool>>,
    scale: f64,
) -> Tensor<4> {
    let [batch, heads, _, width] = query.dims();
    let [_, groups, keys, value_width] = value.dims();
    let sharing = heads / groups;
    let query = query.reshape([batch, groups, sharing, width]) * scale;
    let mut scores = query.matmul(key.transpose());
    if let Some(hidden) = hidden {
        scores = scores.mask_fill(hidden.reshape([batch, groups, sharing, keys]), f32::NEG_INFINITY);
    }
    masked_softmax(scores).matmul(value).reshape([batch, heads, 1, value_width])
}

/// `[B, G, S, D]` as `[B, G repeats, S, D]`, each head standing next to its copies.
pub fn repeat_heads(heads: Tensor<4>, repeats: usize) -> Tensor<4> {
    if repeats == 1 {
        return heads;
    }
    let [batch, groups, keys, width] = heads.dims();
    let repeated = heads.unsqueeze_dim::<5>(2).expand([batch, groups, repeats, keys, width]);
    repeated.reshape([batch, groups * repeats, keys, width])
}
