//! A tensor in a file: where its elements are, and reading them.

use burn::tensor::{DType, Element as BurnElement, TensorData};

use crate::error::WeightsError;
use crate::read::data::{Data, DataReader};
use crate::read::element::{ByteOrder, Element, Value, element_count};

/// A tensor whose elements are known to lie within the file.
#[derive(Clone)]
pub(crate) struct Located {
    pub(crate) shape: Vec<usize>,
    pub(crate) element: Element,
    pub(crate) order: ByteOrder,
    /// The bytes among which they are.
    pub(crate) data: Data,
    pub(crate) view: View,
}

/// Which elements of the data are the tensor's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum View {
    /// As many as it has, from this one on, in row-major order.
    Contiguous { first: u64 },
    /// Element `[i, j, ...]` is number `first + i * strides[0] + j * strides[1] + ...`.
    Strided { first: u64, strides: Vec<usize> },
}

/// A tensor that repeats elements (`torch.expand`) is written out, which may take this many bytes, or as many as the
/// file has.
const MAX_REPEATED: u64 = 1 << 24;

/// So many elements are decoded at a time; a multiple of every block.
const PART: usize = 1 << 14;

impl View {
    /// The view of a tensor of this shape, with strides and first element counted in elements of storage that has
    /// `available` of them. `file` is the size of the file in bytes.
    pub(crate) fn new(
        shape: &[usize],
        strides: &[usize],
        first: u64,
        available: u64,
        file: u64,
    ) -> Result<Self, String> {
        if strides.len() != shape.len() {
            return Err(format!("it has {} dimensions and {} strides", shape.len(), strides.len()));
        }
        let count = element_count(shape).ok_or_else(|| format!("its shape {shape:?} is too large"))?;
        if count == 0 {
            return Ok(Self::Contiguous { first: 0 });
        }
        let reach = shape.iter().zip(strides).try_fold(0_u64, |reach, (&length, &stride)| {
            reach.checked_add((length as u64 - 1).checked_mul(stride as u64)?)
        });
        let end = reach.and_then(|reach| first.checked_add(reach)?.checked_add(1));
        if end.is_none_or(|end| end > available) {
            return Err(format!(
                "its shape {shape:?} with strides {strides:?} from element {first} on reaches beyond the \
                 {available} elements of its storage"
            ));
        }
        let mut expected = 1;
        let mut contiguous = true;
        for (&length, &stride) in shape.iter().zip(strides).rev() {
            contiguous &= length == 1 || stride == expected;
            expected *= length;
        }
        if contiguous {
            return Ok(Self::Contiguous { first });
        }
        if count as u64 > available && count as u64 * 8 > MAX_REPEATED.max(file) {
            return Err(format!(
                "its shape {shape:?} repeats the {available} elements of its storage too often"
            ));
        }
        Ok(Self::Strided { first, strides: strides.to_vec() })
    }
}

impl Located {
    /// Reads the elements. Floating-point numbers of any width, quantised ones among them, become `f32`.
    pub(crate) fn read(&self, name: &str) -> Result<TensorData, WeightsError> {
        match self.element.dtype() {
            Some(DType::F32) => self.data_of::<f32>(),
            Some(DType::I64) => self.data_of::<i64>(),
            Some(DType::I32) => self.data_of::<i32>(),
            Some(DType::I16) => self.data_of::<i16>(),
            Some(DType::I8) => self.data_of::<i8>(),
            Some(DType::U64) => self.data_of::<u64>(),
            Some(DType::U32) => self.data_of::<u32>(),
            Some(DType::U16) => self.data_of::<u16>(),
            Some(DType::U8) => self.data_of::<u8>(),
            Some(DType::Bool(_)) => {
                // Any other byte than 0 and 1 is no `bool`.
                let values: Vec<bool> = self.values::<u8>()?.into_iter().map(|byte| byte != 0).collect();
                Ok(TensorData::new(values, self.shape.clone()))
            }
            _ => Err(WeightsError::ElementType {
                path: self.data.source.path().to_owned(),
                tensor: name.to_owned(),
                dtype: self.element.name().to_owned(),
                wanted: "a tensor of burn",
            }),
        }
    }

    /// The matrix with its rows and columns exchanged; the elements go to their places as they are read.
    pub(crate) fn transposed(&self) -> Self {
        let [rows, columns] = [self.shape[0], self.shape[1]];
        let view = match &self.view {
            View::Contiguous { first } => View::Strided { first: *first, strides: vec![1, columns] },
            View::Strided { first, strides } => {
                View::Strided { first: *first, strides: vec![strides[1], strides[0]] }
            }
        };
        Self { shape: vec![columns, rows], view, ..self.clone() }
    }

    fn data_of<T: Value + BurnElement>(&self) -> Result<TensorData, WeightsError> {
        Ok(TensorData::new(self.values::<T>()?, self.shape.clone()))
    }

    fn values<T: Value>(&self) -> Result<Vec<T>, WeightsError> {
        // The elements lie within the file, as was checked when it was opened, so this takes no more than the file does,
        // times what decoding adds.
        let count: usize = self.shape.iter().product();
        let mut values = vec![T::zeroed(); count];
        if count == 0 {
            return Ok(values);
        }
        match &self.view {
            View::Contiguous { first } => self.fill(*first, &mut values)?,
            View::Strided { first, strides } => match Permuted::new(&self.shape, strides) {
                Some(permuted) => self.scatter(*first, permuted, &mut values)?,
                None => self.gather(*first, strides, &mut values)?,
            },
        }
        Ok(values)
    }

    /// Stands before element number `first` of the data.
    fn reader_at(&self, first: u64) -> Result<DataReader<'_>, WeightsError> {
        let mut reader = self.data.reader();
        let (elements, bytes) = self.block();
        // Read rather than skipped, because a checksum covers it.
        reader.read(&mut vec![0; self.data.lead as usize])?;
        reader.skip(first / elements as u64 * bytes as u64)?;
        Ok(reader)
    }

    fn block(&self) -> (usize, usize) {
        self.element.block().unwrap_or((1, 1))
    }

    /// Reads the elements from number `first` on, in the order of the file.
    fn fill<T: Value>(&self, first: u64, values: &mut [T]) -> Result<(), WeightsError> {
        let mut reader = self.reader_at(first)?;
        let as_they_are = cfg!(target_endian = "little") && self.order == ByteOrder::Little;
        if (as_they_are || size_of::<T>() == 1) && self.holds::<T>() {
            return reader.read(bytemuck::cast_slice_mut(values));
        }
        let mut bytes = Vec::new();
        values.chunks_mut(PART).try_for_each(|part| self.decode(&mut reader, &mut bytes, part))
    }

    fn holds<T: Value>(&self) -> bool {
        self.element == T::SAME || self.element == Element::Bool
    }

    fn decode<T: Value>(
        &self,
        reader: &mut DataReader<'_>,
        bytes: &mut Vec<u8>,
        values: &mut [T],
    ) -> Result<(), WeightsError> {
        let (elements, size) = self.block();
        bytes.resize(values.len().div_ceil(elements) * size, 0);
        reader.read(bytes)?;
        T::decode(bytes, self.element, self.order, values);
        Ok(())
    }

    /// Reads elements that are all there in another order, one after the other, each to its place.
    fn scatter<T: Value>(
        &self,
        first: u64,
        mut places: Permuted,
        values: &mut [T],
    ) -> Result<(), WeightsError> {
        let mut reader = self.reader_at(first)?;
        let (mut bytes, mut part) = (Vec::new(), vec![T::zeroed(); PART.min(values.len())]);
        let mut left = values.len();
        while left > 0 {
            let part = &mut part[..PART.min(left)];
            self.decode(&mut reader, &mut bytes, part)?;
            left -= part.len();
            for value in part {
                values[places.next()] = *value;
            }
        }
        Ok(())
    }

    /// Picks elements from all those between the first and the last one.
    fn gather<T: Value>(&self, first: u64, strides: &[usize], values: &mut [T]) -> Result<(), WeightsError> {
        let reach: usize = self.shape.iter().zip(strides).map(|(length, stride)| (length - 1) * stride).sum();
        let mut all = vec![T::zeroed(); reach + 1];
        self.fill(first, &mut all)?;
        let mut walk = Walk::new(self.shape.iter().copied().zip(strides.iter().copied()).collect());
        for value in values {
            *value = all[walk.next()];
        }
        Ok(())
    }
}

/// The places, in row-major order, of elements that are stored in another order of the dimensions.
struct Permuted(Walk);

impl Permuted {
    /// `None` if the strides leave gaps or overlap.
    fn new(shape: &[usize], strides: &[usize]) -> Option<Self> {
        let mut places = vec![1; shape.len()];
        for index in (1..shape.len()).rev() {
            places[index - 1] = places[index] * shape[index];
        }
        // Slowest dimension of the file first.
        let mut dimensions: Vec<_> = (0..shape.len())
            .filter(|&index| shape[index] != 1)
            .map(|index| (strides[index], index))
            .collect();
        dimensions.sort_unstable_by_key(|&(stride, _)| std::cmp::Reverse(stride));
        let mut expected = 1;
        for &(stride, index) in dimensions.iter().rev() {
            if stride != expected {
                return None;
            }
            expected *= shape[index];
        }
        Some(Self(Walk::new(dimensions.iter().map(|&(_, index)| (shape[index], places[index])).collect())))
    }

    fn next(&mut self) -> usize {
        self.0.next()
    }
}

/// Counts through dimensions, the last one fastest, and adds up their strides.
struct Walk {
    /// Length and stride.
    dimensions: Vec<(usize, usize)>,
    index: Vec<usize>,
    position: usize,
}

impl Walk {
    fn new(dimensions: Vec<(usize, usize)>) -> Self {
        Self { index: vec![0; dimensions.len()], dimensions, position: 0 }
    }

    /// The position now; then it goes on. After the last one it starts again.
    fn next(&mut self) -> usize {
        let position = self.position;
        for (index, &(length, stride)) in self.index.iter_mut().zip(&self.dimensions).rev() {
            *index += 1;
            self.position += stride;
            if *index < length {
                break;
            }
            self.position -= length * stride;
            *index = 0;
        }
        position
    }
}
