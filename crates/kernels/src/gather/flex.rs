//! Rows by index on flex.

use burn::backend::Flex;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::TensorData;
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::extension::GatherOps;
use crate::fresh::filled;
use crate::indices::indices;
use crate::memory::{CHUNK, FlexTensor, contiguous, for_each, rows, values};

impl GatherOps for Flex {
    fn gather_rows(table: FloatTensor<Self>, places: IntTensor<Self>, count: usize) -> FloatTensor<Self> {
        let table = contiguous(table);
        let shape = rows(&table);
        let (width, piece) = (shape.width, shape.at_a_time());
        let places = indices(places, count);
        let output = filled(places.len() * width, |output| {
            let pieces = output.par_chunks((piece * width).max(1)).zip(places.par_chunks(piece));
            for_each(pieces, |(output, places)| {
                output.gathered(values(&table), width, places);
            });
        });
        FlexTensor::from_data(TensorData::new(output, [places.len(), width]))
    }

    fn sum_rows(input: FloatTensor<Self>, segments: IntTensor<Self>, count: usize) -> FloatTensor<Self> {
        let input = contiguous(input);
        let width = rows(&input).width;
        let members = &Members::of(&indices(segments, count), count);
        let work = (members.rows.len() + count) * width;
        // Segments that a thread sums at a time. Each sum is that of one thread, however they are cut.
        let piece = count.div_ceil(work.div_ceil(CHUNK).max(1)).max(1);
        let output = filled(count * width, |output| {
            for_each(output.par_chunks((piece * width).max(1)).enumerate(), |(index, output)| {
                let (output, input) = (output.zeroed(), values(&input));
                AutoArch::new().dispatch(Sum { input, width, members, first: index * piece, output });
            });
        });
        FlexTensor::from_data(TensorData::new(output, [count, width]))
    }
}

/// Which rows belong to each segment.
struct Members {
    /// Where those of a segment begin; one more at the end.
    starts: Vec<usize>,
    /// Segment after segment, each in ascending order.
    rows: Vec<usize>,
}

impl Members {
    /// A counting sort.
    fn of(segments: &[usize], count: usize) -> Self {
        let mut starts = vec![0; count + 1];
        for &segment in segments {
            starts[segment + 1] += 1;
        }
        for segment in 0..count {
            starts[segment + 1] += starts[segment];
        }
        let mut next = starts.clone();
        let mut rows = vec![0; segments.len()];
        for (row, &segment) in segments.iter().enumerate() {
            rows[next[segment]] = row;
            next[segment] += 1;
        }
        Self { starts, rows }
    }
}

/// Adds up the rows of some segments.
struct Sum<'a> {
    input: &'a [f32],
    width: usize,
    members: &'a Members,
    /// The first of the segments.
    first: usize,
    /// Zeros.
    output: &'a mut [f32],
}

impl WithSimd for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { input, width, members, first, output } = self;
        let bounds = members.starts[first..].iter().zip(&members.starts[first + 1..]);
        for (sums, (&start, &end)) in output.chunks_exact_mut(width).zip(bounds) {
            for &row in &members.rows[start..end] {
                for (sum, &x) in sums.iter_mut().zip(&input[row * width..][..width]) {
                    *sum += x;
                }
            }
        }
    }
}
