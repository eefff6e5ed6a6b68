//! Numbers in 8 bits, a whole number from -127 to 127 times a scale that neighbours share, and in bfloat16.

#[cfg(feature = "flex")]
use rayon::prelude::*;

/// Inputs of a linear layer that share a scale: few enough that one large weight spoils few others, and the scale adds a sixteenth
/// to the size.
pub(crate) const GROUP: usize = 64;

/// The larger of a magnitude and that of a number; NaN for good after a number that isn't finite.
pub(crate) fn larger(largest: f32, number: f32) -> f32 {
    if !number.is_finite() || largest.is_nan() { f32::NAN } else { largest.max(number.abs()) }
}

/// The scale of numbers up to `largest`.
pub(crate) fn scale_of(largest: f32) -> f32 {
    largest / 127.0
}

/// The nearest code, the even one of two, for a number up to 127 times the scale; 0 for all where the scale is 0 or NaN, of which NaN makes NaN again.
#[inline(always)]
pub(crate) fn code(number: f32, scale: f32) -> i8 {
    // Beside so large a number no fraction has a place, and the low bits are the whole number. A call of `round` would be one of a
    // function, without vector instructions.
    const WHOLE: f32 = (3 << 22) as f32;
    let code = (number / scale + WHOLE).to_bits().wrapping_sub(WHOLE.to_bits());
    if scale > 0.0 { code as i8 } else { 0 }
}

fn rounded(number: f32, largest: f32) -> f32 {
    let scale = scale_of(largest);
    f32::from(code(number, scale)) * scale
}

/// Each number of `[inputs, outputs]` as its code has it.
pub(crate) fn round_columns(matrix: &mut [f32], outputs: usize) {
    for_each_chunk(matrix, GROUP * outputs.max(1), |group| {
        let mut largest = vec![0.0_f32; outputs];
        for row in group.chunks_exact(outputs) {
            for (largest, number) in largest.iter_mut().zip(row) {
                *largest = larger(*largest, *number);
            }
        }
        for row in group.chunks_exact_mut(outputs) {
            for (number, largest) in row.iter_mut().zip(&largest) {
                *number = rounded(*number, *largest);
            }
        }
    });
}

/// The same for `[outputs, inputs]`.
pub(crate) fn round_rows(matrix: &mut [f32], inputs: usize) {
    for_each_chunk(matrix, inputs.max(1), |row| {
        for group in row.chunks_mut(GROUP) {
            let largest = group.iter().fold(0.0, |largest, &number| larger(largest, number));
            for number in group {
                *number = rounded(*number, largest);
            }
        }
    });
}

/// Each number as the nearest bfloat16, the even one of two; NaN stays NaN.
pub(crate) fn round_to_bf16(matrix: &mut [f32], _columns: usize) {
    for number in matrix {
        *number = f32::from_bits(bf16_bits(*number) << 16);
    }
}

/// The nearest bfloat16, the even one of two; NaN stays NaN.
#[inline(always)]
pub(crate) fn bf16_bits(number: f32) -> u32 {
    let bits = number.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if number.is_nan() { 0x7fc0 } else { rounded }
}

#[cfg(feature = "flex")]
fn for_each_chunk(numbers: &mut [f32], len: usize, work: impl Fn(&mut [f32]) + Send + Sync) {
    numbers.par_chunks_mut(len).for_each(work);
}

#[cfg(not(feature = "flex"))]
fn for_each_chunk(numbers: &mut [f32], len: usize, work: impl Fn(&mut [f32])) {
    numbers.chunks_mut(len).for_each(work);
}

#[cfg(test)]
mod tests {
    use super::{GROUP, bf16_bits, round_columns, round_rows, round_to_bf16};

    #[test]
    fn the_nearest_bfloat16() {
        for (number, bits) in [
            (1.0, 0x3f80),
            (-0.0, 0x8000),
            (f32::INFINITY, 0x7f80),
            // Half way: to the even one, down and up.
            (1.0 + 1.0 / 256.0, 0x3f80),
            (1.0 + 3.0 / 256.0, 0x3f82),
            (1.0 + 1.1 / 256.0, 0x3f81),
            // Above the largest.
            (f32::MAX, 0x7f80),
        ] {
            assert_eq!(bf16_bits(number), bits, "{number}");
        }
        let mut numbers = [f32::from_bits(0x7f80_0001), f32::from_bits(0xffff_ffff), 1.001];
        round_to_bf16(&mut numbers, 1);
        assert!(numbers[0].is_nan() && numbers[1].is_nan());
        assert_eq!(numbers[2], 1.0);
    }

    #[test]
    fn numbers_move_by_half_a_step_at_most_and_only_once() {
        let inputs = GROUP + 3;
        let mut matrix: Vec<f32> =
            (0..inputs * 5).map(|index| ((index * 7919) % 1201) as f32 / 600.0 - 1.0).collect();
        // An output of zeros, and a large number.
        for input in 0..inputs {
            matrix[input * 5 + 2] = 0.0;
        }
        matrix[3] = 100.0;
        let before = matrix.clone();
        round_columns(&mut matrix, 5);
        for (index, (after, before)) in matrix.iter().zip(&before).enumerate() {
            let step = if index % 5 == 3 && index < 5 * GROUP { 100.0 } else { 1.0 } / 127.0;
            assert!((after - before).abs() <= 0.501 * step, "{before} became {after}");
        }
        assert_eq!(matrix[3], 100.0);
        let once = matrix.clone();
        round_columns(&mut matrix, 5);
        for (again, once) in matrix.iter().zip(&once) {
            assert!((again - once).abs() <= 1e-6 * once.abs());
        }

        let transposed = |matrix: &[f32]| -> Vec<f32> {
            (0..5).flat_map(|output| (0..inputs).map(move |input| matrix[input * 5 + output])).collect()
        };
        let mut rows = transposed(&before);
        round_rows(&mut rows, inputs);
        assert_eq!(rows, transposed(&once));
    }
}
