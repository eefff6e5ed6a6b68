//! Memory for results, without the zeros that would be written first: on one thread, and past the caches.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::vector::fetch_strip;

/// A tensor's memory that nobody has written yet, or a piece of it. Each piece turns into ordinary memory by being written
/// from end to end, by the thread that goes on with it.
pub(crate) struct Fresh<'a> {
    memory: &'a mut [MaybeUninit<f32>],
    /// Numbers of all pieces that are written.
    written: &'a Written,
}

/// How many numbers are written. Each thread has a count in a cache line of its own, since pieces may be short, and threads would wait for
/// one that they share.
#[derive(Default)]
struct Written([Count; COUNTS]);

/// Threads beyond as many share counts.
const COUNTS: usize = 8;

#[derive(Default)]
#[repr(align(64))]
struct Count(AtomicUsize);

impl Written {
    #[inline(always)]
    fn add(&self, numbers: usize) {
        let thread = rayon::current_thread_index().unwrap_or(0);
        self.0[thread % COUNTS].0.fetch_add(numbers, Ordering::Relaxed);
    }

    fn total(self) -> usize {
        self.0.into_iter().map(|count| count.0.into_inner()).sum()
    }
}

/// `len` numbers, every piece of which `fill` has to write.
///
/// # Panics
/// If `fill` leaves a piece out.
pub(crate) fn filled(len: usize, fill: impl FnOnce(Fresh<'_>)) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(len);
    let written = Written::default();
    fill(Fresh { memory: &mut numbers.spare_capacity_mut()[..len], written: &written });
    assert_eq!(written.total(), len, "pieces of fresh memory were left out");
    #[expect(unsafe_code, reason = "zeros take as long as many an operation: see docs/src/kernels.md")]
    // SAFETY: the capacity is at least `len`. Pieces don't overlap, each counts itself once, after it has been written from end to
    // end, and together they have counted to `len`.
    unsafe {
        numbers.set_len(len);
    }
    numbers
}

impl<'a> Fresh<'a> {
    pub(crate) fn len(&self) -> usize {
        self.memory.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.memory.is_empty()
    }

    /// The first `len` numbers, and the others.
    pub(crate) fn split_at(self, len: usize) -> (Self, Self) {
        let (first, rest) = self.memory.split_at_mut(len);
        (Self { memory: first, written: self.written }, Self { memory: rest, written: self.written })
    }

    /// In pieces of `len` numbers, the last one shorter.
    ///
    /// # Panics
    /// If `len` is 0.
    pub(crate) fn chunks(self, len: usize) -> impl Iterator<Item = Self> {
        let written = self.written;
        self.memory.chunks_mut(len).map(move |memory| Self { memory, written })
    }

    /// The same for several threads.
    pub(crate) fn par_chunks(self, len: usize) -> impl IndexedParallelIterator<Item = Self> {
        let written = self.written;
        self.memory.par_chunks_mut(len).map(move |memory| Self { memory, written })
    }

    /// To be written from the first number on, some at a time.
    pub(crate) fn writer(self) -> Writer<'a> {
        Writer { fresh: self, at: 0 }
    }

    /// Zeros.
    pub(crate) fn zeroed(self) -> &'a mut [f32] {
        self.full(0.0)
    }

    /// The same number everywhere.
    pub(crate) fn full(self, number: f32) -> &'a mut [f32] {
        self.memory.fill(MaybeUninit::new(number));
        self.into_written()
    }

    /// A copy.
    ///
    /// # Panics
    /// If the lengths differ.
    pub(crate) fn copied(self, numbers: &[f32]) -> &'a mut [f32] {
        self.memory.write_copy_of_slice(numbers);
        self.into_written()
    }

    /// Copies of the rows of `table`, `width` numbers each, at `places`.
    ///
    /// # Panics
    /// If they don't fill the memory, or a place is beyond the table.
    pub(crate) fn gathered(self, table: &[f32], width: usize, places: &[usize]) -> &'a mut [f32] {
        assert_eq!(Some(self.memory.len()), width.checked_mul(places.len()));
        for (memory, &place) in self.memory.chunks_exact_mut(width.max(1)).zip(places) {
            memory.write_copy_of_slice(&table[place * width..][..width]);
        }
        self.into_written()
    }

    /// `f` of each number.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline(always)]
    pub(crate) fn map(self, numbers: &[f32], f: impl Fn(f32) -> f32) -> &'a mut [f32] {
        assert_eq!(self.memory.len(), numbers.len());
        for (place, &number) in self.memory.iter_mut().zip(numbers) {
            place.write(f(number));
        }
        self.into_written()
    }

    /// `f` of each number and its counterpart.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline(always)]
    pub(crate) fn zip(self, left: &[f32], right: &[f32], f: impl Fn(f32, f32) -> f32) {
        assert_eq!([self.memory.len(); 2], [left.len(), right.len()]);
        for ((place, &left), &right) in self.memory.iter_mut().zip(left).zip(right) {
            place.write(f(left, right));
        }
        self.into_written();
    }

    /// `f` of each number and its counterparts.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline(always)]
    pub(crate) fn zip_with_two(
        self,
        numbers: &[f32],
        [left, right]: [&[f32]; 2],
        f: impl Fn(f32, f32, f32) -> f32,
    ) {
        assert_eq!([self.memory.len(); 3], [numbers.len(), left.len(), right.len()]);
        let counterparts = left.iter().zip(right);
        for ((place, &number), (&left, &right)) in self.memory.iter_mut().zip(numbers).zip(counterparts) {
            place.write(f(number, left, right));
        }
        self.into_written();
    }

    /// To be called when every number has been written.
    #[inline(always)]
    fn into_written(self) -> &'a mut [f32] {
        self.written.add(self.memory.len());
        #[expect(unsafe_code, reason = "what was written is memory like any other")]
        // SAFETY: the methods above have written every number. Nobody else calls this one.
        unsafe {
            self.memory.assume_init_mut()
        }
    }
}

/// A piece that is written from its first number on.
pub(crate) struct Writer<'a> {
    fresh: Fresh<'a>,
    /// Numbers that are written.
    at: usize,
}

impl Writer<'_> {
    /// Writes the next numbers, or as many of them as there are places left.
    #[inline(always)]
    pub(crate) fn push<const N: usize>(&mut self, numbers: &[f32; N]) {
        let rest = &mut self.fresh.memory[self.at..];
        match rest.first_chunk_mut::<N>() {
            Some(places) => {
                places.write_copy_of_slice(numbers);
                self.at += N;
            }
            None => {
                rest.write_copy_of_slice(&numbers[..rest.len()]);
                self.at += rest.len();
            }
        }
    }

    /// Asks for the cache lines of the next numbers, as many as a strip has.
    #[inline(always)]
    pub(crate) fn fetch_next(&self) {
        fetch_strip(&self.fresh.memory[self.at..]);
    }

    /// # Panics
    /// If places are left.
    pub(crate) fn finish(self) {
        Self::finish_all([self]);
    }

    /// Of pieces of the same memory.
    ///
    /// # Panics
    /// If places are left.
    pub(crate) fn finish_all(writers: impl IntoIterator<Item = Self>) {
        let mut all: Option<(&Written, usize)> = None;
        for Self { fresh, at } in writers {
            assert_eq!(at, fresh.len(), "places are left");
            let (written, len) = all.get_or_insert((fresh.written, 0));
            assert!(std::ptr::eq(*written, fresh.written), "pieces of different memory");
            *len += at;
        }
        if let Some((written, len)) = all {
            written.add(len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::filled;
    use rayon::prelude::*;

    #[test]
    fn every_way_of_writing() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let numbers: Vec<f32> = (0..len).map(|index| index as f32).collect();
            assert_eq!(
                filled(len, |memory| {
                    memory.zeroed();
                }),
                vec![0.0; len]
            );
            assert_eq!(
                filled(len, |memory| {
                    memory.full(7.0);
                }),
                vec![7.0; len]
            );
            assert_eq!(
                filled(len, |memory| {
                    memory.copied(&numbers);
                }),
                numbers
            );
            assert_eq!(
                filled(len, |memory| {
                    memory.map(&numbers, |x| x + 0.0);
                }),
                numbers
            );
            let places: Vec<usize> = (0..len).rev().collect();
            let reversed: Vec<f32> = numbers.iter().rev().copied().collect();
            assert_eq!(
                filled(len, |memory| {
                    memory.gathered(&numbers, 1, &places);
                }),
                reversed
            );
            let sums: Vec<f32> = numbers.iter().map(|x| x + x).collect();
            assert_eq!(filled(len, |memory| memory.zip(&numbers, &numbers, |x, y| x + y)), sums);
        }
    }

    #[test]
    fn some_at_a_time() {
        let written = filled(5, |memory| {
            let mut writer = memory.writer();
            writer.push(&[1.0, 2.0, 3.0]);
            writer.push(&[4.0, 5.0, 6.0]);
            writer.push(&[7.0]);
            writer.finish();
        });
        assert_eq!(written, [1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    #[should_panic(expected = "places are left")]
    fn a_writer_has_to_reach_the_end() {
        filled(5, |memory| {
            let mut writer = memory.writer();
            writer.push(&[1.0, 2.0]);
            writer.finish();
        });
    }

    #[test]
    fn pieces_make_the_whole() {
        let numbers: Vec<f32> = (0..103).map(|index| index as f32).collect();
        let whole = filled(103, |memory| {
            let (first, rest) = memory.split_at(40);
            assert_eq!([first.len(), rest.len()], [40, 63]);
            assert!(!rest.is_empty());
            for (piece, numbers) in first.chunks(7).zip(numbers.chunks(7)) {
                let len = piece.len();
                piece.copied(&numbers[..len]);
            }
            rest.par_chunks(8).zip(numbers[40..].par_chunks(8)).for_each(|(piece, numbers)| {
                piece.map(numbers, |number| number);
            });
        });
        assert_eq!(whole, numbers);
    }

    #[test]
    #[should_panic(expected = "left: Some(10)")]
    fn rows_have_to_fill_the_memory() {
        filled(10, |memory| {
            memory.gathered(&[0.0; 12], 3, &[0, 1, 2]);
        });
    }

    #[test]
    #[should_panic(expected = "pieces of fresh memory were left out")]
    fn all_has_to_be_written() {
        filled(10, |memory| {
            memory.split_at(5).0.zeroed();
        });
    }
}
