//! Rows of a matrix by index: picked, and summed.
//!
//! Each of the two is the other's backward pass.

mod extension;
#[cfg(feature = "flex")]
mod flex;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::{IndexingUpdateOp, Int, Tensor, module};

use crate::device::is_accelerated;
use extension::GatherOps;

/// The rows of `table` at `indices`, as `table[indices]` in PyTorch.
///
/// # Shapes
/// - `table`: `[V, D]`
/// - `indices`: `[N]`, each in `0..V`; on other backends than flex, others give an undefined result or a panic
/// - output: `[N, D]`
///
/// # Panics
/// On flex, if an index is out of range.
pub fn gather_rows(table: Tensor<2>, indices: Tensor<1, Int>) -> Tensor<2> {
    if !is_accelerated(&table) {
        return table.select(0, indices);
    }
    let [count, _] = table.dims();
    Tensor::from_dispatch(Dispatch::gather_rows(table.into_dispatch(), indices.into_dispatch(), count))
}

/// The sum of the rows of each segment, zeros for a segment without rows: what nodes of a graph receive along its edges.
///
/// The rows of a segment are added in their order, as `torch.Tensor.index_add_` does to zeros.
///
/// # Shapes
/// - `values`: `[N, D]`
/// - `segments`: `[N]`, the segment of each row, in `0..count` and in any order; on other backends than flex, others give an
///   undefined result or a panic
/// - output: `[count, D]`
///
/// # Panics
/// If the numbers of rows differ, and on flex if a segment is out of range.
pub fn segment_sum(values: Tensor<2>, segments: Tensor<1, Int>, count: usize) -> Tensor<2> {
    let [rows, _] = values.dims();
    assert_eq!(segments.dims(), [rows], "a sum by segments needs the segment of each row");
    if !is_accelerated(&values) {
        return composed_sum(values, segments, count);
    }
    let (values, segments) = (values.into_dispatch(), segments.into_dispatch());
    Tensor::from_dispatch(Dispatch::sum_rows(values, segments, count))
}

fn composed_sum(values: Tensor<2>, segments: Tensor<1, Int>, count: usize) -> Tensor<2> {
    let zeros = Tensor::zeros([count, values.dims()[1]], (&values.device(), values.dtype()));
    zeros.select_assign(0, segments, values, IndexingUpdateOp::Add)
}

/// The vector of each token.
///
/// # Shapes
/// - `weight`: `[V, D]`
/// - `tokens`: `[B, T]`, each in `0..V`; on other backends than flex, others give an undefined result or a panic
/// - output: `[B, T, D]`
///
/// # Panics
/// On flex, if a token is out of range.
pub fn embedding(weight: Tensor<2>, tokens: Tensor<2, Int>) -> Tensor<3> {
    if !is_accelerated(&weight) {
        return module::embedding(weight, tokens);
    }
    let ([batch, length], [_, width]) = (tokens.dims(), weight.dims());
    gather_rows(weight, tokens.reshape([batch * length])).reshape([batch, length, width])
}
