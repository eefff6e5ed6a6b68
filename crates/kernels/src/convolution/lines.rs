//! Between rows of numbers, as tensors have them, and lines of 16 channels, as vector instructions want them.

use super::vector::{LINE, Line};

/// Turns up to 16 rows of `source`, `step` apart, into lines: one for each of the first numbers of the rows, with zeros for
/// the rows that are missing.
#[inline(always)]
pub(super) fn to_lines(source: &[f32], step: usize, rows: usize, lines: &mut [Line]) {
    let width = lines.len();
    if rows == LINE {
        let (blocks, rest) = lines.as_chunks_mut::<LINE>();
        let start = blocks.len() * LINE;
        for (index, block) in blocks.iter_mut().enumerate() {
            let mut square = [[0.0; LINE]; LINE];
            for (row, numbers) in square.iter_mut().enumerate() {
                if let Some(source) = source[row * step + index * LINE..].first_chunk() {
                    *numbers = *source;
                }
            }
            *block = transposed(&square);
        }
        for row in 0..LINE {
            for (line, &number) in rest.iter_mut().zip(&source[row * step + start..row * step + width]) {
                line[row] = number;
            }
        }
    } else {
        lines.fill([0.0; LINE]);
        for row in 0..rows {
            for (line, &number) in lines.iter_mut().zip(&source[row * step..row * step + width]) {
                line[row] = number;
            }
        }
    }
}

/// The way back: number `row` of each line, plus `more`.
#[inline(always)]
pub(super) fn from_lines(lines: &[Line], row: usize, more: f32, target: &mut [f32]) {
    for (number, line) in target.iter_mut().zip(lines) {
        *number = line[row] + more;
    }
}

#[inline(always)]
fn transposed(square: &[Line; LINE]) -> [Line; LINE] {
    std::array::from_fn(|row| std::array::from_fn(|column| square[column][row]))
}
