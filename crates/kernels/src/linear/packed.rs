//! Vectors as the left factor of products with [strips](super::Strips): blocks of 16 words of inputs, vector after vector in each.

use std::ops::Range;

use macerator::{AutoArch, Simd, WithSimd};

use super::Order;
use super::multiply::SLICE;
use super::strips::{Numbers, Strips};
use crate::finish::InRegisters;
use crate::matrix::{Matrix, padded};
use crate::narrow::{PAIR, Pairs, QUAD, Quads, WordLine, pack_pairs, pack_quads};
use crate::product::{Left, STRIP, Start, StripRow, finished_product};
use crate::scratch::Scratch;
use crate::vector::LINE;

/// Vectors, packed.
pub(crate) struct Packed {
    vectors: usize,
    numbers: Lines,
}

/// Beyond the last input is anything, as no strip has numbers for it.
enum Lines {
    Floats(Scratch),
    Pairs(Vec<WordLine>),
    Quads { words: Vec<WordLine>, scales: Vec<f32>, offsets: Vec<i32> },
}

impl Packed {
    /// Some vectors, which are the rows of `input`, as these strips want them.
    pub(crate) fn new(strips: &Strips<'_>, input: Matrix<'_>, vectors: Range<usize>) -> Self {
        AutoArch::new().dispatch(Pack { strips, input, vectors })
    }

    /// Vectors that are in this order already.
    ///
    /// # Panics
    /// If there are fewer numbers than the strips' inputs of as many vectors.
    pub(crate) fn of_lines(strips: &Strips<'_>, vectors: usize, lines: Scratch) -> Self {
        let blocks = lines.as_chunks::<LINE>().0;
        assert!(blocks.len() >= strips.d_input.div_ceil(LINE) * vectors);
        match &strips.numbers {
            Numbers::InPlace(_) | Numbers::Floats(_) | Numbers::Codes(..) => {
                Self { vectors, numbers: Lines::Floats(lines) }
            }
            Numbers::Pairs(..) | Numbers::Quads(..) => {
                let mut rows = vec![0.0; vectors * strips.d_input];
                for (vector, row) in rows.chunks_exact_mut(strips.d_input.max(1)).enumerate() {
                    for (numbers, line) in row.chunks_mut(LINE).zip(blocks[vector..].iter().step_by(vectors))
                    {
                        numbers.copy_from_slice(&line[..numbers.len()]);
                    }
                }
                let rows = Matrix::new(&rows, [vectors, strips.d_input], Order::Rows);
                Self::new(strips, rows, 0..vectors)
            }
        }
    }

    /// How many they are.
    pub(super) fn vectors(&self) -> usize {
        self.vectors
    }

    /// The products with a slice of a strip, added to those of the slices before it, if there are any. So many columns of the strip mean
    /// something.
    pub(super) fn add_floats(
        &self,
        slice: usize,
        strip: &[StripRow],
        columns: usize,
        finish: Option<InRegisters<'_, STRIP>>,
        sums: &mut [StripRow],
    ) {
        let Lines::Floats(lines) = &self.numbers else { unreachable!("strips say how vectors are packed") };
        let left = Left { lines: &lines.as_chunks().0[self.at(slice, 0)..], block: self.vectors };
        let start = if slice == 0 { Start::Zero } else { Start::Tile };
        finished_product(left, strip, start, columns, finish, sums);
    }

    /// For a slice of a strip, all vectors.
    pub(super) fn pairs(&self, slice: usize) -> Pairs<'_> {
        let Lines::Pairs(words) = &self.numbers else { unreachable!("strips say how vectors are packed") };
        Pairs { words: &words[self.at(slice, 0)..], block: self.vectors }
    }

    /// The same in 8 bits, from `first` on.
    pub(super) fn quads(&self, slice: usize, first: usize) -> Quads<'_> {
        let Lines::Quads { words, scales, offsets } = &self.numbers else {
            unreachable!("strips say how vectors are packed")
        };
        let at = self.at(slice, first);
        Quads { words: &words[at..], scales: &scales[at..], offsets: &offsets[at..], block: self.vectors }
    }

    fn at(&self, slice: usize, first: usize) -> usize {
        slice * (SLICE / LINE) * self.vectors + first
    }
}

struct Pack<'a> {
    strips: &'a Strips<'a>,
    input: Matrix<'a>,
    vectors: Range<usize>,
}

impl WithSimd for Pack<'_> {
    type Output = Packed;

    #[inline(always)]
    fn with_simd<S: Simd>(self) -> Packed {
        let Self { strips, input, vectors: range } = self;
        let vectors = range.len();
        let places = |inputs: usize| strips.d_input.div_ceil(inputs) * vectors;
        // Loops, because closures in them would get no vector instructions.
        let numbers = match &strips.numbers {
            Numbers::InPlace(_) | Numbers::Floats(_) | Numbers::Codes(..) => {
                let mut lines = Scratch::new(places(LINE) * LINE);
                input.pack_left::<S>(range.start, lines.as_chunks_mut::<LINE>().0);
                Lines::Floats(lines)
            }
            Numbers::Pairs(..) => {
                let mut words = vec![[0; LINE]; places(PAIR * LINE)];
                for (index, vector) in range.enumerate() {
                    for (block, numbers) in input.row(vector).chunks(PAIR * LINE).enumerate() {
                        words[block * vectors + index] = pack_pairs(&padded(numbers));
                    }
                }
                Lines::Pairs(words)
            }
            Numbers::Quads(..) => {
                let places = places(QUAD * LINE);
                let mut words = vec![[0; LINE]; places];
                let (mut scales, mut offsets) = (vec![0.0; places], vec![0; places]);
                for (index, vector) in range.enumerate() {
                    for (block, numbers) in input.row(vector).chunks(QUAD * LINE).enumerate() {
                        let at = block * vectors + index;
                        (words[at], scales[at], offsets[at]) = pack_quads(&padded(numbers));
                    }
                }
                Lines::Quads { words, scales, offsets }
            }
        };
        Packed { vectors, numbers }
    }
}
