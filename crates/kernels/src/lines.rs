//! Between rows of numbers, as tensors have them, and lines of 16 channels, as vector instructions want them.

use macerator::Simd;

use crate::finish::OfChannels;
#[cfg(target_arch = "x86_64")]
use crate::vector::lanes;
use crate::vector::{LINE, Line};

/// Turns up to 16 rows of `source`, `step` apart, into lines: one for each of the first numbers of the rows, with zeros for
/// the rows that are missing.
#[inline(always)]
pub(crate) fn to_lines<S: Simd>(source: &[f32], step: usize, rows: usize, lines: &mut [Line]) {
    let width = lines.len();
    let (blocks, rest) = lines.as_chunks_mut::<LINE>();
    let start = blocks.len() * LINE;
    let mut square = [[0.0; LINE]; LINE];
    for (index, block) in blocks.iter_mut().enumerate() {
        for (row, numbers) in square[..rows].iter_mut().enumerate() {
            if let Some(source) = source[row * step + index * LINE..].first_chunk() {
                *numbers = *source;
            }
        }
        *block = transposed::<S>(&square);
    }
    if !rest.is_empty() {
        for (row, numbers) in square[..rows].iter_mut().enumerate() {
            for (number, &source) in numbers.iter_mut().zip(&source[row * step + start..row * step + width]) {
                *number = source;
            }
        }
        rest.copy_from_slice(&transposed::<S>(&square)[..rest.len()]);
    }
}

/// The way back: from lines to a row of each of up to 16 planes, from `start` on, with a scale and a shift for each plane.
#[inline(always)]
pub(crate) fn from_lines<S: Simd>(
    lines: &[Line],
    of_channels: &OfChannels<LINE>,
    planes: &mut [&mut [f32]],
    start: usize,
) {
    let OfChannels { scale, shift } = of_channels;
    for (index, lines) in lines.chunks(LINE).enumerate() {
        let mut square = [[0.0; LINE]; LINE];
        square[..lines.len()].copy_from_slice(lines);
        let rows = transposed::<S>(&square);
        for (((plane, row), scale), shift) in planes.iter_mut().zip(&rows).zip(scale).zip(shift) {
            let target = &mut plane[start + index * LINE..][..lines.len()];
            match target.as_mut_array::<LINE>() {
                Some(target) => *target = row.map(|number| number * scale + shift),
                None => {
                    for (target, number) in target.iter_mut().zip(row) {
                        *target = number * scale + shift;
                    }
                }
            }
        }
    }
}

/// The sum of each line.
#[inline(always)]
pub(crate) fn add_up<S: Simd>(lines: &[Line], sums: &mut [f32]) {
    for (lines, sums) in lines.chunks(LINE).zip(sums.chunks_mut(LINE)) {
        let mut square = [[0.0; LINE]; LINE];
        square[..lines.len()].copy_from_slice(lines);
        let mut total = [0.0; LINE];
        for row in transposed::<S>(&square) {
            for (total, number) in total.iter_mut().zip(row) {
                *total += number;
            }
        }
        sums.copy_from_slice(&total[..sums.len()]);
    }
}

#[inline(always)]
pub(crate) fn transposed<S: Simd>(square: &[Line; LINE]) -> [Line; LINE] {
    #[cfg(target_arch = "x86_64")]
    if lanes::<S>() == LINE
        && let Some(simd) = pulp::x86::V4::try_new()
    {
        return transposed_with(simd, square);
    }
    let mut lines = [[0.0; LINE]; LINE];
    for (row, numbers) in square.iter().enumerate() {
        for (line, &number) in lines.iter_mut().zip(numbers) {
            line[row] = number;
        }
    }
    lines
}

/// Compilers make a chain of single moves of the loop above, four times slower.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transposed_with(simd: pulp::x86::V4, square: &[Line; LINE]) -> [Line; LINE] {
    use std::arch::x86_64::{__m512, __m512d};
    let avx = simd.avx512f;
    let rows: [__m512; LINE] = bytemuck::cast(*square);
    // Squares of four numbers in each of the four parts of a register.
    let mut parts = [rows[0]; LINE];
    for (parts, rows) in parts.as_chunks_mut::<4>().0.iter_mut().zip(rows.as_chunks::<4>().0) {
        let pairs = |left, right| -> [__m512d; 2] {
            bytemuck::cast([avx._mm512_unpacklo_ps(left, right), avx._mm512_unpackhi_ps(left, right)])
        };
        let ([low, high], [low_2, high_2]) = (pairs(rows[0], rows[1]), pairs(rows[2], rows[3]));
        *parts = bytemuck::cast([
            avx._mm512_unpacklo_pd(low, low_2),
            avx._mm512_unpackhi_pd(low, low_2),
            avx._mm512_unpacklo_pd(high, high_2),
            avx._mm512_unpackhi_pd(high, high_2),
        ]);
    }
    // The square of these parts.
    let mut lines = [rows[0]; LINE];
    for column in 0..4 {
        let [a, b, c, d] = [0, 4, 8, 12].map(|row| parts[row + column]);
        let (left, right) = (avx._mm512_shuffle_f32x4::<0x44>(a, b), avx._mm512_shuffle_f32x4::<0x44>(c, d));
        lines[column] = avx._mm512_shuffle_f32x4::<0x88>(left, right);
        lines[4 + column] = avx._mm512_shuffle_f32x4::<0xdd>(left, right);
        let (left, right) = (avx._mm512_shuffle_f32x4::<0xee>(a, b), avx._mm512_shuffle_f32x4::<0xee>(c, d));
        lines[8 + column] = avx._mm512_shuffle_f32x4::<0x88>(left, right);
        lines[12 + column] = avx._mm512_shuffle_f32x4::<0xdd>(left, right);
    }
    bytemuck::cast(lines)
}
