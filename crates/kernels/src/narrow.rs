//! Products of narrow numbers: instructions that multiply two pairs of 16 bits or four of 8 bits in the place of one pair of 32 bits.
//!
//! A word of 32 bits holds the numbers of two or four neighbouring inputs, and takes the place that a float has in
//! [`product`](crate::product). Neither `macerator` nor `pulp` has the instructions, so they are called here.

use crate::product::STRIP;
use crate::quantize::{GROUP, bf16_bits, code, scale_of};
use crate::vector::LINE;

/// Numbers of one output, or of one vector, for 2 or 4 neighbouring inputs.
pub(crate) type Word = u32;

/// The numbers of a vector for 16 words of inputs.
pub(crate) type WordLine = [Word; LINE];

/// The numbers of a strip's outputs for one word of inputs.
pub(crate) type WordRow = [Word; STRIP];

/// Numbers of 16 bits in a word.
pub(crate) const PAIR: usize = 2;

/// Numbers of 8 bits in a word.
pub(crate) const QUAD: usize = 4;

// A line of quads shares a scale.
const _: () = assert!(GROUP == QUAD * LINE);

pub(crate) use dot::{Bf16Dot, ByteDot};

/// What the processor multiplies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instructions {
    pub(crate) pairs: Option<Bf16Dot>,
    pub(crate) quads: Option<ByteDot>,
}

impl Instructions {
    /// Of the processor that this runs on.
    pub(crate) fn detected() -> Self {
        Self { pairs: Bf16Dot::new(), quads: ByteDot::new() }
    }
}

/// Vectors in bfloat16, packed as the left factor of [`product`](crate::product).
#[derive(Clone, Copy)]
pub(crate) struct Pairs<'a> {
    pub(crate) words: &'a [WordLine],
    /// Lines from a block to the next.
    pub(crate) block: usize,
}

#[cfg(target_arch = "x86_64")]
impl Pairs<'_> {
    /// From a row and a block on.
    #[inline(always)]
    fn from(self, row: usize, block: usize) -> Self {
        Self { words: &self.words[block * self.block + row..], block: self.block }
    }
}

/// Vectors in 8 bits likewise; what the lines share has the order of the lines.
#[derive(Clone, Copy)]
pub(crate) struct Quads<'a> {
    pub(crate) words: &'a [WordLine],
    /// What a code stands for.
    pub(crate) scales: &'a [f32],
    /// What takes the 128 off that each number of the strip is too large by: -128 times the sum of the codes.
    pub(crate) offsets: &'a [i32],
    pub(crate) block: usize,
}

/// Two numbers in bfloat16, the first in the low bits.
#[inline(always)]
pub(crate) fn pair(first: f32, second: f32) -> Word {
    bf16_bits(first) | bf16_bits(second) << 16
}

/// Numbers of a vector as pairs, zeros beyond the last.
#[inline(always)]
pub(crate) fn pack_pairs(numbers: &[f32; PAIR * LINE]) -> WordLine {
    let mut words = [0; LINE];
    for (word, numbers) in words.iter_mut().zip(numbers.as_chunks::<PAIR>().0) {
        *word = pair(numbers[0], numbers[1]);
    }
    words
}

/// Numbers of a vector as codes of 8 bits, with their scale and -128 times their sum. A number that isn't finite makes NaN of the scale.
#[inline(always)]
pub(crate) fn pack_quads(numbers: &[f32; GROUP]) -> (WordLine, f32, i32) {
    let (mut largest, mut unbounded) = ([0.0_f32; LINE], [0.0_f32; LINE]);
    for numbers in numbers.as_chunks::<LINE>().0 {
        for ((largest, unbounded), number) in largest.iter_mut().zip(&mut unbounded).zip(numbers) {
            *largest = if number.abs() > *largest { number.abs() } else { *largest };
            *unbounded += number * 0.0;
        }
    }
    let largest = largest.into_iter().fold(0.0, f32::max) + unbounded.into_iter().sum::<f32>();
    let scale = scale_of(largest);
    let mut codes = [0_i8; GROUP];
    for (to, number) in codes.iter_mut().zip(numbers) {
        *to = code(*number, scale);
    }
    let sum: i32 = codes.iter().map(|&code| i32::from(code)).sum();
    (bytemuck::cast(codes), scale, -128 * sum)
}

/// Four codes of 8 bits as a strip has them: 128 above what they are.
pub(crate) fn quad(codes: [i8; QUAD]) -> Word {
    Word::from_le_bytes(codes.map(|code| code.cast_unsigned() ^ 0x80))
}

/// For each number of rows that a tile can have, a call of its own.
#[cfg(target_arch = "x86_64")]
macro_rules! for_rows {
    ($rows:expr, $function:ident($($argument:expr),*)) => {
        for_rows!($rows, $function($($argument),*), 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    };
    ($rows:expr, $function:ident $arguments:tt, $($count:literal)*) => {
        match $rows {
            0 => {}
            $($count => for_rows!(@call $function $count $arguments),)*
            rows => unreachable!("a tile of {rows} rows"),
        }
    };
    (@call $function:ident $count:literal ($($argument:expr),*)) => {
        $function::<$count>($($argument),*)
    };
}

#[cfg(target_arch = "x86_64")]
mod dot {
    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, _mm512_add_ps, _mm512_cvtepi32_ps, _mm512_dpbf16_ps, _mm512_dpbusd_epi32,
        _mm512_fmadd_ps, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    };

    use super::{Pairs, Quads, Word, WordLine, WordRow};
    use crate::matrix_units::{MatrixUnits, ROWS, Tiles};
    use crate::product::{StripRow, TILE, pieces};
    use crate::vector::LINE;

    /// A processor that multiplies pairs of bfloat16 (AVX512-BF16), perhaps with [units](MatrixUnits) for whole matrices of them.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Bf16Dot {
        units: Option<MatrixUnits>,
    }

    /// A thread's products of pairs.
    #[derive(Debug)]
    pub(crate) struct Bf16Products {
        dot: Bf16Dot,
        tiles: Option<Tiles>,
    }

    /// A processor that multiplies quads of 8 bits (AVX512-VNNI).
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct ByteDot(());

    impl Bf16Dot {
        /// Nothing if the processor can't.
        pub(crate) fn new() -> Option<Self> {
            let can = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16");
            can.then(|| Self { units: MatrixUnits::new() })
        }

        /// For products of so many rows.
        pub(crate) fn begin(self, rows: usize) -> Bf16Products {
            // For fewer, a unit is busy with rows that are not there.
            const MANY: usize = 5;
            let units = self.units.filter(|_| rows >= MANY);
            Bf16Products { dot: self, tiles: units.map(MatrixUnits::begin) }
        }

        /// Adds to `tile` the products of its first rows and a strip.
        ///
        /// # Panics
        /// If the tile has more than 14 rows or `left` is shorter than the strip.
        fn add(self, left: Pairs<'_>, strip: &[WordRow], tile: &mut [StripRow]) {
            #[expect(unsafe_code, reason = "these instructions take half the time; no crate offers them")]
            // SAFETY: whoever has a `Bf16Dot` got it from `new`, which has found the instructions.
            unsafe {
                for_rows!(tile.len(), add_pairs(left, strip, tile));
            }
        }
    }

    impl Bf16Products {
        /// Adds to `sums` the products of all their rows and a strip.
        ///
        /// # Panics
        /// If `left` is shorter than the strip.
        pub(crate) fn add(&mut self, left: Pairs<'_>, strip: &[WordRow], sums: &mut [StripRow]) {
            // Tiles take whole lines of words.
            let whole = if self.tiles.is_some() { strip.len() / LINE } else { 0 };
            let (lines, rest) = strip.split_at(whole * LINE);
            if let Some(tiles) = &mut self.tiles {
                for (first, sums) in (0..).step_by(ROWS).zip(sums.chunks_mut(ROWS)) {
                    tiles.add(left.from(first, 0), lines, sums);
                }
            }
            if !rest.is_empty() {
                for (first, count) in pieces(sums.len(), TILE) {
                    self.dot.add(left.from(first, whole), rest, &mut sums[first..first + count]);
                }
            }
        }
    }

    impl ByteDot {
        /// Nothing if the processor can't.
        pub(crate) fn new() -> Option<Self> {
            let can = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni");
            can.then_some(Self(()))
        }

        /// Adds to `tile` the products of its first rows and a strip, whose groups have `scales`.
        ///
        /// # Panics
        /// If the tile has more than 14 rows, or `left` or `scales` are shorter than the strip.
        pub(crate) fn add(
            self,
            left: Quads<'_>,
            strip: &[WordRow],
            scales: &[StripRow],
            tile: &mut [StripRow],
        ) {
            #[expect(
                unsafe_code,
                reason = "these instructions take a quarter of the time; no crate offers them"
            )]
            // SAFETY: whoever has a `ByteDot` got it from `new`, which has found the instructions.
            unsafe {
                for_rows!(tile.len(), add_quads(left, strip, scales, tile));
            }
        }
    }

    /// In every place of a register.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn everywhere(word: Word) -> __m512i {
        _mm512_set1_epi32(word.cast_signed())
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    #[inline]
    fn pairs(words: __m512i) -> __m512bh {
        #[expect(unsafe_code, reason = "there is no other way from integers to this type")]
        // SAFETY: both are 512 bits, all of whose values are valid.
        unsafe {
            std::mem::transmute(words)
        }
    }

    #[inline(always)]
    fn rows<const ROWS: usize>(words: &[WordLine], block: usize) -> &[WordLine; ROWS] {
        words[block..].first_chunk().expect("the left factor is as deep as the right one")
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn add_pairs<const ROWS: usize>(left: Pairs<'_>, strip: &[WordRow], tile: &mut [StripRow]) {
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        for (block, strip) in strip.chunks(LINE).enumerate() {
            let rows = rows::<ROWS>(left.words, block * left.block);
            for (step, right) in strip.iter().enumerate() {
                let [first, second]: [__m512i; 2] = bytemuck::cast(*right);
                let right = [pairs(first), pairs(second)];
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let numbers = pairs(everywhere(row[step % LINE]));
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = _mm512_dpbf16_ps(*sum, numbers, right);
                    }
                }
            }
        }
        for (row, sums) in tile.iter_mut().zip(sums) {
            let before: [__m512; 2] = bytemuck::cast(*row);
            *row = bytemuck::cast([_mm512_add_ps(before[0], sums[0]), _mm512_add_ps(before[1], sums[1])]);
        }
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn add_quads<const ROWS: usize>(
        left: Quads<'_>,
        strip: &[WordRow],
        scales: &[StripRow],
        tile: &mut [StripRow],
    ) {
        for (block, (strip, right_scales)) in strip.chunks(LINE).zip(scales).enumerate() {
            let at = block * left.block;
            let rows = rows::<ROWS>(left.words, at);
            let mut sums = [[everywhere(0); 2]; ROWS];
            for (sums, offset) in sums.iter_mut().zip(&left.offsets[at..at + ROWS]) {
                *sums = [_mm512_set1_epi32(*offset); 2];
            }
            for (step, right) in strip.iter().enumerate() {
                let right: [__m512i; 2] = bytemuck::cast(*right);
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let codes = everywhere(row[step % LINE]);
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = _mm512_dpbusd_epi32(*sum, right, codes);
                    }
                }
            }
            let right_scales: [__m512; 2] = bytemuck::cast(*right_scales);
            for ((row, sums), scale) in tile.iter_mut().zip(sums).zip(&left.scales[at..at + ROWS]) {
                let scale = _mm512_set1_ps(*scale);
                let mut numbers: [__m512; 2] = bytemuck::cast(*row);
                for ((number, sum), right) in numbers.iter_mut().zip(sums).zip(right_scales) {
                    *number = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(scale, right), *number);
                }
                *row = bytemuck::cast(numbers);
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod dot {
    use super::{Pairs, Quads, WordRow};
    use crate::product::StripRow;

    /// No processor of this kind multiplies pairs of bfloat16 here.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Bf16Dot {}

    /// Never there.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Bf16Products {}

    /// No processor of this kind multiplies quads of 8 bits here.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum ByteDot {}

    impl Bf16Dot {
        /// Nothing.
        pub(crate) fn new() -> Option<Self> {
            None
        }

        /// Never called.
        pub(crate) fn begin(self, _rows: usize) -> Bf16Products {
            match self {}
        }
    }

    impl Bf16Products {
        /// Never called.
        pub(crate) fn add(&mut self, _left: Pairs<'_>, _strip: &[WordRow], _sums: &mut [StripRow]) {
            match *self {}
        }
    }

    impl ByteDot {
        /// Nothing.
        pub(crate) fn new() -> Option<Self> {
            None
        }

        /// Never called.
        pub(crate) fn add(
            self,
            _left: Quads<'_>,
            _strip: &[WordRow],
            _scales: &[StripRow],
            _tile: &mut [StripRow],
        ) {
            match self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::quad;

    #[test]
    fn codes_in_order() {
        assert_eq!(quad([-127, 0, 1, 127]).to_le_bytes(), [1, 128, 129, 255]);
    }
}
