//! A matrix as strips of 32 outputs, in which each input's numbers lie side by side.

use std::marker::PhantomData;

use bytemuck::{Pod, cast_slice, cast_slice_mut};
use macerator::Simd;
use rayon::prelude::*;

use super::Orientation;
use crate::narrow::{Bf16Dot, ByteDot, Instructions, PAIR, QUAD, WordRow, pair, quad};
use crate::prepared::Precision;
use crate::product::{STRIP, StripRow};
use crate::quantize::{GROUP, code, larger, scale_of};
use crate::vector::{lanes, load, store};

/// A matrix, prepared.
#[derive(Debug)]
pub(crate) struct Strips {
    pub(crate) d_input: usize,
    pub(crate) d_output: usize,
    pub(crate) orientation: Orientation,
    pub(crate) numbers: Numbers,
}

/// A row has the numbers of a strip's 32 outputs for an input, or for as many inputs as a word has.
#[derive(Debug)]
pub(crate) enum Numbers {
    Floats(Rows<StripRow>),
    /// In bfloat16.
    Pairs(Bf16Dot, Rows<WordRow>),
    /// In 8 bits, for processors that multiply them. The scales are those of the outputs for every [`GROUP`] inputs.
    Quads(ByteDot, Rows<WordRow>, Rows<StripRow>),
    /// In 8 bits, which become floats before they are multiplied.
    Codes(Rows<[i8; STRIP]>, Rows<StripRow>),
}

/// As many rows for each strip, one strip after the other.
#[derive(Debug)]
pub(crate) struct Rows<R> {
    memory: Vec<u32>,
    /// Where a cache line starts.
    start: usize,
    /// Rows of a strip.
    count: usize,
    _row: PhantomData<R>,
}

impl<R: Pod + Send> Rows<R> {
    /// 32 bits in a row.
    const LEN: usize = size_of::<R>() / size_of::<u32>();

    /// `fill` gets the number of a strip, and its rows.
    fn new(strips: usize, count: usize, fill: impl Fn(usize, &mut [R]) + Send + Sync) -> Self {
        let mut memory = vec![0; strips * count * Self::LEN + 64 / size_of::<u32>()];
        let start = memory.as_ptr().align_offset(64).min(64 / size_of::<u32>());
        let rows = cast_slice_mut(&mut memory[start..][..strips * count * Self::LEN]);
        rows.par_chunks_mut(count).enumerate().for_each(|(strip, rows)| fill(strip, rows));
        Self { memory, start, count, _row: PhantomData }
    }

    /// The rows of a strip.
    pub(crate) fn strip(&self, strip: usize) -> &[R] {
        cast_slice(&self.memory[self.start + strip * self.count * Self::LEN..][..self.count * Self::LEN])
    }
}

impl Strips {
    /// # Panics
    /// If `weight` has another length than the sizes say, or there are no inputs.
    pub(crate) fn new(
        weight: &[f32],
        [d_input, d_output]: [usize; 2],
        orientation: Orientation,
        precision: Precision,
        instructions: Instructions,
    ) -> Self {
        assert_eq!(weight.len(), d_input * d_output);
        let source = Source { weight, d_input, d_output, orientation };
        let strips = d_output.div_ceil(STRIP);
        let numbers = match precision {
            Precision::Bf16 if let Some(dot) = instructions.pairs => {
                let rows = Rows::new(strips, d_input.div_ceil(PAIR), |strip, rows: &mut [WordRow]| {
                    for (index, row) in rows.iter_mut().enumerate() {
                        let [first, second] = [0, 1].map(|input| source.row(strip, PAIR * index + input));
                        *row = std::array::from_fn(|output| pair(first[output], second[output]));
                    }
                });
                Numbers::Pairs(dot, rows)
            }
            Precision::F32 | Precision::Bf16 => {
                Numbers::Floats(Rows::new(strips, d_input, |strip, rows: &mut [StripRow]| {
                    for (input, row) in rows.iter_mut().enumerate() {
                        *row = source.row(strip, input);
                    }
                }))
            }
            Precision::Q8 => {
                let scales = Rows::new(strips, d_input.div_ceil(GROUP), |strip, rows: &mut [StripRow]| {
                    for (group, row) in rows.iter_mut().enumerate() {
                        *row = source.scales(strip, group);
                    }
                });
                let codes = |strip, input| source.codes(strip, input, &scales.strip(strip)[input / GROUP]);
                match instructions.quads {
                    Some(dot) => {
                        let rows =
                            Rows::new(strips, d_input.div_ceil(QUAD), |strip, rows: &mut [WordRow]| {
                                for (index, row) in rows.iter_mut().enumerate() {
                                    let inputs = [0, 1, 2, 3].map(|input| codes(strip, QUAD * index + input));
                                    *row =
                                        std::array::from_fn(|output| quad(inputs.map(|codes| codes[output])));
                                }
                            });
                        Numbers::Quads(dot, rows, scales)
                    }
                    None => {
                        let rows = Rows::new(strips, d_input, |strip, rows: &mut [[i8; STRIP]]| {
                            for (input, row) in rows.iter_mut().enumerate() {
                                *row = codes(strip, input);
                            }
                        });
                        Numbers::Codes(rows, scales)
                    }
                }
            }
        };
        Self { d_input, d_output, orientation, numbers }
    }
}

/// Codes of a strip from the start of a group on, times their scales.
#[inline(always)]
pub(super) fn decode<'a, S: Simd>(
    codes: &[[i8; STRIP]],
    scales: &[StripRow],
    rows: &'a mut [StripRow],
) -> &'a [StripRow] {
    let rows = &mut rows[..codes.len()];
    for ((rows, codes), scales) in rows.chunks_mut(GROUP).zip(codes.chunks(GROUP)).zip(scales) {
        decode_group::<S>(codes, scales, rows);
    }
    rows
}

#[inline(always)]
fn decode_group<S: Simd>(codes: &[[i8; STRIP]], scales: &StripRow, rows: &mut [StripRow]) {
    #[cfg(target_arch = "x86_64")]
    if lanes::<S>() == 16
        && let Some(simd) = pulp::x86::V4::try_new()
    {
        return decode_with(simd, codes, scales, rows);
    }
    // A long plain loop: in loops over short rows, compilers find no vector instructions.
    for (number, code) in rows.as_flattened_mut().iter_mut().zip(codes.as_flattened()) {
        *number = f32::from(*code);
    }
    for row in rows {
        for lane in (0..STRIP).step_by(lanes::<S>()) {
            let (number, scale) = (load::<S>(&row[lane..]), load::<S>(&scales[lane..]));
            store(&mut row[lane..], number * scale);
        }
    }
}

/// The same, a row at a time in registers.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn decode_with(simd: pulp::x86::V4, codes: &[[i8; STRIP]], scales: &StripRow, rows: &mut [StripRow]) {
    use std::arch::x86_64::{__m128i, __m512};
    let avx = simd.avx512f;
    let scales: [__m512; 2] = bytemuck::cast(*scales);
    for (row, codes) in rows.iter_mut().zip(codes) {
        let [low, high]: [__m128i; 2] = bytemuck::cast(*codes);
        let low = avx._mm512_cvtepi32_ps(avx._mm512_cvtepi8_epi32(low));
        let high = avx._mm512_cvtepi32_ps(avx._mm512_cvtepi8_epi32(high));
        *row = bytemuck::cast([avx._mm512_mul_ps(low, scales[0]), avx._mm512_mul_ps(high, scales[1])]);
    }
}

/// Where strips come from.
#[derive(Clone, Copy)]
struct Source<'a> {
    weight: &'a [f32],
    d_input: usize,
    d_output: usize,
    orientation: Orientation,
}

impl Source<'_> {
    fn at(&self, input: usize, output: usize) -> f32 {
        match self.orientation {
            Orientation::InputsByOutputs => self.weight[input * self.d_output + output],
            Orientation::OutputsByInputs => self.weight[output * self.d_input + input],
        }
    }

    /// An input's numbers, zeros beyond the last output and the last input.
    fn row(&self, strip: usize, input: usize) -> StripRow {
        let mut row = [0.0; STRIP];
        if input < self.d_input {
            for (output, number) in (strip * STRIP..self.d_output).zip(&mut row) {
                *number = self.at(input, output);
            }
        }
        row
    }

    /// Of a group of inputs.
    fn scales(&self, strip: usize, group: usize) -> StripRow {
        let mut largest = [0.0; STRIP];
        for input in group * GROUP..((group + 1) * GROUP).min(self.d_input) {
            for (largest, number) in largest.iter_mut().zip(self.row(strip, input)) {
                *largest = larger(*largest, number);
            }
        }
        largest.map(scale_of)
    }

    /// An input's numbers as codes.
    fn codes(&self, strip: usize, input: usize, scales: &StripRow) -> [i8; STRIP] {
        let row = self.row(strip, input);
        std::array::from_fn(|output| code(row[output], scales[output]))
    }
}
