//! The matrix product under convolutions and recurrent layers: a tile of the result stays in registers over the whole sum.

use macerator::{AutoArch, Simd, VFma, WithSimd};

use crate::finish::InRegisters;
use crate::vector::{Floats, LINE, Line, fetch_ahead, lanes, load, multiply_add, splat, store};

/// Columns of a strip of the right factor.
pub(crate) const STRIP: usize = 32;

/// The most rows that a tile can have, whatever the registers.
pub(crate) const TILE: usize = 14;

/// A row of a strip.
pub(crate) type StripRow = [f32; STRIP];

/// Rows of the left factor: blocks of 16 steps of the sum, in each block the 16 numbers of one row after those of the row before.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    /// From the first row on.
    pub(crate) lines: &'a [Line],
    /// Lines from a block to the next.
    pub(crate) block: usize,
}

/// What a tile's product reads of its left factor.
pub(crate) trait Lines<'a>: Copy {
    /// 16 steps of the sum, from `16 block` on, of each of the first rows. What lies beyond the sum's last step means nothing.
    ///
    /// # Panics
    /// If the factor is not as deep.
    fn rows<const ROWS: usize>(self, block: usize) -> [&'a Line; ROWS];

    /// Steps of the sum after which the factor goes on [elsewhere](Self::part).
    #[inline(always)]
    fn steps(self) -> usize {
        usize::MAX
    }

    /// What is read for the `index`-th so many steps.
    #[inline(always)]
    fn part(self, _index: usize) -> Self {
        self
    }
}

impl<'a> Lines<'a> for Left<'a> {
    #[inline(always)]
    fn rows<const ROWS: usize>(self, block: usize) -> [&'a Line; ROWS] {
        let rows = self.lines[block * self.block..].first_chunk::<ROWS>();
        rows.expect("the left factor is as deep as the right one").each_ref()
    }
}

/// Rows of the left factor that start `step` numbers apart, and may overlap. There is a whole line from each 16th number of a part on.
#[derive(Clone, Copy)]
pub(crate) struct Overlapping<'a> {
    pub(crate) numbers: &'a [f32],
    pub(crate) step: usize,
    /// Steps of the sum in each part.
    pub(crate) len: usize,
    /// Numbers from a part to the next.
    pub(crate) pitch: usize,
}

impl<'a> Lines<'a> for Overlapping<'a> {
    #[inline(always)]
    fn rows<const ROWS: usize>(self, block: usize) -> [&'a Line; ROWS] {
        let mut rows = [&[0.0; LINE]; ROWS];
        for (index, row) in rows.iter_mut().enumerate() {
            let line = self.numbers[index * self.step + block * LINE..].first_chunk();
            *row = line.expect("the left factor is as deep as the right one");
        }
        rows
    }

    #[inline(always)]
    fn steps(self) -> usize {
        self.len
    }

    #[inline(always)]
    fn part(self, index: usize) -> Self {
        Self { numbers: &self.numbers[index * self.pitch..], ..self }
    }
}

/// The most rows of a tile with these registers.
#[inline(always)]
pub(crate) fn most_rows<S: Simd>() -> usize {
    match lanes::<S>() {
        16 => TILE,
        _ => 6,
    }
}

/// `n` in the fewest pieces of nearly equal size, none above `most`: the start and the length of each.
#[inline(always)]
pub(crate) fn pieces(n: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    in_pieces(n, n.div_ceil(most))
}

/// `n` in so many pieces of nearly equal size: the start and the length of each.
#[inline(always)]
pub(crate) fn in_pieces(n: usize, count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).map(move |piece| {
        let start = n * piece / count;
        (start, n * (piece + 1) / count - start)
    })
}

/// Rows of a strip that are on their way from the second-level cache while one is multiplied.
const AHEAD: usize = 12;

/// What a sum starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Zero,
    /// The numbers that the tile has already.
    Tile,
}

/// The product of the first rows of `left` and a strip; `tile` says how many.
///
/// A function of its own for each set of instructions, since it is long, and called for thousands of steps at least.
///
/// # Panics
/// If the left factor is shorter than the strip.
pub(crate) fn product(left: Left<'_>, strip: &[StripRow], start: Start, tile: &mut [StripRow]) {
    AutoArch::new().dispatch(Product { left, strip, start, columns: STRIP, finish: None, tile });
}

/// The same of a strip with so many columns that mean something, and finished, where `finish` says how. Beyond the columns the tile may
/// keep what it had.
///
/// # Panics
/// If the left factor is shorter than the strip.
pub(crate) fn finished_product(
    left: Left<'_>,
    strip: &[StripRow],
    start: Start,
    columns: usize,
    finish: Option<InRegisters<'_, STRIP>>,
    tile: &mut [StripRow],
) {
    AutoArch::new().dispatch(Product { left, strip, start, columns, finish, tile });
}

struct Product<'a> {
    left: Left<'a>,
    strip: &'a [StripRow],
    start: Start,
    columns: usize,
    finish: Option<InRegisters<'a, STRIP>>,
    tile: &'a mut [StripRow],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { left, strip, start, columns, finish, tile } = self;
        for (first, count) in pieces(tile.len(), most_rows::<S>()) {
            let left = Left { lines: &left.lines[first..], block: left.block };
            let (sum, tile) = (Sum { left, strip, start, finish }, &mut tile[first..first + count]);
            product_of::<S>(sum, columns, tile);
        }
    }
}

/// The same within a function that has the instructions, for products so short that a call would count.
///
/// # Panics
/// If the tile has more than [`most_rows`] or the left factor is shorter than the strip.
#[inline(always)]
pub(crate) fn tile_product<'a, S: Simd>(
    left: impl Lines<'a>,
    strip: &[StripRow],
    start: Start,
    tile: &mut [StripRow],
) {
    whole_product::<S>(Sum { left, strip, start, finish: None }, tile);
}

/// The same where so many columns of the result mean something.
///
/// # Panics
/// As [`tile_product`].
#[inline(always)]
pub(crate) fn columns_product<'a, S: Simd>(
    left: impl Lines<'a>,
    strip: &[StripRow],
    columns: usize,
    tile: &mut [StripRow],
) {
    product_of::<S>(Sum { left, strip, start: Start::Zero, finish: None }, columns, tile);
}

#[inline(always)]
fn product_of<'a, S: Simd>(sum: Sum<'_, impl Lines<'a>>, columns: usize, tile: &mut [StripRow]) {
    if lanes::<S>() == LINE && columns <= LINE {
        half_product::<S>(sum, tile);
    } else {
        whole_product::<S>(sum, tile);
    }
}

/// What is summed, from what on, and what becomes of it.
#[derive(Clone, Copy)]
struct Sum<'a, L> {
    left: L,
    strip: &'a [StripRow],
    start: Start,
    finish: Option<InRegisters<'a, STRIP>>,
}

/// Calls [`sums`] for as many rows as the tile has, so many registers side by side.
macro_rules! tiles {
    ($sum:ident, $tile:ident, $columns:ident, $vectors:literal: $($rows:literal)*) => {
        for column in (0..$columns).step_by($vectors * lanes::<S>()) {
            match $tile.len() {
                $($rows => sums::<S, _, $rows, $vectors>($sum, column, $tile),)*
                rows => unreachable!("a tile of {rows} rows"),
            }
        }
    };
}

#[inline(always)]
fn whole_product<'a, S: Simd>(sum: Sum<'_, impl Lines<'a>>, tile: &mut [StripRow]) {
    // As many as there are registers: 28, 12 or 24 sums, the right factor's vectors and one number of the left.
    match (lanes::<S>(), f32::is_accelerated::<S>()) {
        (16, _) => tiles!(sum, tile, STRIP, 2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
        (4, true) => tiles!(sum, tile, STRIP, 4: 1 2 3 4 5 6),
        _ => tiles!(sum, tile, STRIP, 2: 1 2 3 4 5 6),
    }
}

/// The first 16 columns, where they are one register.
#[inline(always)]
fn half_product<'a, S: Simd>(sum: Sum<'_, impl Lines<'a>>, tile: &mut [StripRow]) {
    tiles!(sum, tile, LINE, 1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

#[inline(always)]
fn sums<'a, S: Simd, L: Lines<'a>, const ROWS: usize, const VECTORS: usize>(
    sum: Sum<'_, L>,
    column: usize,
    tile: &mut [StripRow],
) {
    let Sum { left, strip, start, finish } = sum;
    let mut sums = [[splat::<S>(0.0); VECTORS]; ROWS];
    if start == Start::Tile {
        read::<S, ROWS, VECTORS>(&mut sums, column, tile);
    }
    for (part, strip) in strip.chunks(left.steps()).enumerate() {
        let left = left.part(part);
        let (blocks, rest) = strip.as_chunks::<LINE>();
        for (block, strip) in blocks.iter().enumerate() {
            let rows = left.rows::<ROWS>(block);
            for (step, strip) in strip.iter().enumerate() {
                add_step(&mut sums, rows, step, &strip[column..]);
            }
        }
        if !rest.is_empty() {
            let rows = left.rows::<ROWS>(blocks.len());
            for (step, strip) in rest.iter().enumerate() {
                add_step(&mut sums, rows, step % LINE, &strip[column..]);
            }
        }
    }
    if let Some(finish) = finish {
        finish.apply(&mut sums, column);
    }
    write::<S, ROWS, VECTORS>(&sums, column, tile);
}

#[inline(always)]
fn read<S: Simd, const ROWS: usize, const VECTORS: usize>(
    sums: &mut [[Floats<S>; VECTORS]; ROWS],
    column: usize,
    tile: &[StripRow],
) {
    for (row, sums) in tile.iter().zip(sums) {
        for (vector, sum) in sums.iter_mut().enumerate() {
            *sum = load(&row[column + vector * lanes::<S>()..]);
        }
    }
}

#[inline(always)]
fn write<S: Simd, const ROWS: usize, const VECTORS: usize>(
    sums: &[[Floats<S>; VECTORS]; ROWS],
    column: usize,
    tile: &mut [StripRow],
) {
    for (row, sums) in tile.iter_mut().zip(sums) {
        for (vector, sum) in sums.iter().enumerate() {
            store(&mut row[column + vector * lanes::<S>()..], *sum);
        }
    }
}

#[inline(always)]
fn add_step<S: Simd, const ROWS: usize, const VECTORS: usize>(
    sums: &mut [[Floats<S>; VECTORS]; ROWS],
    rows: [&Line; ROWS],
    step: usize,
    strip: &[f32],
) {
    let mut right = [splat::<S>(0.0); VECTORS];
    for (vector, right) in right.iter_mut().enumerate() {
        *right = load(&strip[vector * lanes::<S>()..]);
    }
    for line in (0..VECTORS * lanes::<S>()).step_by(LINE) {
        fetch_ahead(strip, AHEAD * STRIP + line);
    }
    for (sums, row) in sums.iter_mut().zip(rows) {
        let number = splat(row[step]);
        for (sum, &right) in sums.iter_mut().zip(&right) {
            *sum = multiply_add(number, right, *sum);
        }
    }
}

/// Adds to `tile`, which has 8 or 16 rows, the product of the transpose of `left`, a line for each step of the sum, and a strip.
#[inline(always)]
pub(crate) fn add_transposed_product<S: Simd>(left: &[Line], strip: &[StripRow], tile: &mut [StripRow]) {
    match lanes::<S>() {
        16 => add_transposed_rows::<S, 8, 2>(left, strip, tile),
        8 => add_transposed_rows::<S, 4, 2>(left, strip, tile),
        _ => add_transposed_rows::<S, 4, 4>(left, strip, tile),
    }
}

#[inline(always)]
fn add_transposed_rows<S: Simd, const ROWS: usize, const VECTORS: usize>(
    left: &[Line],
    strip: &[StripRow],
    tile: &mut [StripRow],
) {
    for (part, tile) in tile.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
        for column in (0..STRIP).step_by(VECTORS * lanes::<S>()) {
            // Added at the end, so that long sums are sums of short ones.
            let mut sums = [[splat::<S>(0.0); VECTORS]; ROWS];
            for (line, strip) in left.iter().zip(strip) {
                let numbers = &line.as_chunks::<ROWS>().0[part];
                let mut right = [splat::<S>(0.0); VECTORS];
                for (vector, right) in right.iter_mut().enumerate() {
                    *right = load(&strip[column + vector * lanes::<S>()..]);
                }
                for (sums, &number) in sums.iter_mut().zip(numbers) {
                    let number = splat(number);
                    for (sum, &right) in sums.iter_mut().zip(&right) {
                        *sum = multiply_add(number, right, *sum);
                    }
                }
            }
            let mut total = [[splat::<S>(0.0); VECTORS]; ROWS];
            read::<S, ROWS, VECTORS>(&mut total, column, tile);
            for (sums, total) in sums.iter_mut().zip(&total) {
                for (sum, &total) in sums.iter_mut().zip(total) {
                    *sum += total;
                }
            }
            write::<S, ROWS, VECTORS>(&sums, column, tile);
        }
    }
}
