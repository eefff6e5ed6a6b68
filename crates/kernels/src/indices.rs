//! Integer tensors on flex as places.

use burn::backend::{Flex, tensor::IntTensor};
use burn::tensor::{DType, Element};
use bytemuck::Pod;

use crate::memory::{bounds, contiguous};

/// The elements of an integer tensor in row-major order, each below `count`.
///
/// # Panics
/// If an element is out of that range.
pub(crate) fn indices(tensor: IntTensor<Flex>, count: usize) -> Vec<usize> {
    let tensor = contiguous(tensor);
    match tensor.dtype() {
        DType::I64 => checked::<i64>(&tensor, count),
        DType::I32 => checked::<i32>(&tensor, count),
        DType::I16 => checked::<i16>(&tensor, count),
        DType::I8 => checked::<i8>(&tensor, count),
        DType::U64 => checked::<u64>(&tensor, count),
        DType::U32 => checked::<u32>(&tensor, count),
        DType::U16 => checked::<u16>(&tensor, count),
        DType::U8 => checked::<u8>(&tensor, count),
        other => panic!("indices are integers, not {other:?}"),
    }
}

fn checked<I: Element + Pod + Into<i128>>(tensor: &IntTensor<Flex>, count: usize) -> Vec<usize> {
    let (start, end) = bounds(tensor);
    let check = |&index: &I| match usize::try_from(index.into()) {
        Ok(place) if place < count => place,
        _ => panic!("index {} out of bounds for dimension of size {count}", index.into()),
    };
    tensor.storage::<I>()[start..end].iter().map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::indices;
    use crate::memory::FlexTensor;
    use burn::tensor::TensorData;

    fn tensor<I: burn::tensor::Element>(values: Vec<I>) -> FlexTensor {
        let len = values.len();
        FlexTensor::from_data(TensorData::new(values, [len]))
    }

    #[test]
    fn every_type_of_integer() {
        let places = |tensor| indices(tensor, 101);
        assert_eq!(places(tensor(vec![0_i64, 100, 3])), [0, 100, 3]);
        assert_eq!(places(tensor(vec![0_i32, 100, 3])), [0, 100, 3]);
        assert_eq!(places(tensor(vec![0_i16, 100, 3])), [0, 100, 3]);
        assert_eq!(places(tensor(vec![0_i8, 100, 3])), [0, 100, 3]);
        assert_eq!(places(tensor(vec![0_u64, 100, 3])), [0, 100, 3]);
        assert_eq!(places(tensor(vec![0_u32, 100, 3])), [0, 100, 3]);
        assert_eq!(places(tensor(vec![0_u16, 100, 3])), [0, 100, 3]);
        assert_eq!(places(tensor(vec![0_u8, 100, 3])), [0, 100, 3]);
        assert!(places(tensor(Vec::<i64>::new())).is_empty());
    }

    #[test]
    fn parts_and_turned_tensors_are_read_as_they_look() {
        let matrix = FlexTensor::from_data(TensorData::new(vec![0_i32, 1, 2, 3, 4, 5], [2, 3]));
        assert_eq!(indices(matrix.transpose(0, 1), 6), [0, 3, 1, 4, 2, 5]);
        assert_eq!(indices(matrix.narrow(0, 1, 1), 6), [3, 4, 5]);
    }

    #[test]
    #[should_panic(expected = "index -1 out of bounds for dimension of size 5")]
    fn negative_ones_are_refused() {
        indices(tensor(vec![0_i64, -1]), 5);
    }

    #[test]
    #[should_panic(expected = "index 5 out of bounds for dimension of size 5")]
    fn the_first_beyond_is_refused() {
        indices(tensor(vec![4_u64, 5]), 5);
    }
}
