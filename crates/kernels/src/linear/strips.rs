//! A matrix as strips of 32 outputs, in which each input's numbers lie side by side, or come to lie where they are multiplied.

use std::marker::PhantomData;

use bytemuck::{Pod, cast_slice, cast_slice_mut};
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use crate::linear::Order;
use crate::matrix::Matrix;
use crate::memory::for_each_of;
use crate::narrow::{Bf16Dot, ByteDot, Instructions, PAIR, QUAD, WordRow, pair, quad};
use crate::prepared::Precision;
use crate::product::{STRIP, StripRow};
use crate::quantize::{GROUP, code, larger, scale_of};
use crate::scratch::{Scratch, with_scratch};
use crate::vector::{lanes, load, store};

/// A weight, prepared.
#[derive(Debug)]
pub(crate) struct PreparedWeight {
    /// Of the weight.
    pub(crate) order: Order,
    pub(crate) strips: Strips<'static>,
}

/// A matrix, as products want it.
#[derive(Debug)]
pub(crate) struct Strips<'a> {
    pub(crate) d_input: usize,
    pub(crate) d_output: usize,
    pub(crate) numbers: Numbers<'a>,
}

/// A row has the numbers of a strip's 32 outputs for an input, or for as many inputs as a word has.
#[derive(Debug)]
pub(crate) enum Numbers<'a> {
    /// The matrix itself, a slice of which is brought into this order where it is about to be multiplied.
    InPlace(Matrix<'a>),
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
    memory: Scratch,
    /// Rows of a strip.
    count: usize,
    _row: PhantomData<R>,
}

impl<R: Pod + Send> Rows<R> {
    /// 32 bits in a row.
    const LEN: usize = size_of::<R>() / size_of::<f32>();

    /// `fill` gets the number of a strip, and its rows.
    fn new(strips: usize, count: usize, fill: impl Fn(usize, &mut [R]) + Send + Sync) -> Self {
        Self::within(Scratch::zeros(strips * count * Self::LEN), count, fill)
    }

    /// The same in memory that may have any values.
    fn within(mut memory: Scratch, count: usize, fill: impl Fn(usize, &mut [R]) + Send + Sync) -> Self {
        let rows = memory.par_chunks_mut((count * Self::LEN).max(1)).enumerate();
        // Moving a number takes about as long as 16 multiplications.
        for_each_of(16 * count * Self::LEN, rows, |(strip, rows)| fill(strip, cast_slice_mut(rows)));
        Self { memory, count, _row: PhantomData }
    }

    /// The rows of a strip.
    pub(crate) fn strip(&self, strip: usize) -> &[R] {
        cast_slice(&self.memory[strip * self.count * Self::LEN..][..self.count * Self::LEN])
    }
}

impl<'a> Strips<'a> {
    /// Of a matrix that has a row for each input, for one product.
    pub(crate) fn in_place(matrix: Matrix<'a>) -> Self {
        Self { d_input: matrix.rows, d_output: matrix.columns, numbers: Numbers::InPlace(matrix) }
    }

    /// The same in an order that stays.
    pub(crate) fn new(matrix: Matrix<'_>, precision: Precision, instructions: Instructions) -> Self {
        let (d_input, d_output) = (matrix.rows, matrix.columns);
        let strips = d_output.div_ceil(STRIP);
        let numbers = match precision {
            Precision::Bf16 if let Some(dot) = instructions.pairs => {
                let rows = Rows::new(strips, d_input.div_ceil(PAIR), |strip, rows: &mut [WordRow]| {
                    with_floats(matrix, strip, |floats| {
                        for (row, [first, second]) in rows.iter_mut().zip(floats.as_chunks::<PAIR>().0) {
                            *row = std::array::from_fn(|output| pair(first[output], second[output]));
                        }
                    });
                });
                Numbers::Pairs(dot, rows)
            }
            Precision::F32 | Precision::Bf16 => floats(Scratch::zeros(strips * d_input * STRIP), matrix),
            Precision::Q8 => {
                let scales = Rows::new(strips, d_input.div_ceil(GROUP), |strip, rows: &mut [StripRow]| {
                    with_floats(matrix, strip, |floats| {
                        for (row, group) in rows.iter_mut().zip(floats.chunks(GROUP)) {
                            for numbers in group {
                                *row = std::array::from_fn(|output| larger(row[output], numbers[output]));
                            }
                            *row = row.map(scale_of);
                        }
                    });
                });
                let codes = |strip: usize, input: usize, numbers: &StripRow| -> [i8; STRIP] {
                    let scales = &scales.strip(strip)[input / GROUP];
                    std::array::from_fn(|output| code(numbers[output], scales[output]))
                };
                match instructions.quads {
                    Some(dot) => {
                        let rows =
                            Rows::new(strips, d_input.div_ceil(QUAD), |strip, rows: &mut [WordRow]| {
                                with_floats(matrix, strip, |floats| {
                                    let quads = floats.as_chunks::<QUAD>().0;
                                    for (index, (row, numbers)) in rows.iter_mut().zip(quads).enumerate() {
                                        let inputs = numbers.each_ref();
                                        let inputs =
                                            inputs.map(|numbers| codes(strip, QUAD * index, numbers));
                                        *row = std::array::from_fn(|output| {
                                            quad(inputs.map(|codes| codes[output]))
                                        });
                                    }
                                });
                            });
                        Numbers::Quads(dot, rows, scales)
                    }
                    None => {
                        let rows = Rows::new(strips, d_input, |strip, rows: &mut [[i8; STRIP]]| {
                            with_floats(matrix, strip, |floats| {
                                for (input, (row, numbers)) in rows.iter_mut().zip(floats).enumerate() {
                                    *row = codes(strip, input, numbers);
                                }
                            });
                        });
                        Numbers::Codes(rows, scales)
                    }
                }
            }
        };
        Self { d_input, d_output, numbers }
    }

    /// The rows of a strip.
    ///
    /// # Panics
    /// If they aren't floats.
    pub(crate) fn floats(&self, strip: usize) -> &[StripRow] {
        match &self.numbers {
            Numbers::Floats(rows) => rows.strip(strip),
            _ => panic!("strips in another precision"),
        }
    }

    /// The same in floats, for one product that reads them more than once.
    pub(crate) fn once(matrix: Matrix<'_>) -> Self {
        let (d_input, d_output) = (matrix.rows, matrix.columns);
        let memory = Scratch::new(d_output.div_ceil(STRIP) * d_input * STRIP);
        Self { d_input, d_output, numbers: floats(memory, matrix) }
    }
}

fn floats(memory: Scratch, matrix: Matrix<'_>) -> Numbers<'static> {
    Numbers::Floats(Rows::within(memory, matrix.rows, |strip, rows: &mut [StripRow]| {
        AutoArch::new().dispatch(PackStrip { matrix, strip, rows });
    }))
}

/// Runs `f` with a strip in floats, and zeros beyond the last input up to a whole word.
fn with_floats<R>(matrix: Matrix<'_>, strip: usize, f: impl FnOnce(&[StripRow]) -> R) -> R {
    with_scratch(matrix.rows.next_multiple_of(QUAD) * STRIP, |scratch| {
        let rows = scratch.as_chunks_mut::<STRIP>().0;
        let (numbers, beyond) = rows.split_at_mut(matrix.rows);
        AutoArch::new().dispatch(PackStrip { matrix, strip, rows: numbers });
        beyond.fill([0.0; STRIP]);
        f(rows)
    })
}

struct PackStrip<'a> {
    matrix: Matrix<'a>,
    strip: usize,
    rows: &'a mut [StripRow],
}

impl WithSimd for PackStrip<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        self.matrix.pack_strip::<S>(self.strip, self.rows);
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
