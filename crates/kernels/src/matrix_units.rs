//! Units that multiply whole matrices of bfloat16 (Intel's AMX): 16 rows of 32 numbers and 32 rows of 16, in 16 cycles.
//!
//! They have registers of their own, tiles of 16 rows of 64 bytes, which are those of the words in [`narrow`](crate::narrow): nothing
//! is packed in another way. Rust 1.95 has the instructions on nightly only, so they are written in assembly. Linux gives the registers to
//! those that ask.

pub(crate) use units::{MatrixUnits, Tiles};

/// The most rows of a product that is computed at once: two tiles.
pub(crate) const ROWS: usize = 32;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod units {
    use std::arch::asm;
    use std::marker::PhantomData;
    use std::sync::LazyLock;

    use super::ROWS;
    use crate::narrow::{Pairs, WordRow};
    use crate::product::StripRow;
    use crate::vector::LINE;

    /// A processor with such units, which this process may use.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct MatrixUnits(());

    /// The units of the thread that it runs on, configured. Dropping it gives their registers back.
    #[derive(Debug)]
    pub(crate) struct Tiles {
        /// Rows of the products' upper and lower tiles.
        rows: [usize; 2],
        /// The registers are the thread's.
        _of_thread: PhantomData<*const ()>,
    }

    /// What `ldtilecfg` reads: how many rows and bytes of a row each tile has.
    #[repr(C, align(64))]
    struct Configuration([u8; 64]);

    impl MatrixUnits {
        /// Nothing if there are none, or the system doesn't give them.
        pub(crate) fn new() -> Option<Self> {
            static FOUND: LazyLock<bool> = LazyLock::new(|| has_instructions() && may_use());
            FOUND.then_some(Self(()))
        }

        /// Takes the registers of this thread.
        pub(crate) fn begin(self) -> Tiles {
            Tiles { rows: [0; 2], _of_thread: PhantomData }
        }
    }

    /// Whether the processor has tiles, and multiplies bfloat16 in them.
    fn has_instructions() -> bool {
        const BF16: u32 = 1 << 22;
        const TILES: u32 = 1 << 24;
        let features = std::arch::x86_64::__cpuid_count(7, 0).edx;
        features & BF16 != 0 && features & TILES != 0
    }

    /// Asks for the registers, for all threads of the process.
    fn may_use() -> bool {
        const REQUEST: libc::c_long = 0x1023; // ARCH_REQ_XCOMP_PERM
        const TILE_DATA: libc::c_long = 18;
        #[expect(unsafe_code, reason = "there is no other way to ask")]
        // SAFETY: the call takes two numbers and touches no memory.
        let refused = unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, TILE_DATA) };
        refused == 0
    }

    impl Tiles {
        /// Adds to `tile` the products of its first rows and a strip, whole lines of words only.
        ///
        /// # Panics
        /// If the tile has no rows or more than 32, the strip isn't whole lines, or `left` is shorter than it.
        pub(crate) fn add(&mut self, left: Pairs<'_>, strip: &[WordRow], tile: &mut [StripRow]) {
            let count = tile.len();
            assert!((1..=ROWS).contains(&count), "a product of {count} rows");
            let (blocks, []) = strip.as_chunks::<LINE>() else { panic!("a strip of {} words", strip.len()) };
            if blocks.is_empty() {
                return;
            }
            let last = (blocks.len() - 1) * left.block + count;
            assert!(left.words.len() >= last, "the left factor is as deep as the right one");
            let rows = [count.min(LINE), count.saturating_sub(LINE)];
            if rows != self.rows {
                self.configure(rows);
            }
            let step = size_of_val(&left.words[0]) * left.block;
            #[expect(
                unsafe_code,
                reason = "these units are an order of magnitude faster than all else; no crate offers them"
            )]
            // SAFETY: whoever has `Tiles` got them from a `MatrixUnits`, whose `new` has found the instructions and was given
            // the registers. With these rows configured, a pass of the loop reads `count` lines of `left`, which the assertion has
            // found there, and a block of the strip; `tile` is read and written in `count` rows of 128 bytes. The tiles' registers are
            // nobody else's: compilers don't use them.
            unsafe {
                if rows[1] == 0 {
                    asm!(
                        "tileloadd tmm0, [{c} + {wide}]",
                        "tileloadd tmm1, [{c} + {wide} + 64]",
                        "2:",
                        "tileloadd tmm4, [{a} + {narrow}]",
                        "tileloadd tmm6, [{b} + {wide}]",
                        "tileloadd tmm7, [{b} + {wide} + 64]",
                        "tdpbf16ps tmm0, tmm4, tmm6",
                        "tdpbf16ps tmm1, tmm4, tmm7",
                        "add {a}, {step}",
                        "add {b}, 2048",
                        "dec {n}",
                        "jnz 2b",
                        "tilestored [{c} + {wide}], tmm0",
                        "tilestored [{c} + {wide} + 64], tmm1",
                        a = inout(reg) left.words.as_ptr() => _,
                        b = inout(reg) blocks.as_ptr() => _,
                        c = in(reg) tile.as_mut_ptr(),
                        n = inout(reg) blocks.len() => _,
                        step = in(reg) step,
                        narrow = in(reg) 64_usize,
                        wide = in(reg) 128_usize,
                        options(nostack),
                    );
                } else {
                    asm!(
                        "tileloadd tmm0, [{c} + {wide}]",
                        "tileloadd tmm1, [{c} + {wide} + 64]",
                        "tileloadd tmm2, [{c} + {wide} + 2048]",
                        "tileloadd tmm3, [{c} + {wide} + 2112]",
                        "2:",
                        "tileloadd tmm4, [{a} + {narrow}]",
                        "tileloadd tmm6, [{b} + {wide}]",
                        "tileloadd tmm7, [{b} + {wide} + 64]",
                        "tileloadd tmm5, [{a} + {narrow} + 1024]",
                        "tdpbf16ps tmm0, tmm4, tmm6",
                        "tdpbf16ps tmm1, tmm4, tmm7",
                        "tdpbf16ps tmm2, tmm5, tmm6",
                        "tdpbf16ps tmm3, tmm5, tmm7",
                        "add {a}, {step}",
                        "add {b}, 2048",
                        "dec {n}",
                        "jnz 2b",
                        "tilestored [{c} + {wide}], tmm0",
                        "tilestored [{c} + {wide} + 64], tmm1",
                        "tilestored [{c} + {wide} + 2048], tmm2",
                        "tilestored [{c} + {wide} + 2112], tmm3",
                        a = inout(reg) left.words.as_ptr() => _,
                        b = inout(reg) blocks.as_ptr() => _,
                        c = in(reg) tile.as_mut_ptr(),
                        n = inout(reg) blocks.len() => _,
                        step = in(reg) step,
                        narrow = in(reg) 64_usize,
                        wide = in(reg) 128_usize,
                        options(nostack),
                    );
                }
            }
        }

        /// Tiles 0, 1 and 4 are the upper results and the upper left factor; 2, 3 and 5 the lower ones; 6 and 7 the right factor.
        fn configure(&mut self, rows: [usize; 2]) {
            let [upper, lower] = rows.map(|rows| rows as u8);
            let mut configuration = Configuration([0; 64]);
            let bytes = &mut configuration.0;
            bytes[0] = 1;
            for (tile, rows) in [upper, upper, lower, lower, upper, lower, 16, 16].into_iter().enumerate() {
                bytes[16 + 2 * tile] = if rows == 0 { 0 } else { 64 };
                bytes[48 + tile] = rows;
            }
            #[expect(unsafe_code, reason = "as above")]
            // SAFETY: the instructions are there, as above; they read the 64 bytes of the configuration, which is a valid one.
            unsafe {
                asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack, readonly));
            }
            self.rows = rows;
        }
    }

    impl Drop for Tiles {
        fn drop(&mut self) {
            if self.rows != [0; 2] {
                #[expect(unsafe_code, reason = "as above")]
                // SAFETY: the instructions are there, as above.
                unsafe {
                    asm!("tilerelease", options(nostack, nomem));
                }
            }
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod units {
    use crate::narrow::{Pairs, WordRow};
    use crate::product::StripRow;

    /// No processor or system of this kind is known to have such units.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum MatrixUnits {}

    /// Never there.
    #[derive(Debug)]
    pub(crate) enum Tiles {}

    impl MatrixUnits {
        /// Nothing.
        pub(crate) fn new() -> Option<Self> {
            None
        }

        /// Never called.
        pub(crate) fn begin(self) -> Tiles {
            match self {}
        }
    }

    impl Tiles {
        /// Never called.
        pub(crate) fn add(&mut self, _left: Pairs<'_>, _strip: &[WordRow], _tile: &mut [StripRow]) {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MatrixUnits, ROWS};
    use crate::narrow::{PAIR, Pairs, WordLine, WordRow, pair};
    use crate::product::{STRIP, StripRow};
    use crate::vector::LINE;

    /// Every number of rows, with one block and with several: small whole numbers, whose sums are exact.
    #[test]
    fn products_of_all_sizes() {
        let Some(units) = MatrixUnits::new() else { return };
        let number = |index: usize| ((index * 37) % 17) as f32 - 8.0;
        let mut tiles = units.begin();
        for rows in 1..=ROWS {
            for depth in [1, 3] {
                // A row more than the product has, so that blocks lie apart.
                let block = rows + 1;
                let left = |row: usize, input: usize| number(row * 131 + input);
                let right = |input: usize, output: usize| number(input * 57 + output + 3);
                let mut words: Vec<WordLine> = vec![[0; LINE]; depth * block];
                for (at, word) in words.as_flattened_mut().iter_mut().enumerate() {
                    let (line, step) = (at / LINE, at % LINE);
                    let input = PAIR * (line / block * LINE + step);
                    *word = pair(left(line % block, input), left(line % block, input + 1));
                }
                let strip: Vec<WordRow> = (0..depth * LINE)
                    .map(|word| {
                        std::array::from_fn(|output| {
                            pair(right(2 * word, output), right(2 * word + 1, output))
                        })
                    })
                    .collect();
                let mut sums: Vec<StripRow> = vec![[0.5; STRIP]; rows + 1];
                tiles.add(Pairs { words: &words, block }, &strip, &mut sums[..rows]);
                for (row, sums) in sums.iter().enumerate() {
                    for (output, sum) in sums.iter().enumerate() {
                        let products =
                            (0..depth * LINE * PAIR).map(|input| left(row, input) * right(input, output));
                        let expected = if row < rows { 0.5 + products.sum::<f32>() } else { 0.5 };
                        assert_eq!(*sum, expected, "{rows} rows, {depth} blocks, row {row}, output {output}");
                    }
                }
            }
        }
    }
}
