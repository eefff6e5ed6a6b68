//! The memory of tensors on flex, and its way to the threads.

use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::{DType, TensorData};
use rayon::iter::plumbing::{Producer, ProducerCallback};
use rayon::prelude::*;

use crate::channels_last::{are_pixels, into_pixels, planes};
use crate::fresh::filled;

/// A tensor on flex, without autodiff.
pub(crate) type FlexTensor = FloatTensor<Flex>;

/// Elements that a thread computes at a time: 64 kB, a part of the second-level cache.
pub(crate) const CHUNK: usize = 16 * 1024;

/// The tensor itself, or a copy in row-major order.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() {
        return tensor;
    }
    if tensor.dtype() == DType::F32 && are_pixels(&tensor) {
        return planes(&into_pixels(tensor));
    }
    tensor.to_contiguous()
}

/// The elements of a contiguous tensor.
///
/// # Panics
/// If `tensor` isn't contiguous or doesn't hold 32-bit floats.
pub(crate) fn values(tensor: &FlexTensor) -> &[f32] {
    let (start, end) = bounds(tensor);
    &tensor.storage()[start..end]
}

/// The elements of a contiguous tensor whose memory no other tensor shares.
///
/// # Panics
/// As [`values`].
pub(crate) fn unshared(tensor: &mut FlexTensor) -> Option<&mut [f32]> {
    let (start, end) = bounds(tensor);
    tensor.try_storage_mut().map(|storage| &mut storage[start..end])
}

/// The elements of a tensor in row-major order, for writing: in new memory where others look at the old.
pub(crate) fn own(tensor: &mut FlexTensor) -> &mut [f32] {
    if !tensor.is_contiguous() {
        *tensor = contiguous(tensor.clone());
    }
    let (start, end) = bounds(tensor);
    &mut tensor.storage_mut()[start..end]
}

/// Where the elements of a contiguous tensor begin and end in its memory.
///
/// # Panics
/// If `tensor` isn't contiguous.
pub(crate) fn bounds(tensor: &FlexTensor) -> (usize, usize) {
    tensor.layout().contiguous_offsets().expect("callers make the tensor contiguous first")
}

/// A tensor of the shape of `model`.
pub(crate) fn like(model: &FlexTensor, values: Vec<f32>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, model.layout().shape().clone()))
}

/// Works a copy of `tensor` over in pieces of `length` elements, each together with its counterpart in `beside`.
///
/// The copy is the tensor's own memory where nobody else looks at it. Elsewhere each piece is copied where it is about to
/// be worked on, which is next to nothing beside the way to memory and back.
///
/// # Panics
/// If `length` is 0 and the tensor isn't empty.
pub(crate) fn rework<T: Send>(
    tensor: FlexTensor,
    length: usize,
    beside: impl IndexedParallelIterator<Item = T>,
    work: impl Fn(&mut [f32], T) + Send + Sync,
) -> FlexTensor {
    let mut tensor = contiguous(tensor);
    if tensor.layout().num_elements() == 0 {
        return tensor;
    }
    if let Some(values) = unshared(&mut tensor) {
        for_each(values.par_chunks_mut(length).zip(beside), |(piece, beside)| work(piece, beside));
        return tensor;
    }
    let output = filled(tensor.layout().num_elements(), |output| {
        let pieces = output.par_chunks(length).zip(values(&tensor).par_chunks(length)).zip(beside);
        for_each(pieces, |((output, input), beside)| work(output.copied(input), beside));
    });
    like(&tensor, output)
}

/// The size of the last dimension and the number of vectors along it.
///
/// # Panics
/// If the tensor has no dimension.
pub(crate) fn rows(tensor: &FlexTensor) -> Rows {
    let shape = tensor.layout().shape();
    let (width, others) = shape.as_slice().split_last().expect("callers check the rank");
    Rows { width: *width, count: others.iter().product() }
}

/// A tensor as vectors along its last dimension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows {
    /// Elements of each.
    pub(crate) width: usize,
    /// Number of vectors.
    pub(crate) count: usize,
}

impl Rows {
    /// Vectors that a thread computes at a time.
    pub(crate) fn at_a_time(self) -> usize {
        (CHUNK / self.width.max(1)).max(1)
    }
}

/// As [`rework`], a channel at a time, of which there is a piece in each element of the batch.
pub(crate) fn rework_channels<T: Send>(
    tensor: FlexTensor,
    beside: impl IndexedParallelIterator<Item = T>,
    work: impl Fn(&mut [&mut [f32]], T) + Send + Sync,
) -> FlexTensor {
    let mut tensor = contiguous(tensor);
    let (shape, elements) = (channels(&tensor), tensor.layout().num_elements());
    if elements == 0 {
        return tensor;
    }
    if let Some(values) = unshared(&mut tensor) {
        let pieces = shape.split(values.chunks_mut(shape.length)).into_par_iter().zip(beside);
        for_each(pieces, |(mut channel, beside)| work(&mut channel, beside));
        return tensor;
    }
    let input = values(&tensor);
    let output = filled(elements, |output| {
        let pieces = shape.split(output.chunks(shape.length)).into_par_iter().zip(beside).enumerate();
        for_each(pieces, |(index, (channel, beside))| {
            let inputs = input.chunks_exact(shape.length).skip(index).step_by(shape.count);
            let mut channel: Vec<_> =
                channel.into_iter().zip(inputs).map(|(output, input)| output.copied(input)).collect();
            work(&mut channel, beside);
        });
    });
    like(&tensor, output)
}

/// The channels of a tensor `[B, C, ...]`.
///
/// # Panics
/// If it has less than two dimensions.
pub(crate) fn channels(tensor: &FlexTensor) -> Channels {
    let shape = tensor.layout().shape();
    Channels { count: shape[1], length: shape.as_slice()[2..].iter().product() }
}

/// A tensor as channels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Channels {
    /// Number of channels.
    pub(crate) count: usize,
    /// Elements of one, in one element of the batch.
    pub(crate) length: usize,
}

impl Channels {
    /// The pieces of each channel, of those in the order of memory.
    pub(crate) fn split<T>(self, pieces: impl Iterator<Item = T>) -> Vec<Vec<T>> {
        let mut channels: Vec<_> = (0..self.count).map(|_| Vec::new()).collect();
        for (index, piece) in pieces.enumerate() {
            channels[index % self.count].push(piece);
        }
        channels
    }
}

/// `work` on each of `pieces`: on all threads, or on this one alone where there is only one piece, since a handover
/// takes longer than a few thousand elements.
pub(crate) fn for_each<P: IndexedParallelIterator>(pieces: P, work: impl Fn(P::Item) + Send + Sync) {
    if pieces.len() > 1 {
        pieces.for_each(work);
    } else {
        pieces.with_producer(Here(work));
    }
}

/// Multiplications, 16 at a time, that take one thread as long as a handover.
const HANDOVER: usize = 1 << 19;

/// As [`for_each`], for pieces of which each takes a number of multiplications: on this thread alone where all are few.
pub(crate) fn for_each_of<P: IndexedParallelIterator>(
    multiplications: usize,
    pieces: P,
    work: impl Fn(P::Item) + Send + Sync,
) {
    if pieces.len() * multiplications > HANDOVER {
        for_each(pieces, work);
    } else {
        pieces.with_producer(Here(work));
    }
}

/// Works on the calling thread.
struct Here<F>(F);

impl<T, F: Fn(T)> ProducerCallback<T> for Here<F> {
    type Output = ();

    fn callback<P: Producer<Item = T>>(self, producer: P) {
        producer.into_iter().for_each(self.0);
    }
}
