//! Quantised types: blocks of numbers that share scales.
//!
//! Format: `ggml-common.h` and `ggml-quants.c` of ggml. Scales are `f16`, low byte first. Numbers are written here as `scale * number -
//! offset`, in the order of operations of ggml's own code, so that the floats are the same bit by bit.

use std::fmt;

use half::f16;

/// A type of blocks.
pub(crate) struct Blocks {
    pub(crate) name: &'static str,
    /// How many numbers a block has, and how many bytes it takes.
    pub(crate) elements: usize,
    pub(crate) bytes: usize,
    decode: fn(&[u8], &mut [f32]),
}

impl Blocks {
    /// Decodes whole blocks.
    pub(crate) fn decode(&self, bytes: &[u8], values: &mut [f32]) {
        for (block, values) in bytes.chunks_exact(self.bytes).zip(values.chunks_exact_mut(self.elements)) {
            (self.decode)(block, values);
        }
    }
}

impl PartialEq for Blocks {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Blocks {}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! blocks {
    ($($name:ident: $elements:literal in $bytes:literal, $decode:ident;)*) => {$(
        pub(crate) static $name: Blocks =
            Blocks { name: stringify!($name), elements: $elements, bytes: $bytes, decode: $decode };
    )*};
}

blocks! {
    Q8_0: 32 in 34, q8_0;
    Q4_0: 32 in 18, q4_0;
    Q4_1: 32 in 20, q4_1;
    Q5_0: 32 in 22, q5_0;
    Q5_1: 32 in 24, q5_1;
    Q2_K: 256 in 84, q2_k;
    Q3_K: 256 in 110, q3_k;
    Q4_K: 256 in 144, q4_k;
    Q5_K: 256 in 176, q5_k;
    Q6_K: 256 in 210, q6_k;
}

fn scale(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// A scale, and signed bytes.
fn q8_0(block: &[u8], values: &mut [f32]) {
    let d = scale(block, 0);
    for (value, number) in values.iter_mut().zip(&block[2..]) {
        *value = d * f32::from(*number as i8);
    }
}

/// The four-bit numbers of 16 bytes, with a fifth bit from `high`: the low halves are the first 16 numbers.
fn nibbles(pairs: &[u8], high: u32, mut put: impl FnMut(usize, u8)) {
    for (index, pair) in pairs.iter().enumerate() {
        let fifth = |bit: usize| ((high >> bit) as u8 & 1) << 4;
        put(index, pair & 15 | fifth(index));
        put(index + 16, pair >> 4 | fifth(index + 16));
    }
}

/// A scale, and numbers around 8.
fn q4_0(block: &[u8], values: &mut [f32]) {
    let d = scale(block, 0);
    nibbles(&block[2..], 0, |index, number| values[index] = d * (f32::from(number) - 8.0));
}

/// A scale, what is added, and numbers.
fn q4_1(block: &[u8], values: &mut [f32]) {
    let (d, m) = (scale(block, 0), scale(block, 2));
    nibbles(&block[4..], 0, |index, number| values[index] = d * f32::from(number) + m);
}

fn bits(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|byte| block[at + byte]))
}

/// A scale, fifth bits, and numbers around 16.
fn q5_0(block: &[u8], values: &mut [f32]) {
    let d = scale(block, 0);
    nibbles(&block[6..], bits(block, 2), |index, number| values[index] = d * (f32::from(number) - 16.0));
}

/// A scale, what is added, fifth bits, and numbers.
fn q5_1(block: &[u8], values: &mut [f32]) {
    let (d, m) = (scale(block, 0), scale(block, 2));
    nibbles(&block[8..], bits(block, 4), |index, number| values[index] = d * f32::from(number) + m);
}

/// Two bits of each of 256 numbers: the lowest of 32 bytes are the first 32, then come the next of the same bytes.
fn pairs_of_bits(bytes: &[u8], index: usize) -> u8 {
    let (half, row, column) = (index / 128, index / 32 % 4, index % 32);
    bytes[half * 32 + column] >> (2 * row) & 3
}

/// Scales and offsets of 16 groups in four bits each, numbers of two bits, a scale of each kind.
fn q2_k(block: &[u8], values: &mut [f32]) {
    let (scales, numbers) = (&block[..16], &block[16..80]);
    let (d, dmin) = (scale(block, 80), scale(block, 82));
    for (index, value) in values.iter_mut().enumerate() {
        let packed = scales[index / 16];
        let (d, m) = (d * f32::from(packed & 15), dmin * f32::from(packed >> 4));
        *value = d * f32::from(pairs_of_bits(numbers, index)) - m;
    }
}

/// Third bits of 256 numbers, the two others, scales of 16 groups in six bits around 32, a scale.
fn q3_k(block: &[u8], values: &mut [f32]) {
    let (high, numbers, packed) = (&block[..32], &block[32..96], &block[96..108]);
    let d = scale(block, 108);
    let scales: [f32; 16] = std::array::from_fn(|group| {
        let low = packed[group % 8] >> (4 * (group / 8)) & 15;
        let rest = packed[8 + group % 4] >> (2 * (group / 4)) & 3;
        d * f32::from((low | rest << 4) as i8 - 32)
    });
    for (index, value) in values.iter_mut().enumerate() {
        let third = high[index % 32] >> (index / 32) & 1;
        let number = (pairs_of_bits(numbers, index) | third << 2) as i8 - 4;
        *value = scales[index / 16] * f32::from(number);
    }
}

/// Scales and offsets of 8 groups in six bits each: the last four have their high bits in the bytes of the first.
fn six_bits(packed: &[u8], group: usize) -> [f32; 2] {
    let [d, m] = match group {
        0..4 => [packed[group] & 63, packed[group + 4] & 63],
        _ => [
            packed[group + 4] & 15 | (packed[group - 4] >> 6) << 4,
            packed[group + 4] >> 4 | (packed[group] >> 6) << 4,
        ],
    };
    [d, m].map(f32::from)
}

/// Two scales, those and the offsets of 8 groups, and the numbers of two groups in the halves of 32 bytes.
fn q4_k(block: &[u8], values: &mut [f32]) {
    groups_of_32(block, &block[16..], values, |_, _| 0);
}

/// The same with fifth bits, of which one byte has those of all groups.
fn q5_k(block: &[u8], values: &mut [f32]) {
    let high = &block[16..48];
    groups_of_32(block, &block[48..], values, |group, index| (high[index] >> group & 1) << 4);
}

fn groups_of_32(block: &[u8], numbers: &[u8], values: &mut [f32], high: impl Fn(usize, usize) -> u8) {
    let (d, dmin) = (scale(block, 0), scale(block, 2));
    for (group, values) in values.chunks_exact_mut(32).enumerate() {
        let [scale, offset] = six_bits(&block[4..16], group);
        let (d, m) = (d * scale, dmin * offset);
        let pairs = &numbers[group / 2 * 32..][..32];
        for (index, (value, pair)) in values.iter_mut().zip(pairs).enumerate() {
            let low = pair >> (4 * (group % 2)) & 15;
            *value = d * f32::from(low | high(group, index)) - m;
        }
    }
}

/// Four low bits and two high ones of numbers around 32, scales of 16 groups in signed bytes, a scale.
fn q6_k(block: &[u8], values: &mut [f32]) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let d = scale(block, 208);
    for (index, value) in values.iter_mut().enumerate() {
        let (half, row, column) = (index / 128, index / 32 % 4, index % 32);
        let low = low[half * 64 + row % 2 * 32 + column] >> (4 * (row / 2)) & 15;
        let high = high[half * 32 + column] >> (2 * row) & 3;
        let number = (low | high << 4) as i8 - 32;
        *value = d * f32::from(scales[index / 16] as i8) * f32::from(number);
    }
}
