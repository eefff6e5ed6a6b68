//! Attention on flex: heads go to the threads, and are worked on in [blocks](super::block) of queries.
//!
//! What is put out lies in memory as `[B, T, heads, D]`, as the projection that follows wants it, and is seen as `[B, heads, T, D]`.

use std::ops::Range;

use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::TensorData;
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::block::{Backward, Forward, Head, HeadGradients, QUERIES};
use super::extension::{AttentionGradient, AttentionOps};
use super::{Causal, Mask};
use crate::fresh::{Fresh, Writer, filled};
use crate::lanes::{max, replace_and_sum};
use crate::lines::add_up;
use crate::matrix::Matrix;
use crate::memory::{FlexTensor, contiguous, for_each};
use crate::scalar::exp;
use crate::scratch::with_scratch;
use crate::vector::{LINE, lanes, load, multiply_add, splat, store};

/// Parts that the work falls into at least, where it can, whatever the number of threads.
const PARTS: usize = 8;

impl AttentionOps for Flex {
    fn attention_by_blocks(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        mask: Mask<Self>,
        scale: f64,
        causal: Causal,
    ) -> FloatTensor<Self> {
        let heads = Heads::new([query, key, value], &mask, scale, causal);
        let Sizes { batch, heads: count, queries, value_width, .. } = heads.sizes;
        let output =
            FlexTensor::from_data(TensorData::new(heads.forward(), [batch, queries, count, value_width]));
        output.transpose(1, 2)
    }

    fn packed_attention_by_blocks(
        packed: FloatTensor<Self>,
        mask: Mask<Self>,
        heads: usize,
        scale: f64,
        causal: Causal,
    ) -> FloatTensor<Self> {
        let [batch, tokens, width] = packed.layout().shape().dims();
        let heads = Heads::new(unpacked(packed, heads), &mask, scale, causal);
        FlexTensor::from_data(TensorData::new(heads.forward(), [batch, tokens, width / 3]))
    }
}

impl AttentionGradient for Flex {
    fn attention_gradients(
        parts: [FloatTensor<Self>; 3],
        mask: Mask<Self>,
        scale: f64,
        causal: Causal,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        let heads = Heads::new(parts, &mask, scale, causal);
        let Sizes { batch, heads: count, groups, queries, keys, width, value_width } = heads.sizes;
        let shapes = [
            [batch, queries, count, width],
            [batch, keys, groups, width],
            [batch, keys, groups, value_width],
        ];
        let len = shapes.map(|shape| shape.iter().product());
        let mut of_key_and_value = [Vec::new(), Vec::new()];
        let of_query = filled(len[0], |of_query| {
            let [of_key, of_value] = &mut of_key_and_value;
            *of_key = filled(len[1], |of_key| {
                *of_value = filled(len[2], |of_value| {
                    heads.backward(
                        side_by_side(gradient),
                        rows_of_heads(of_query, shapes[0]),
                        rows_of_heads(of_key, shapes[1]),
                        rows_of_heads(of_value, shapes[2]),
                    );
                });
            });
        });
        let [of_key, of_value] = of_key_and_value;
        [(of_query, shapes[0]), (of_key, shapes[1]), (of_value, shapes[2])]
            .map(|(numbers, shape)| FlexTensor::from_data(TensorData::new(numbers, shape)).transpose(1, 2))
    }

    fn packed_attention_gradient(
        packed: FloatTensor<Self>,
        mask: Mask<Self>,
        heads: usize,
        scale: f64,
        causal: Causal,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let shape: [usize; 3] = packed.layout().shape().dims();
        let [batch, tokens, width] = shape;
        let of_head = width / (3 * heads);
        let gradient = contiguous(gradient).reshape([batch, tokens, heads, of_head].into()).transpose(1, 2);
        let parts = Heads::new(unpacked(packed, heads), &mask, scale, causal);
        let output = filled(batch * tokens * width, |output| {
            // Those of an element of the batch: of queries, keys and values.
            let all = rows_of_heads(output, [batch, tokens, 3 * heads, of_head]);
            let mut of_parts = [Vec::new(), Vec::new(), Vec::new()];
            for (index, rows) in all.into_iter().enumerate() {
                of_parts[index / heads % 3].push(rows);
            }
            let [of_query, of_key, of_value] = of_parts;
            parts.backward(gradient, of_query, of_key, of_value);
        });
        FlexTensor::from_data(TensorData::new(output, shape))
    }
}

/// Queries, keys and values of `[B, T, 3 heads D]` as `[B, heads, T, D]`.
fn unpacked(packed: FlexTensor, heads: usize) -> [FlexTensor; 3] {
    let [batch, tokens, width] = packed.layout().shape().dims();
    let all =
        contiguous(packed).reshape([batch, tokens, 3 * heads, width / (3 * heads)].into()).transpose(1, 2);
    [0, 1, 2].map(|part| {
        let layout = all.layout().narrow(1, part * heads, heads);
        all.clone().with_layout(layout)
    })
}

/// A tensor whose last dimension lies side by side: itself, or a copy.
fn side_by_side(tensor: FlexTensor) -> FlexTensor {
    let strides = tensor.layout().strides();
    let fits = strides[3] == 1 && strides.iter().all(|&stride| stride >= 0);
    if fits { tensor } else { tensor.to_contiguous() }
}

/// For each head of `[B, T, heads, D]`, counted over the whole batch, its piece of each row.
fn rows_of_heads(output: Fresh<'_>, [batch, tokens, heads, width]: [usize; 4]) -> Vec<Vec<Fresh<'_>>> {
    let mut rows: Vec<_> = (0..batch * heads).map(|_| Vec::with_capacity(tokens)).collect();
    for (index, piece) in output.chunks(width).enumerate() {
        rows[index / (tokens * heads) * heads + index % heads].push(piece);
    }
    rows
}

/// The parts of attention.
struct Heads<'a> {
    query: FlexTensor,
    key: FlexTensor,
    value: FlexTensor,
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

impl<'a> Heads<'a> {
    fn new(parts: [FlexTensor; 3], mask: &'a Mask<Flex>, scale: f64, causal: Causal) -> Self {
        let [query, key, value] = parts;
        let ([batch, heads, queries, width], [_, groups, keys, value_width]) =
            (query.layout().shape().dims(), value.layout().shape().dims());
        let sizes = Sizes { batch, heads, groups, queries, keys, width, value_width };
        let scale = scale as f32;
        let [query, key, value] = [query, key, value].map(side_by_side);
        Self { query, key, value, mask, scale, causal, sizes }
    }

    /// `[B, T, heads, D]`.
    fn forward(&self) -> Vec<f32> {
        let Sizes { batch, heads, queries, value_width, .. } = self.sizes;
        filled(batch * heads * queries * value_width, |output| {
            let cuts = PARTS.div_ceil(batch * heads).min(queries.div_ceil(QUERIES));
            let len = queries.div_ceil(cuts);
            let mut pieces = Vec::new();
            for (head, rows) in
                rows_of_heads(output, [batch, queries, heads, value_width]).into_iter().enumerate()
            {
                let mut rows = rows.into_iter();
                for first in (0..queries).step_by(len) {
                    pieces.push((head, first, rows.by_ref().take(len).collect::<Vec<_>>()));
                }
            }
            for_each(pieces.into_par_iter(), |(head, first, rows)| self.write(head, first, rows));
        })
    }

    /// The output of some queries of a head, counted over the whole batch.
    fn write(&self, head: usize, first: usize, rows: Vec<Fresh<'_>>) {
        let range = first..first + rows.len();
        let Some(last) = self.keys_seen(&range) else {
            for row in rows {
                row.zeroed();
            }
            return;
        };
        if let Some(few) = self.few_queries(head, &range, last) {
            let mut rows: Vec<&mut [f32]> = rows.into_iter().map(Fresh::zeroed).collect();
            return few.write(&mut rows);
        }
        let hidden = self.hidden(head, 0..self.sizes.queries, self.sizes.keys);
        let mut rows = writers(rows);
        let head = self.head(head, hidden.as_ref().map(|hidden| hidden.storage()));
        AutoArch::new().dispatch(Forward { head, first, output: &mut rows });
        rows.into_iter().for_each(Writer::finish);
    }

    /// Writes the rows of all gradients, of which there are some for each head.
    fn backward(
        &self,
        gradient: FlexTensor,
        of_query: Vec<Vec<Fresh<'_>>>,
        of_key: Vec<Vec<Fresh<'_>>>,
        of_value: Vec<Vec<Fresh<'_>>>,
    ) {
        let Sizes { heads, groups, .. } = self.sizes;
        let sharing = heads / groups;
        let mut of_query = of_query.into_iter();
        let pieces: Vec<_> = of_key
            .into_iter()
            .zip(of_value)
            .enumerate()
            .map(|(group, of_shared)| (group, of_shared, of_query.by_ref().take(sharing).collect::<Vec<_>>()))
            .collect();
        for_each(pieces.into_par_iter(), |(group, (of_key, of_value), of_query)| {
            let numbers = group * sharing..(group + 1) * sharing;
            let hidden: Vec<_> = numbers
                .clone()
                .map(|head| self.hidden(head, 0..self.sizes.queries, self.sizes.keys))
                .collect();
            let mut shared: Vec<_> = numbers
                .zip(of_query)
                .zip(&hidden)
                .map(|((head, of_query), hidden)| {
                    let of_output = matrix(&gradient, heads, head);
                    let gradients = HeadGradients { of_output, of_query: writers(of_query) };
                    (self.head(head, hidden.as_ref().map(|hidden| hidden.storage())), gradients)
                })
                .collect();
            let (mut of_key, mut of_value) = (writers(of_key), writers(of_value));
            AutoArch::new().dispatch(Backward {
                heads: &mut shared,
                of_key: &mut of_key,
                of_value: &mut of_value,
            });
            let of_query = shared.into_iter().flat_map(|(_, gradients)| gradients.of_query);
            of_query.chain(of_key).chain(of_value).for_each(Writer::finish);
        });
    }

    fn head<'b>(&'b self, head: usize, hidden: Option<&'b [u8]>) -> Head<'b> {
        let Sizes { heads, groups, .. } = self.sizes;
        let group = head * groups / heads;
        Head {
            query: matrix(&self.query, heads, head),
            key: matrix(&self.key, groups, group),
            value: matrix(&self.value, groups, group),
            hidden,
            scale: self.scale,
            causal: self.causal,
        }
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

    /// What is hidden of the first keys.
    fn hidden(&self, head: usize, rows: Range<usize>, last: usize) -> Option<FlexTensor> {
        match self.mask {
            Mask::Nothing => None,
            Mask::Hidden(mask) => {
                let rows = part(mask, self.sizes.heads, head, rows);
                let layout = rows.layout().narrow(3, 0, last);
                Some(rows.with_layout(layout).to_contiguous())
            }
        }
    }

    /// Queries that are too few for products of matrices, as there is one where text is generated; nothing if there are more.
    fn few_queries(&self, head: usize, rows: &Range<usize>, last: usize) -> Option<FewQueries<'_>> {
        if rows.len() > FEW {
            return None;
        }
        let Sizes { heads, groups, .. } = self.sizes;
        let [key, value] =
            [&self.key, &self.value].map(|tensor| matrix(tensor, groups, head * groups / heads));
        Some(FewQueries {
            hidden: self.hidden(head, rows.clone(), last),
            query: matrix(&self.query, heads, head).narrowed(rows.clone()),
            key,
            value,
            last,
            causal: self.causal,
            scale: self.scale,
        })
    }
}

fn writers(rows: Vec<Fresh<'_>>) -> Vec<Writer<'_>> {
    rows.into_iter().map(Fresh::writer).collect()
}

/// A head of `[B, heads, T, D]`, counted over the whole batch.
fn matrix(tensor: &FlexTensor, heads: usize, head: usize) -> Matrix<'_> {
    let layout = tensor.layout();
    let [_, _, rows, columns] = layout.shape().dims();
    let stride = |axis: usize| layout.strides()[axis].unsigned_abs();
    let start = layout.start_offset() + head / heads * stride(0) + head % heads * stride(1);
    Matrix::of_rows(&tensor.storage()[start..], [rows, columns], stride(2))
}

/// Some rows of a head of `[B, heads, T, D]`, counted over the whole batch, as `[1, 1, rows, D]`.
fn part(tensor: &FlexTensor, heads: usize, head: usize, rows: Range<usize>) -> FlexTensor {
    let layout = tensor.layout().narrow(0, head / heads, 1).narrow(1, head % heads, 1);
    tensor.clone().with_layout(layout.narrow(2, rows.start, rows.len()))
}

/// Queries of one head that are multiplied with each key.
struct FewQueries<'a> {
    query: Matrix<'a>,
    key: Matrix<'a>,
    value: Matrix<'a>,
    hidden: Option<FlexTensor>,
    /// Keys that the last query sees.
    last: usize,
    causal: Causal,
    scale: f32,
}

/// The most of them.
const FEW: usize = 4;

impl FewQueries<'_> {
    /// Adds the values that they see, by their weights, to a row for each.
    fn write(&self, output: &mut [&mut [f32]]) {
        let queries = output.len();
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
    few: &'a FewQueries<'a>,
    scores: &'a mut [f32],
}

impl WithSimd for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        for (index, scores) in self.scores.chunks_exact_mut(self.few.last).enumerate() {
            let (query, query_rest) = self.few.query.row(index).as_chunks::<LINE>();
            for (part, scores) in scores.chunks_mut(LINE).enumerate() {
                let mut lines = [[0.0_f32; LINE]; LINE];
                for (key, line) in lines[..scores.len()].iter_mut().enumerate() {
                    let (key, key_rest) = self.few.key.row(part * LINE + key).as_chunks::<LINE>();
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

/// Vectors of a value that are summed at a time.
const REGISTERS: usize = 4;

/// The sums of values by weights.
struct Values<'a, 'b> {
    few: &'a FewQueries<'a>,
    weights: &'a [f32],
    output: &'a mut [&'b mut [f32]],
}

impl WithSimd for Values<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { few, weights, output } = self;
        let at_once = REGISTERS * lanes::<S>();
        for (output, weights) in output.iter_mut().zip(weights.chunks_exact(few.last)) {
            for (block, sums) in output.chunks_mut(at_once).enumerate() {
                let first = block * at_once;
                if sums.len() < at_once {
                    for (key, &weight) in weights.iter().enumerate() {
                        for (sum, &value) in sums.iter_mut().zip(&few.value.row(key)[first..]) {
                            *sum = value.mul_add(weight, *sum);
                        }
                    }
                    continue;
                }
                let mut vectors = [splat::<S>(0.0); REGISTERS];
                for (index, vector) in vectors.iter_mut().enumerate() {
                    *vector = load(&sums[index * lanes::<S>()..]);
                }
                for (key, &weight) in weights.iter().enumerate() {
                    let values = &few.value.row(key)[first..];
                    for (index, vector) in vectors.iter_mut().enumerate() {
                        *vector = multiply_add(load(&values[index * lanes::<S>()..]), splat(weight), *vector);
                    }
                }
                for (index, vector) in vectors.into_iter().enumerate() {
                    store(&mut sums[index * lanes::<S>()..], vector);
                }
            }
        }
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
