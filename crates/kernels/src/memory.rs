//! The memory of tensors on flex, and its way to the threads.

use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::TensorData;
use rayon::iter::plumbing::{Producer, ProducerCallback};
use rayon::prelude::*;

/// A tensor on flex, without autodiff.
pub(crate) type FlexTensor = FloatTensor<Flex>;

/// Elements that a thread computes at a time: 64 kB, a part of the second-level cache.
pub(crate) const CHUNK: usize = 16 * 1024;

/// The tensor itself, or a copy in row-major order.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
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

fn bounds(tensor: &FlexTensor) -> (usize, usize) {
    tensor.layout().contiguous_offsets().expect("callers make the tensor contiguous first")
}

/// A tensor of the shape of `model`.
pub(crate) fn like(model: &FlexTensor, values: Vec<f32>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, model.layout().shape().clone()))
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

/// Works on the calling thread.
struct Here<F>(F);

impl<T, F: Fn(T)> ProducerCallback<T> for Here<F> {
    type Output = ();

    fn callback<P: Producer<Item = T>>(self, producer: P) {
        producer.into_iter().for_each(self.0);
    }
}
