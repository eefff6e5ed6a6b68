//! A matrix as strips of 32 outputs, in which each input's numbers lie side by side.

use std::ops::Range;

use macerator::Simd;
use rayon::prelude::*;

use super::Orientation;
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
    numbers: Numbers,
}

#[derive(Debug)]
enum Numbers {
    /// Of each strip `[d_input, 32]`, from `start` on, which is where a cache line starts.
    Floats { memory: Vec<f32>, start: usize },
    /// Codes likewise, and for each strip a scale of each output for every [`GROUP`] inputs.
    Bytes { codes: Vec<[i8; STRIP]>, scales: Vec<StripRow> },
}

impl Strips {
    /// # Panics
    /// If `weight` has another length than the sizes say.
    pub(crate) fn new(
        weight: &[f32],
        [d_input, d_output]: [usize; 2],
        orientation: Orientation,
        precision: Precision,
    ) -> Self {
        assert_eq!(weight.len(), d_input * d_output);
        let source = Source { weight, d_input, d_output, orientation };
        let strips = d_output.div_ceil(STRIP);
        let numbers = match precision {
            Precision::F32 => {
                let mut memory = vec![0.0; strips * d_input * STRIP + 16];
                let start = memory.as_ptr().align_offset(64).min(16);
                let rows = memory[start..].as_chunks_mut::<STRIP>().0;
                rows[..strips * d_input].par_chunks_mut(d_input.max(1)).enumerate().for_each(
                    |(strip, rows)| {
                        for (input, row) in rows.iter_mut().enumerate() {
                            *row = source.row(strip, input);
                        }
                    },
                );
                Numbers::Floats { memory, start }
            }
            Precision::Q8 => {
                let groups = d_input.div_ceil(GROUP);
                let mut codes = vec![[0; STRIP]; strips * d_input];
                let mut scales = vec![[0.0; STRIP]; strips * groups];
                let parts = codes.par_chunks_mut(d_input.max(1)).zip(scales.par_chunks_mut(groups.max(1)));
                parts.enumerate().for_each(|(strip, (codes, scales))| {
                    for (group, (codes, scales)) in codes.chunks_mut(GROUP).zip(scales).enumerate() {
                        source.encode(strip, group * GROUP, codes, scales);
                    }
                });
                Numbers::Bytes { codes, scales }
            }
        };
        Self { d_input, d_output, orientation, numbers }
    }

    /// The numbers of some inputs for the outputs of a strip. Those that aren't floats are made so in `scratch`.
    ///
    /// # Panics
    /// If `inputs` doesn't start with a [`GROUP`], or `scratch` is too short.
    #[inline(always)]
    pub(crate) fn rows<'a, S: Simd>(
        &'a self,
        strip: usize,
        inputs: Range<usize>,
        scratch: &'a mut [StripRow],
    ) -> &'a [StripRow] {
        let first = strip * self.d_input;
        match &self.numbers {
            Numbers::Floats { memory, start } => {
                &memory[*start..].as_chunks().0[first + inputs.start..first + inputs.end]
            }
            Numbers::Bytes { codes, scales } => {
                assert!(inputs.start.is_multiple_of(GROUP));
                let scratch = &mut scratch[..inputs.len()];
                let codes = codes[first + inputs.start..first + inputs.end].chunks(GROUP);
                let scales = &scales[strip * self.d_input.div_ceil(GROUP) + inputs.start / GROUP..];
                for ((rows, codes), scales) in scratch.chunks_mut(GROUP).zip(codes).zip(scales) {
                    decode::<S>(codes, scales, rows);
                }
                scratch
            }
        }
    }
}

/// Codes times their scales.
#[inline(always)]
fn decode<S: Simd>(codes: &[[i8; STRIP]], scales: &StripRow, rows: &mut [StripRow]) {
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

    /// An input's numbers, zeros beyond the last output.
    fn row(&self, strip: usize, input: usize) -> StripRow {
        let mut row = [0.0; STRIP];
        for (output, number) in (strip * STRIP..self.d_output).zip(&mut row) {
            *number = self.at(input, output);
        }
        row
    }

    fn encode(&self, strip: usize, first: usize, codes: &mut [[i8; STRIP]], scales: &mut StripRow) {
        let inputs = first..first + codes.len();
        for (lane, output) in (strip * STRIP..self.d_output).take(STRIP).enumerate() {
            let numbers = inputs.clone().map(|input| self.at(input, output));
            let scale = scale_of(numbers.fold(0.0, larger));
            scales[lane] = scale;
            for (codes, input) in codes.iter_mut().zip(inputs.clone()) {
                codes[lane] = code(self.at(input, output), scale);
            }
        }
    }
}
