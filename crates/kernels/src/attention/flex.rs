//! Attention on flex: a thread takes a head of keys and works on a few dozen queries at a time, whose scores stay in
//! its second-level cache. Products are those of burn, which read strided heads where they are.

use std::ops::Range;

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::TensorData;
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::extension::{AttentionGradient, AttentionOps};
use super::{Causal, Mask};
use crate::fresh::filled;
use crate::lanes::{max, replace_and_sum, two_sums};
use crate::lines::add_up;
use crate::memory::{FlexTensor, contiguous, for_each, own, values};
use crate::scalar::exp;
use crate::scratch::with_scratch;
use crate::vector::LINE;

/// Products of fewer multiplications are computed on the calling thread by burn-flex 0.22.1.
const ON_ONE_THREAD: usize = 192 * 192 * 192;

/// Queries at a time at most: enough for the product to be efficient.
const QUERIES: usize = 64;

impl AttentionOps for Flex {
    fn attention_by_blocks(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        mask: Mask<Self>,
        scale: f64,
        causal: Causal,
    ) -> FloatTensor<Self> {
        let heads = Heads::new(&query, &key, &value, &mask, scale, causal);
        let Sizes { batch, heads: count, queries, value_width, .. } = heads.sizes;
        let block = heads.sizes.queries_at_a_time();
        let output = filled(batch * count * queries * value_width, |output| {
            // Blocks of queries don't cross heads.
            let pieces: Vec<_> = output
                .chunks((queries * value_width).max(1))
                .enumerate()
                .flat_map(|(head, output)| {
                    output.chunks((block * value_width).max(1)).enumerate().map(move |piece| (head, piece))
                })
                .collect();
            for_each(pieces.into_par_iter(), |(head, (index, output))| {
                let first = index * block;
                let rows = first..(first + block).min(queries);
                if let Some(few) = heads.few_queries(head, &rows) {
                    few.write(output.zeroed());
                } else if let Some(Block { weights, value, .. }) = heads.block(head, rows) {
                    output.copied(values(&Flex::float_matmul(weights, value)));
                } else {
                    output.zeroed();
                }
            });
        });
        FlexTensor::from_data(TensorData::new(output, [batch, count, queries, value_width]))
    }
}

impl AttentionGradient for Flex {
    fn attention_gradients(
        [query, key, value]: [FloatTensor<Self>; 3],
        mask: Mask<Self>,
        scale: f64,
        causal: Causal,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        let gradient = contiguous(gradient);
        let heads = Heads::new(&query, &key, &value, &mask, scale, causal);
        let Sizes { batch, heads: count, groups, queries, keys, width, value_width } = heads.sizes;
        let (mut of_query, mut of_key, mut of_value) = (
            vec![0.0; batch * count * queries * width],
            vec![0.0; batch * groups * keys * width],
            vec![0.0; batch * groups * keys * value_width],
        );
        let sharing = count / groups;
        let pieces = of_query
            .par_chunks_mut((sharing * queries * width).max(1))
            .zip(of_key.par_chunks_mut((keys * width).max(1)))
            .zip(of_value.par_chunks_mut((keys * value_width).max(1)))
            .enumerate();
        for_each(pieces, |(group, ((of_query, of_key), of_value))| {
            for (index, of_query) in of_query.chunks_mut((queries * width).max(1)).enumerate() {
                let head = group * sharing + index;
                let block = heads.sizes.queries_at_a_time();
                for (index, of_query) in of_query.chunks_mut((block * width).max(1)).enumerate() {
                    let first = index * block;
                    let rows = first..(first + block).min(queries);
                    let gradient = matrix(&gradient, count, head, rows.clone());
                    heads.block_gradients(head, rows, gradient, of_query, of_key, of_value);
                }
            }
        });
        [
            FlexTensor::from_data(TensorData::new(of_query, [batch, count, queries, width])),
            FlexTensor::from_data(TensorData::new(of_key, [batch, groups, keys, width])),
            FlexTensor::from_data(TensorData::new(of_value, [batch, groups, keys, value_width])),
        ]
    }
}

/// The parts of attention.
struct Heads<'a> {
    query: &'a FlexTensor,
    key: &'a FlexTensor,
    value: &'a FlexTensor,
    mask: &'a Mask<Flex>,
    scale: f32,
    causal: Causal,
    sizes: Sizes,
}

#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    heads: usize,
    groups: usize,
    queries: usize,
    keys: usize,
    width: usize,
    value_width: usize,
}

impl Sizes {
    /// So few that each product is small enough to stay on the calling thread.
    fn queries_at_a_time(self) -> usize {
        let of_a_query = self.keys * self.width.max(self.value_width).max(1);
        ((ON_ONE_THREAD - 1) / of_a_query).clamp(1, QUERIES)
    }
}

/// Weights of a few queries of one head, and the keys and values that they may see: all matrices.
struct Block {
    query: FlexTensor,
    key: FlexTensor,
    value: FlexTensor,
    weights: FlexTensor,
}

impl<'a> Heads<'a> {
    fn new(
        query: &'a FlexTensor,
        key: &'a FlexTensor,
        value: &'a FlexTensor,
        mask: &'a Mask<Flex>,
        scale: f64,
        causal: Causal,
    ) -> Self {
        let ([batch, heads, queries, width], [_, groups, keys, value_width]) =
            (query.layout().shape().dims(), value.layout().shape().dims());
        let sizes = Sizes { batch, heads, groups, queries, keys, width, value_width };
        Self { query, key, value, mask, scale: scale as f32, causal, sizes }
    }

    /// How many keys the last of some queries sees, if any.
    fn keys_seen(&self, rows: &Range<usize>) -> Option<usize> {
        let Sizes { queries, keys, .. } = self.sizes;
        let last = match self.causal {
            Causal::No => keys,
            Causal::Yes => (rows.end + keys).saturating_sub(queries),
        };
        (last > 0).then_some(last)
    }

    /// Some queries of a head, and the first keys and values.
    fn matrices(&self, head: usize, rows: &Range<usize>, last: usize) -> [FlexTensor; 3] {
        let Sizes { heads, groups, .. } = self.sizes;
        let [key, value] =
            [self.key, self.value].map(|part| matrix(part, groups, head * groups / heads, 0..last));
        [matrix(self.query, heads, head, rows.clone()), key, value]
    }

    /// What is hidden of the first keys.
    fn hidden(&self, head: usize, rows: Range<usize>, last: usize) -> Option<FlexTensor> {
        match self.mask {
            Mask::Nothing => None,
            Mask::Hidden(mask) => {
                let rows = matrix(mask, self.sizes.heads, head, rows);
                let layout = rows.layout().narrow(3, 0, last);
                Some(rows.with_layout(layout).to_contiguous())
            }
        }
    }

    /// Queries that are too few for products of matrices, as there is one where text is generated; nothing if there are more, they
    /// see nothing, or their numbers don't lie side by side.
    fn few_queries(&self, head: usize, rows: &Range<usize>) -> Option<FewQueries> {
        let last = (rows.len() <= FEW).then(|| self.keys_seen(rows)).flatten()?;
        let [query, key, value] = self.matrices(head, rows, last);
        let side_by_side = |tensor: &FlexTensor| {
            let strides = tensor.layout().strides();
            strides[3] == 1 && strides[2] >= 0
        };
        let possible = [&query, &key, &value].into_iter().all(side_by_side);
        possible.then(|| FewQueries {
            hidden: self.hidden(head, rows.clone(), last),
            query,
            key,
            value,
            last,
            causal: self.causal,
            scale: self.scale,
        })
    }

    /// The block of some queries of a head, counted over the whole batch; none if they see no key.
    fn block(&self, head: usize, rows: Range<usize>) -> Option<Block> {
        let last = self.keys_seen(&rows)?;
        let [query, key, value] = self.matrices(head, &rows, last);
        let mut weights = Flex::float_matmul(query.clone(), Flex::float_transpose(key.clone()));
        let hidden = self.hidden(head, rows, last);
        AutoArch::new().dispatch(Weights {
            scores: own(&mut weights),
            hidden: hidden.as_ref().map(|hidden| hidden.storage()),
            last,
            causal: self.causal,
            scale: self.scale,
        });
        Some(Block { query, key, value, weights })
    }

    /// Writes the gradients of some queries of a head, and adds those of the keys and values that they see.
    fn block_gradients(
        &self,
        head: usize,
        rows: Range<usize>,
        gradient: FlexTensor,
        of_query: &mut [f32],
        of_key: &mut [f32],
        of_value: &mut [f32],
    ) {
        let Some(Block { query, key, value, weights }) = self.block(head, rows) else { return };
        let width = value.layout().shape()[2];
        let mut of_scores = Flex::float_matmul(gradient.clone(), Flex::float_transpose(value));
        AutoArch::new().dispatch(ScoreGradients {
            gradients: own(&mut of_scores),
            weights: values(&weights),
            width,
            scale: self.scale,
        });
        add(of_value, &Flex::float_matmul(Flex::float_transpose(weights), gradient));
        add(of_key, &Flex::float_matmul(Flex::float_transpose(of_scores.clone()), query));
        of_query.copy_from_slice(values(&Flex::float_matmul(of_scores, key)));
    }
}

/// Some rows of a head of `[B, heads, T, D]`, counted over the whole batch, as `[1, 1, rows, D]`.
fn matrix(tensor: &FlexTensor, heads: usize, head: usize, rows: Range<usize>) -> FlexTensor {
    let layout = tensor.layout().narrow(0, head / heads, 1).narrow(1, head % heads, 1);
    tensor.clone().with_layout(layout.narrow(2, rows.start, rows.len()))
}

/// A row of `[1, 1, rows, D]` whose numbers lie side by side.
#[inline(always)]
fn row(tensor: &FlexTensor, index: usize) -> &[f32] {
    let layout = tensor.layout();
    let start = layout.start_offset() + index * layout.strides()[2].unsigned_abs();
    &tensor.storage()[start..start + layout.shape()[3]]
}

/// Queries of one head that are multiplied with each key.
struct FewQueries {
    query: FlexTensor,
    key: FlexTensor,
    value: FlexTensor,
    hidden: Option<FlexTensor>,
    /// Keys that the last query sees.
    last: usize,
    causal: Causal,
    scale: f32,
}

/// The most of them.
const FEW: usize = 4;

impl FewQueries {
    /// Adds the values that they see, by their weights, to a row for each.
    fn write(&self, output: &mut [f32]) {
        let queries = self.query.layout().shape()[2];
        with_scratch(queries * self.last, |scores| {
            AutoArch::new().dispatch(Scores { few: self, scores });
            AutoArch::new().dispatch(Weights {
                scores,
                hidden: self.hidden.as_ref().map(|hidden| hidden.storage()),
                last: self.last,
                causal: self.causal,
                scale: self.scale,
            });
            AutoArch::new().dispatch(Values { few: self, weights: scores, output });
        });
    }
}

/// The products of each query with each key.
struct Scores<'a> {
    few: &'a FewQueries,
    scores: &'a mut [f32],
}

impl WithSimd for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        for (index, scores) in self.scores.chunks_exact_mut(self.few.last).enumerate() {
            let (query, query_rest) = row(&self.few.query, index).as_chunks::<LINE>();
            for (part, scores) in scores.chunks_mut(LINE).enumerate() {
                let mut lines = [[0.0_f32; LINE]; LINE];
                for (key, line) in lines[..scores.len()].iter_mut().enumerate() {
                    let (key, key_rest) = row(&self.few.key, part * LINE + key).as_chunks::<LINE>();
                    for (query, key) in query.iter().zip(key) {
                        for ((sum, &query), &key) in line.iter_mut().zip(query).zip(key) {
                            *sum = query.mul_add(key, *sum);
                        }
                    }
                    for ((sum, &query), &key) in line.iter_mut().zip(query_rest).zip(key_rest) {
                        *sum = query.mul_add(key, *sum);
                    }
                }
                let count = scores.len();
                add_up::<S>(&lines[..count], scores);
            }
        }
    }
}

/// The sums of values by weights.
struct Values<'a> {
    few: &'a FewQueries,
    weights: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for Values<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let width = self.few.value.layout().shape()[3];
        let outputs = self.output.chunks_exact_mut(width);
        for (output, weights) in outputs.zip(self.weights.chunks_exact(self.few.last)) {
            for (key, &weight) in weights.iter().enumerate() {
                for (sum, &value) in output.iter_mut().zip(row(&self.few.value, key)) {
                    *sum = value.mul_add(weight, *sum);
                }
            }
        }
    }
}

/// Adds `terms` to the first of `sums`.
fn add(sums: &mut [f32], terms: &FlexTensor) {
    for (sum, term) in sums.iter_mut().zip(values(terms)) {
        *sum += term;
    }
}

/// Replaces rows of scores by weights.
struct Weights<'a> {
    scores: &'a mut [f32],
    /// Not 0 where a key is hidden.
    hidden: Option<&'a [u8]>,
    /// Keys that the last row sees: the length of a row.
    last: usize,
    /// Whether the rows before see fewer.
    causal: Causal,
    scale: f32,
}

impl WithSimd for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { scores, hidden, last, causal, scale } = self;
        let rows = scores.len() / last;
        for (index, row) in scores.chunks_exact_mut(last).enumerate() {
            let seen = match causal {
                Causal::No => last,
                Causal::Yes => (last + index + 1).saturating_sub(rows),
            };
            let (row, future) = row.split_at_mut(seen);
            future.fill(0.0);
            for x in row.iter_mut() {
                *x *= scale;
            }
            if let Some(hidden) = hidden {
                for (x, &hidden) in row.iter_mut().zip(&hidden[index * last..]) {
                    *x = if hidden == 0 { *x } else { f32::NEG_INFINITY };
                }
            }
            // Kept finite, so that a query that sees nothing has weights of zero, not NaN.
            let largest = max(row).max(f32::MIN);
            let total = replace_and_sum(row, |x| exp(x - largest));
            let scale = if total == 0.0 { 0.0 } else { 1.0 / total };
            for x in row {
                *x *= scale;
            }
        }
    }
}

/// Replaces rows of gradients of the weights by those of the scores.
struct ScoreGradients<'a> {
    gradients: &'a mut [f32],
    weights: &'a [f32],
    width: usize,
    scale: f32,
}

impl WithSimd for ScoreGradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let rows = self.gradients.chunks_exact_mut(self.width).zip(self.weights.chunks_exact(self.width));
        for (gradients, weights) in rows {
            let (total, _) = two_sums(gradients, weights, |g, w| (g * w, 0.0));
            for (g, &w) in gradients.iter_mut().zip(weights) {
                *g = self.scale * w * (*g - total);
            }
        }
    }
}
