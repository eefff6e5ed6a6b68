//! The product of vectors and [`Strips`].
//!
//! Few vectors, or more of them and a large matrix: each thread takes all vectors through some strips, so that memory is read once. Many:
//! each thread takes some vectors through all strips, which it finds in the caches.

use std::ops::Range;

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::packed::Packed;
use super::strips::{Numbers, Strips, decode};
use crate::finish::Finish;
use crate::fresh::{Fresh, Writer, filled};
use crate::matrix::Matrix;
use crate::memory::for_each_of;
use crate::product::{STRIP, StripRow, TILE, pieces};
use crate::quantize::GROUP;
use crate::scratch::with_scratch;
use crate::vector::{LINE, fetch_strip};

/// Vectors that are packed at a time: four tiles.
pub(crate) const VECTORS: usize = 4 * TILE;
/// Strips that a thread reads at a time at most.
const STRIPS: usize = 8;
/// Parts that strips fall into at least, where there are so many.
const PARTS: usize = 8;
/// Parts of the vectors are a multiple of this many, so that threads get as many.
const EVEN: usize = 2;
/// Numbers of a matrix that is read but once, where that can be: 2 MB.
const LARGE: usize = 1 << 19;
/// Numbers of all vectors that each thread can read for each of its strips: 1 MB, a part of the second-level cache.
const SHARED: usize = 1 << 18;
/// Rows of a strip whose products are summed in one go, so that they stay in the first-level cache from tile to tile.
pub(super) const SLICE: usize = 192;

/// The left factor.
pub(crate) trait Vectors: Sync {
    fn count(&self) -> usize;

    /// Some of them, as these strips want them.
    fn pack(&self, strips: &Strips<'_>, range: Range<usize>) -> Packed;
}

impl Vectors for Matrix<'_> {
    fn count(&self) -> usize {
        self.rows
    }

    fn pack(&self, strips: &Strips<'_>, range: Range<usize>) -> Packed {
        Packed::new(strips, *self, range)
    }
}

/// The products, a vector of outputs for each vector. `finish` takes outputs for channels.
pub(crate) fn multiply(input: &impl Vectors, strips: &Strips<'_>, finish: Finish<'_>) -> Vec<f32> {
    let (vectors, d_output) = (input.count(), strips.d_output);
    let all = 0..d_output.div_ceil(STRIP);
    let are_few = vectors <= VECTORS;
    let is_read_once =
        strips.d_input * d_output > LARGE && vectors <= d_output && vectors * strips.d_input <= SHARED;
    filled(vectors * d_output, |output| {
        if output.is_empty() {
            output.zeroed();
        } else if are_few || is_read_once {
            let at_a_time = (all.len() / PARTS).clamp(1, STRIPS);
            let packs: Vec<Range<usize>> =
                pieces(vectors, VECTORS).map(|(start, len)| start..start + len).collect();
            let packs: Vec<Packed> = packs.into_par_iter().map(|range| input.pack(strips, range)).collect();
            let multiplications = vectors * strips.d_input * at_a_time * STRIP;
            let parts = columns(output, d_output, at_a_time * STRIP);
            for_each_of(multiplications, parts.into_par_iter().enumerate(), |(part, rows)| {
                let range = part * at_a_time..((part + 1) * at_a_time).min(all.end);
                Rows::write(rows, |rows| run(strips, range, &packs, [0, vectors], rows, finish));
            });
        } else {
            let arranged = match strips.numbers {
                Numbers::InPlace(matrix) => Some(Strips::once(matrix)),
                _ => None,
            };
            let strips = arranged.as_ref().unwrap_or(strips);
            let count = vectors.div_ceil(vectors.div_ceil(VECTORS).next_multiple_of(EVEN));
            let multiplications = count * strips.d_input * d_output;
            let parts = output.par_chunks(count * d_output).enumerate();
            for_each_of(multiplications, parts, |(part, output)| {
                let range = part * count..((part + 1) * count).min(vectors);
                let first = range.start;
                let packs = [input.pack(strips, range)];
                Rows::write(output.chunks(d_output), |rows| {
                    run(strips, all.clone(), &packs, [first, vectors], rows, finish);
                });
            });
        }
    })
}

/// The same on this thread alone, of vectors that are packed: those from number `first` on, of `count`.
pub(crate) fn multiply_packed(
    packed: &Packed,
    strips: &Strips<'_>,
    [first, count]: [usize; 2],
    products: &mut impl Products,
    finish: Finish<'_>,
) {
    let all = 0..strips.d_output.div_ceil(STRIP);
    run(strips, all, std::slice::from_ref(packed), [first, count], products, finish);
}

/// Cuts rows of `width` numbers into parts of at most `most` columns: the pieces of all rows for each part.
pub(super) fn columns(rows: Fresh<'_>, width: usize, most: usize) -> Vec<Vec<Fresh<'_>>> {
    let mut parts: Vec<Vec<Fresh<'_>>> = (0..width.div_ceil(most)).map(|_| Vec::new()).collect();
    for mut row in rows.chunks(width) {
        for part in &mut parts {
            let len = row.len().min(most);
            let (piece, rest) = row.split_at(len);
            part.push(piece);
            row = rest;
        }
        row.zeroed();
    }
    parts
}

/// Where products go.
pub(crate) trait Products {
    /// Asks for the cache lines where those of some vectors with the next strip will lie.
    #[inline(always)]
    fn fetch_next(&self, _: Range<usize>) {}

    /// Takes those of all vectors with a strip. Beyond the last output is anything.
    fn put(&mut self, strip: usize, sums: &[StripRow]);
}

/// The products of each vector, side by side.
pub(crate) struct Rows<'a>(Vec<Writer<'a>>);

impl<'a> Rows<'a> {
    /// Lets `write` write rows, of which it gets every strip.
    pub(crate) fn write(rows: impl IntoIterator<Item = Fresh<'a>>, write: impl FnOnce(&mut Self)) {
        let mut rows = Self(rows.into_iter().map(Fresh::writer).collect());
        write(&mut rows);
        Writer::finish_all(rows.0);
    }
}

impl Products for Rows<'_> {
    #[inline(always)]
    fn fetch_next(&self, vectors: Range<usize>) {
        for row in &self.0[vectors] {
            row.fetch_next();
        }
    }

    #[inline(always)]
    fn put(&mut self, _: usize, sums: &[StripRow]) {
        for (row, sums) in self.0.iter_mut().zip(sums) {
            row.push(sums);
        }
    }
}

/// Products with a range of strips, of vectors from number `first` on, of `count`.
fn run(
    strips: &Strips<'_>,
    range: Range<usize>,
    packs: &[Packed],
    [first, count]: [usize; 2],
    products: &mut impl Products,
    finish: Finish<'_>,
) {
    let vectors = packs.iter().map(Packed::vectors).sum();
    with_scratch((vectors + SLICE) * STRIP, |scratch| {
        let (sums, slice) = scratch.as_chunks_mut::<STRIP>().0.split_at_mut(vectors);
        AutoArch::new().dispatch(Multiply {
            strips,
            range,
            packs,
            first,
            count,
            products,
            finish,
            sums,
            slice,
        });
    });
}

struct Multiply<'a, P> {
    strips: &'a Strips<'a>,
    /// Of strips.
    range: Range<usize>,
    /// The vectors.
    packs: &'a [Packed],
    /// The first vector's number.
    first: usize,
    /// Of vectors, those of other threads too: what they are multiplied with doesn't depend on how many threads there are.
    count: usize,
    products: &'a mut P,
    finish: Finish<'a>,
    /// One for each vector.
    sums: &'a mut [StripRow],
    /// For a slice of a strip.
    slice: &'a mut [StripRow],
}

impl<P: Products> WithSimd for Multiply<'_, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { strips, range, packs, first, count, products, finish, sums, slice: scratch } = self;
        let is_narrow = matches!(strips.numbers, Numbers::Pairs(..) | Numbers::Quads(..));
        for strip in range {
            if strips.d_input == 0 || is_narrow {
                sums.fill([0.0; STRIP]);
            }
            let channel = strip * STRIP;
            let outputs = (strips.d_output - channel).min(STRIP);
            let of_channels = finish.of_channels(channel);
            let in_registers = finish.in_registers(&of_channels).filter(|_| strips.d_input > 0 && !is_narrow);
            let last = strips.d_input.div_ceil(SLICE).saturating_sub(1);
            let add_floats = |slice: usize, numbers: &[StripRow], pack: &Packed, sums: &mut [StripRow]| {
                pack.add_floats(slice, numbers, outputs, in_registers.filter(|_| slice == last), sums);
            };
            // Adds the products with a slice. What they go to, what is added to them, and the part of a matrix that comes `next` are fetched
            // from memory meanwhile, a little for each pack: a thread waits where it asks for more than a few dozen lines at once.
            let mut add = |slice: usize,
                           next: Option<(Matrix<'_>, usize, Range<usize>)>,
                           multiply: &mut dyn FnMut(&Packed, &mut [StripRow])| {
                let (mut sums, mut vector) = (&mut *sums, 0);
                for (index, pack) in packs.iter().enumerate() {
                    let vectors = vector..vector + pack.vectors();
                    if slice == 0 {
                        products.fetch_next(vectors.clone());
                        if let Some(residual) = finish.residual {
                            for row in vectors.clone() {
                                fetch_strip(&residual[(first + row) * strips.d_output + channel..]);
                            }
                        }
                    }
                    if let Some((matrix, strip, rows)) = &next {
                        let part = |index: usize| rows.start + rows.len() * index / packs.len();
                        matrix.fetch(*strip, part(index)..part(index + 1));
                    }
                    let (here, after) = sums.split_at_mut(vectors.len());
                    multiply(pack, here);
                    (sums, vector) = (after, vectors.end);
                }
            };
            match &strips.numbers {
                Numbers::InPlace(matrix) => {
                    for (slice, start) in (0..strips.d_input).step_by(SLICE).enumerate() {
                        let inputs = start..strips.d_input.min(start + SLICE);
                        let numbers = &mut scratch[..inputs.len()];
                        matrix.narrowed(inputs.clone()).pack_strip::<S>(strip, numbers);
                        let next = match inputs.end {
                            end if end == matrix.rows => (*matrix, strip + 1, 0..end.min(SLICE)),
                            end => (*matrix, strip, end..matrix.rows.min(end + SLICE)),
                        };
                        add(slice, Some(next), &mut |pack, sums| add_floats(slice, numbers, pack, sums));
                    }
                }
                Numbers::Floats(numbers) => {
                    for (slice, numbers) in numbers.strip(strip).chunks(SLICE).enumerate() {
                        add(slice, None, &mut |pack, sums| add_floats(slice, numbers, pack, sums));
                    }
                }
                Numbers::Codes(codes, scales) => {
                    let scales = scales.strip(strip).chunks(SLICE / GROUP);
                    for (slice, (codes, scales)) in codes.strip(strip).chunks(SLICE).zip(scales).enumerate() {
                        let numbers = decode::<S>(codes, scales, scratch);
                        add(slice, None, &mut |pack, sums| add_floats(slice, numbers, pack, sums));
                    }
                }
                Numbers::Pairs(dot, words) => {
                    let mut dots = dot.begin(count);
                    for (slice, words) in words.strip(strip).chunks(SLICE).enumerate() {
                        add(slice, None, &mut |pack, sums| dots.add(pack.pairs(slice), words, sums));
                    }
                }
                Numbers::Quads(dot, words, scales) => {
                    let scales = scales.strip(strip).chunks(SLICE / LINE);
                    for (slice, (words, scales)) in words.strip(strip).chunks(SLICE).zip(scales).enumerate() {
                        add(slice, None, &mut |pack, sums| {
                            for (first, count) in pieces(sums.len(), TILE) {
                                let sums = &mut sums[first..first + count];
                                dot.add(pack.quads(slice, first), words, scales, sums);
                            }
                        });
                    }
                }
            }
            if in_registers.is_none() {
                for (index, sums) in sums.iter_mut().enumerate() {
                    let place = (first + index) * strips.d_output + channel;
                    finish.pixel::<S, STRIP>(&of_channels, place, sums);
                }
            }
            finish.slow_nonlinearity(sums.as_flattened_mut());
            products.put(strip, sums);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::multiply;
    use crate::Precision;
    use crate::finish::Finish;
    use crate::linear::{Order, strips::Strips};
    use crate::matrix::Matrix;
    use crate::narrow::Instructions;
    use crate::quantize::{round_columns, round_to_bf16};

    /// A processor without the instructions multiplies what the weights have become with the vectors as they are.
    #[test]
    fn without_narrow_instructions() {
        let numbers = |len: usize, step: usize| -> Vec<f32> {
            (0..len).map(|index| ((index * step) % 1201) as f32 / 600.0 - 1.0).collect()
        };
        let instructions = Instructions { pairs: None, quads: None };
        for (precision, vectors, d_input, d_output) in [
            (Precision::Bf16, 3, 17, 35),
            (Precision::Bf16, 31, 200, 33),
            (Precision::Q8, 1, 130, 65),
            (Precision::Q8, 31, 259, 33),
        ] {
            let (input, mut weight) = (numbers(vectors * d_input, 7919), numbers(d_input * d_output, 4421));
            match precision {
                Precision::Q8 => round_columns(&mut weight, d_output),
                _ => round_to_bf16(&mut weight, d_output),
            }
            let matrix = Matrix::new(&weight, [d_input, d_output], Order::Rows);
            let strips = Strips::new(matrix, precision, instructions);
            let output =
                multiply(&Matrix::new(&input, [vectors, d_input], Order::Rows), &strips, Finish::default());
            for (vector, output) in input.chunks(d_input).zip(output.chunks(d_output)) {
                for (column, output) in output.iter().enumerate() {
                    let products = vector.iter().zip(weight[column..].iter().step_by(d_output));
                    let expected: f64 = products.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                    assert!((f64::from(*output) - expected).abs() < 1e-4, "{output} for {expected}");
                }
            }
        }
    }
}
