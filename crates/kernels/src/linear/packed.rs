//! Vectors as the left factor of products with [strips](super::Strips): blocks of 16 words of inputs, vector after vector in each.

use macerator::{AutoArch, Simd, WithSimd};

use super::flex::SLICE;
use super::strips::{Numbers, Strips};
use crate::narrow::{PAIR, Pairs, QUAD, Quads, WordLine, pack_pairs, pack_quads};
use crate::product::{Left, Start, StripRow, most_rows, pieces, product};
use crate::vector::{LINE, Line};

/// Vectors, packed.
pub(super) struct Packed {
    vectors: usize,
    numbers: Lines,
}

/// Zeros beyond the last input.
enum Lines {
    Floats(Vec<Line>),
    Pairs(Vec<WordLine>),
    Quads { words: Vec<WordLine>, scales: Vec<f32>, offsets: Vec<i32> },
}

impl Packed {
    /// Vectors as these strips want them.
    pub(super) fn new(strips: &Strips, input: &[f32]) -> Self {
        AutoArch::new().dispatch(Pack { strips, input })
    }

    /// Adds the products with a slice of a strip to those of the slices before it.
    #[inline(always)]
    pub(super) fn add_floats<S: Simd>(&self, slice: usize, strip: &[StripRow], sums: &mut [StripRow]) {
        let Lines::Floats(lines) = &self.numbers else { unreachable!("strips say how vectors are packed") };
        for (first, count) in pieces(self.vectors, most_rows::<S>()) {
            let left = Left { lines: &lines[self.at(slice, first)..], block: self.vectors };
            product::<S>(left, strip, Start::Tile, &mut sums[first..first + count]);
        }
    }

    /// For a slice of a strip, the vectors from `first` on.
    pub(super) fn pairs(&self, slice: usize, first: usize) -> Pairs<'_> {
        let Lines::Pairs(words) = &self.numbers else { unreachable!("strips say how vectors are packed") };
        Pairs { words: &words[self.at(slice, first)..], block: self.vectors }
    }

    /// The same in 8 bits.
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
    strips: &'a Strips,
    input: &'a [f32],
}

impl WithSimd for Pack<'_> {
    type Output = Packed;

    #[inline(always)]
    fn with_simd<S: Simd>(self) -> Packed {
        let Self { strips, input } = self;
        let vectors = input.len() / strips.d_input;
        let places = |inputs: usize| strips.d_input.div_ceil(inputs) * vectors;
        // Loops, because closures in them would get no vector instructions.
        let numbers = match &strips.numbers {
            Numbers::Floats(_) | Numbers::Codes(..) => {
                let mut lines = vec![[0.0; LINE]; places(LINE)];
                for (index, vector) in input.chunks_exact(strips.d_input).enumerate() {
                    for (block, numbers) in vector.chunks(LINE).enumerate() {
                        lines[block * vectors + index] = padded(numbers);
                    }
                }
                Lines::Floats(lines)
            }
            Numbers::Pairs(..) => {
                let mut words = vec![[0; LINE]; places(PAIR * LINE)];
                for (index, vector) in input.chunks_exact(strips.d_input).enumerate() {
                    for (block, numbers) in vector.chunks(PAIR * LINE).enumerate() {
                        words[block * vectors + index] = pack_pairs(&padded(numbers));
                    }
                }
                Lines::Pairs(words)
            }
            Numbers::Quads(..) => {
                let places = places(QUAD * LINE);
                let mut words = vec![[0; LINE]; places];
                let (mut scales, mut offsets) = (vec![0.0; places], vec![0; places]);
                for (index, vector) in input.chunks_exact(strips.d_input).enumerate() {
                    for (block, numbers) in vector.chunks(QUAD * LINE).enumerate() {
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

/// With zeros beyond the last.
#[inline(always)]
fn padded<const N: usize>(numbers: &[f32]) -> [f32; N] {
    match numbers.first_chunk() {
        Some(whole) => *whole,
        None => {
            let mut padded = [0.0; N];
            padded[..numbers.len()].copy_from_slice(numbers);
            padded
        }
    }
}
