//! A head at a time: its keys and values are packed once, and the scores of a few dozen queries stay in the second-level cache.
//!
//! Scores and sums lie in strips of 32 columns, a row after the other in each, as products put them out.

use std::ops::Range;

use macerator::{Simd, WithSimd};

use super::Causal;
use crate::fresh::Writer;
use crate::lanes::fold;
use crate::lines::to_lines;
use crate::matrix::Matrix;
use crate::product::{Left, STRIP, Start, StripRow, pieces, product};
use crate::scalar::exp;
use crate::scratch::Scratch;
use crate::vector::{LINE, Line};

/// Queries at a time at most: four tiles.
pub(super) const QUERIES: usize = 56;
/// Scores at a time at most, but for a tile of queries: a quarter of the second-level cache.
const SCORES: usize = 64 * 1024;
/// The fewest queries at a time.
const TILE: usize = 14;

/// Queries of a head, and all keys and values that it has: a row for each.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) query: Matrix<'a>,
    pub(super) key: Matrix<'a>,
    pub(super) value: Matrix<'a>,
    /// A row for each query: not 0 where a key is hidden.
    pub(super) hidden: Option<&'a [u8]>,
    pub(super) scale: f32,
    pub(super) causal: Causal,
}

impl Head<'_> {
    /// How many of the keys a query sees.
    #[inline(always)]
    pub(super) fn seen(&self, query: usize) -> usize {
        match self.causal {
            Causal::No => self.key.rows,
            Causal::Yes => (query + 1 + self.key.rows).saturating_sub(self.query.rows),
        }
    }

    /// Queries in parts that are worked on at a time.
    fn blocks(&self, queries: Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
        let most = (SCORES / self.key.rows).clamp(TILE, QUERIES);
        let start = queries.start;
        pieces(queries.len(), most).map(move |(first, len)| start + first..start + first + len)
    }

    /// Scores of queries for the keys that the last of them sees, turned into `e` to their power, less the largest of each row:
    /// weights, but for a factor of each row, which comes out in `factors`.
    #[inline(always)]
    fn weights(&self, queries: Range<usize>, scores: &mut [StripRow], factors: &mut [f32]) {
        let (first, rows) = (queries.start, queries.len());
        for (row, factor) in factors.iter_mut().enumerate() {
            let seen = self.seen(first + row);
            let mut largest = [f32::NEG_INFINITY; STRIP];
            for (strip, scores) in scores.iter_mut().skip(row).step_by(rows).enumerate() {
                for score in scores.iter_mut() {
                    *score *= self.scale;
                }
                let column = strip * STRIP;
                if let Some(hidden) = self.hidden {
                    let hidden = &hidden[(first + row) * self.key.rows..][column..self.key.rows];
                    for (score, &hidden) in scores.iter_mut().zip(hidden) {
                        *score = if hidden == 0 { *score } else { f32::NEG_INFINITY };
                    }
                }
                if column + STRIP > seen {
                    scores[seen.saturating_sub(column)..].fill(f32::NEG_INFINITY);
                }
                for (largest, &score) in largest.iter_mut().zip(&*scores) {
                    *largest = if score > *largest { score } else { *largest };
                }
            }
            // Kept finite, so that a query that sees nothing has weights of zero, not NaN.
            let largest = fold(largest, |a, b| if b > a { b } else { a }).max(f32::MIN);
            let mut totals = [0.0; STRIP];
            for scores in scores.iter_mut().skip(row).step_by(rows) {
                for (total, score) in totals.iter_mut().zip(scores) {
                    *score = exp(*score - largest);
                    *total += *score;
                }
            }
            let total = sum(totals);
            *factor = if total == 0.0 { 0.0 } else { 1.0 / total };
        }
    }
}

/// The sum of a row's numbers.
#[inline(always)]
fn sum(row: StripRow) -> f32 {
    fold(row, |a, b| a + b)
}

/// A matrix in strips.
struct Strips {
    /// Of a strip.
    rows: usize,
    numbers: Scratch,
}

impl Strips {
    #[inline(always)]
    fn of<S: Simd>(matrix: Matrix<'_>) -> Self {
        let strips = matrix.columns.div_ceil(STRIP);
        let mut numbers = Scratch::new(strips * matrix.rows * STRIP);
        let rows = numbers.as_chunks_mut::<STRIP>().0;
        for (strip, rows) in rows.chunks_exact_mut(matrix.rows).enumerate() {
            matrix.pack_strip::<S>(strip, rows);
        }
        Self { rows: matrix.rows, numbers }
    }

    #[inline(always)]
    fn zeros(rows: usize, columns: usize) -> Self {
        let mut numbers = Scratch::new(columns.div_ceil(STRIP) * rows * STRIP);
        numbers.fill(0.0);
        Self { rows, numbers }
    }

    /// The first rows of a strip.
    #[inline(always)]
    fn strip(&self, strip: usize, rows: usize) -> &[StripRow] {
        &self.numbers.as_chunks().0[strip * self.rows..][..rows]
    }

    #[inline(always)]
    fn strip_mut(&mut self, strip: usize) -> &mut [StripRow] {
        &mut self.numbers.as_chunks_mut().0[strip * self.rows..][..self.rows]
    }

    fn count(&self) -> usize {
        self.numbers.len() / (self.rows * STRIP)
    }
}

/// What strips of `rows` rows have in their rows, packed as a left factor.
#[inline(always)]
fn lines_of(strips: &[StripRow], rows: usize, lines: &mut [Line]) {
    for (strip, lines) in strips.chunks_exact(rows).zip(lines.chunks_exact_mut(2 * rows)) {
        let (left, right) = lines.split_at_mut(rows);
        for ((row, left), right) in strip.iter().zip(left).zip(right) {
            let halves = row.as_chunks::<LINE>().0;
            (*left, *right) = (halves[0], halves[1]);
        }
    }
}

/// The same of the transpose, which has a row for each column of the strips.
#[inline(always)]
fn turned_lines_of<S: Simd>(strips: &[StripRow], rows: usize, lines: &mut [Line]) {
    let columns = strips.len() / rows * STRIP;
    for (strip, numbers) in strips.chunks_exact(rows).enumerate() {
        for (block, numbers) in numbers.chunks(LINE).enumerate() {
            let lines = &mut lines[block * columns + strip * STRIP..][..STRIP];
            to_lines::<S>(numbers.as_flattened(), STRIP, numbers.len(), lines);
        }
    }
}

/// The output of some queries of a head.
pub(super) struct Forward<'a, 'b> {
    pub(super) head: Head<'a>,
    /// The first of the queries.
    pub(super) first: usize,
    /// Of each query.
    pub(super) output: &'a mut [Writer<'b>],
}

impl WithSimd for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { head, first, output } = self;
        let last = head.seen(first + output.len() - 1);
        let keys = Strips::of::<S>(head.key.narrowed(0..last).transposed());
        let values = Strips::of::<S>(head.value.narrowed(0..last));
        let most = head.blocks(first..first + output.len()).map(|queries| queries.len()).max().unwrap_or(0);
        let mut scores = Scratch::new(keys.count() * most * STRIP);
        let mut lines = Scratch::new(2 * keys.count() * most * LINE);
        let mut query_lines = Scratch::new(head.query.columns.div_ceil(LINE) * most * LINE);
        let (mut factors, mut tile) = ([0.0; QUERIES], [[0.0; STRIP]; QUERIES]);
        for queries in head.blocks(first..first + output.len()) {
            let (rows, last) = (queries.len(), head.seen(queries.end - 1));
            let (factors, tile) = (&mut factors[..rows], &mut tile[..rows]);
            if last == 0 {
                write_zeros(&mut output[queries.start - first..][..rows], values.count());
                continue;
            }
            let strips = last.div_ceil(STRIP);
            let query_lines = &mut query_lines.as_chunks_mut().0[..head.query.columns.div_ceil(LINE) * rows];
            head.query.pack_left::<S>(queries.start, query_lines);
            let scores = &mut scores.as_chunks_mut().0[..strips * rows];
            for (strip, scores) in scores.chunks_exact_mut(rows).enumerate() {
                let keys = keys.strip(strip, head.key.columns);
                product(Left { lines: query_lines, block: rows }, keys, Start::Zero, scores);
            }
            head.weights(queries.clone(), scores, factors);
            let lines = &mut lines.as_chunks_mut().0[..2 * strips * rows];
            lines_of(scores, rows, lines);
            for strip in 0..values.count() {
                product(Left { lines, block: rows }, values.strip(strip, last), Start::Zero, tile);
                for ((output, row), &factor) in
                    output[queries.start - first..].iter_mut().zip(&mut *tile).zip(&*factors)
                {
                    for number in row.iter_mut() {
                        *number *= factor;
                    }
                    output.push(row);
                }
            }
        }
    }
}

/// The gradients of the heads that share keys and values.
pub(super) struct Backward<'a, 'b, 'c> {
    pub(super) heads: &'a mut [(Head<'c>, HeadGradients<'c, 'b>)],
    /// Of each key.
    pub(super) of_key: &'a mut [Writer<'b>],
    /// Of each value.
    pub(super) of_value: &'a mut [Writer<'b>],
}

/// Of a head.
pub(super) struct HeadGradients<'a, 'b> {
    /// That of the output, a row for each query.
    pub(super) of_output: Matrix<'a>,
    /// Of each query.
    pub(super) of_query: Vec<Writer<'b>>,
}

impl WithSimd for Backward<'_, '_, '_> {
    type Output = ();

    /// With `P` the weights and `dO` the gradient of the output: `dV = Pᵀ dO`, `dP = dO Vᵀ`, `dS = scale P (dP - Σ P dP)`, `dQ = dS K`,
    /// `dK = dSᵀ Q`.
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { heads, of_key, of_value } = self;
        let Some((Head { key, value, .. }, _)) = heads.first() else { return };
        let (key, value) = (*key, *value);
        let (keys, turned_keys) = (Strips::of::<S>(key), Strips::of::<S>(key.transposed()));
        let turned_values = Strips::of::<S>(value.transposed());
        let mut key_sums = Strips::zeros(key.rows, key.columns);
        let mut value_sums = Strips::zeros(key.rows, value.columns);
        let all_strips = turned_keys.count();
        let mut scores = Scratch::new(all_strips * QUERIES * STRIP);
        let mut of_scores = Scratch::new(all_strips * QUERIES * STRIP);
        let mut lines = Scratch::new(QUERIES.next_multiple_of(LINE) * all_strips * STRIP);
        let (mut factors, mut tile) = ([0.0; QUERIES], [[0.0; STRIP]; QUERIES]);
        for (head, HeadGradients { of_output, of_query }) in heads {
            for queries in head.blocks(0..head.query.rows) {
                let (rows, last) = (queries.len(), head.seen(queries.end - 1));
                let (factors, tile) = (&mut factors[..rows], &mut tile[..rows]);
                if last == 0 {
                    write_zeros(&mut of_query[queries], keys.count());
                    continue;
                }
                let strips = last.div_ceil(STRIP);
                let lines: &mut [Line] = lines.as_chunks_mut().0;
                let scores = &mut scores.as_chunks_mut().0[..strips * rows];
                let of_scores = &mut of_scores.as_chunks_mut().0[..strips * rows];

                let mut query_lines = Scratch::new(key.columns.div_ceil(LINE) * rows * LINE);
                head.query.pack_left::<S>(queries.start, query_lines.as_chunks_mut().0);
                let mut output_lines = Scratch::new(value.columns.div_ceil(LINE) * rows * LINE);
                of_output.pack_left::<S>(queries.start, output_lines.as_chunks_mut().0);
                for strip in 0..strips {
                    let part = strip * rows..(strip + 1) * rows;
                    let turned = turned_keys.strip(strip, key.columns);
                    let scores = &mut scores[part.clone()];
                    product(
                        Left { lines: query_lines.as_chunks().0, block: rows },
                        turned,
                        Start::Zero,
                        scores,
                    );
                    let turned = turned_values.strip(strip, value.columns);
                    product(
                        Left { lines: output_lines.as_chunks().0, block: rows },
                        turned,
                        Start::Zero,
                        &mut of_scores[part],
                    );
                }
                head.weights(queries.clone(), scores, factors);
                for (row, &factor) in factors.iter().enumerate() {
                    let mut products = [0.0; STRIP];
                    let pairs = scores.iter_mut().zip(&*of_scores).skip(row).step_by(rows);
                    for (weights, gradients) in pairs {
                        for ((product, weight), &gradient) in products.iter_mut().zip(weights).zip(gradients)
                        {
                            *weight *= factor;
                            *product = weight.mul_add(gradient, *product);
                        }
                    }
                    let total = sum(products);
                    let pairs = scores.iter().zip(&mut *of_scores).skip(row).step_by(rows);
                    for (weights, gradients) in pairs {
                        for (&weight, gradient) in weights.iter().zip(gradients) {
                            *gradient = head.scale * weight * (*gradient - total);
                        }
                    }
                }

                turned_lines_of::<S>(scores, rows, lines);
                let right = Strips::of::<S>(of_output.narrowed(queries.clone()));
                for strip in 0..right.count() {
                    let sums = &mut value_sums.strip_mut(strip)[..last];
                    product(
                        Left { lines, block: strips * STRIP },
                        right.strip(strip, rows),
                        Start::Tile,
                        sums,
                    );
                }
                turned_lines_of::<S>(of_scores, rows, lines);
                let right = Strips::of::<S>(head.query.narrowed(queries.clone()));
                for strip in 0..right.count() {
                    let sums = &mut key_sums.strip_mut(strip)[..last];
                    product(
                        Left { lines, block: strips * STRIP },
                        right.strip(strip, rows),
                        Start::Tile,
                        sums,
                    );
                }
                lines_of(of_scores, rows, lines);
                for strip in 0..keys.count() {
                    product(Left { lines, block: rows }, keys.strip(strip, last), Start::Zero, tile);
                    for (of_query, row) in of_query[queries.clone()].iter_mut().zip(&*tile) {
                        of_query.push(row);
                    }
                }
            }
        }
        write(&key_sums, of_key);
        write(&value_sums, of_value);
    }
}

/// For queries that see nothing.
#[inline(always)]
fn write_zeros(rows: &mut [Writer<'_>], strips: usize) {
    for row in rows {
        for _ in 0..strips {
            row.push(&[0.0; STRIP]);
        }
    }
}

/// Rows of strips, a strip after the other.
#[inline(always)]
fn write(sums: &Strips, rows: &mut [Writer<'_>]) {
    for strip in 0..sums.count() {
        for (target, row) in rows.iter_mut().zip(sums.strip(strip, sums.rows)) {
            target.push(row);
        }
    }
}
