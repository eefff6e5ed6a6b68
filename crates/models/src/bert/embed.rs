//! From the tokens of a sentence to one vector.

use burn::tensor::{Bool, Tensor};

/// The mean of a sentence's tokens without its padding, scaled to length 1: the dot product of two such vectors is the
/// cosine of the angle between them. A sentence of padding alone gives zeros.
///
/// Reimers and Gurevych 2019, arXiv:1908.10084, section 3 ("MEAN"). Reference: the `Pooling` and `Normalize` modules of
/// sentence-transformers.
///
/// # Shapes
/// - `hidden`: `[B, T, D]`
/// - `mask`: true for tokens, false for padding, `[B, T]`
/// - output: `[B, D]`
///
/// # Panics
/// If the shapes don't fit.
pub fn sentence_embedding(hidden: Tensor<3>, mask: Tensor<2, Bool>) -> Tensor<2> {
    let mean = masked_mean(hidden, mask);
    let length = mean.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
    mean / length
}

/// The mean of each text's tokens without its padding; of padding alone, zeros.
///
/// # Shapes
/// - `hidden`: `[B, T, D]`
/// - `mask`: true for tokens, false for padding, `[B, T]`
/// - output: `[B, D]`
///
/// # Panics
/// If the shapes don't fit.
pub fn masked_mean(hidden: Tensor<3>, mask: Tensor<2, Bool>) -> Tensor<2> {
    let weights = mask.float().unsqueeze_dim::<3>(2);
    let count = weights.clone().sum_dim(1).clamp_min(1.0);
    // Padding may hold anything, which must not come through as NaN.
    let padding = weights.equal_elem(0.0).expand(hidden.dims());
    let kept = hidden.mask_fill(padding, 0.0);
    (kept.sum_dim(1) / count).squeeze_dim(1)
}
