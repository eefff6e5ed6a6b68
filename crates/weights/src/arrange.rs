//! Moving the elements of a tensor, as bytes, whatever their type.

use burn::tensor::{Shape, TensorData};

/// The matrix `[rows, columns]` as `[columns, rows]`.
pub(crate) fn transpose(data: TensorData) -> TensorData {
    let (bytes, shape, dtype) = data.into_parts();
    let size = shape.dims();
    let moved = match dtype.size() {
        1 => transpose_elements::<1>(&bytes, size),
        2 => transpose_elements::<2>(&bytes, size),
        4 => transpose_elements::<4>(&bytes, size),
        8 => transpose_elements::<8>(&bytes, size),
        size => unreachable!("no element has {size} bytes"),
    };
    let [rows, columns] = size;
    TensorData::from_bytes_vec(moved, Shape::new([columns, rows]), dtype)
}

fn transpose_elements<const SIZE: usize>(bytes: &[u8], [rows, columns]: [usize; 2]) -> Vec<u8> {
    // In blocks, so that neither side strides through memory a line at a time.
    const BLOCK: usize = 32;
    let (elements, _) = bytes.as_chunks::<SIZE>();
    let mut moved = vec![[0; SIZE]; elements.len()];
    for row_block in (0..rows).step_by(BLOCK) {
        for column_block in (0..columns).step_by(BLOCK) {
            for column in column_block..columns.min(column_block + BLOCK) {
                for row in row_block..rows.min(row_block + BLOCK) {
                    moved[column * rows + row] = elements[row * columns + column];
                }
            }
        }
    }
    moved.into_flattened()
}

/// The entries `start..start + length` along dimension `dim`.
pub(crate) fn narrow(data: &TensorData, dim: usize, start: usize, length: usize) -> TensorData {
    let mut shape = data.shape().as_slice().to_vec();
    let inner = shape[dim + 1..].iter().product::<usize>() * data.dtype().size();
    let whole = shape[dim] * inner;
    let bytes = data.as_bytes();
    let mut kept = Vec::with_capacity(bytes.len() / shape[dim].max(1) * length);
    if whole > 0 {
        for block in bytes.chunks_exact(whole) {
            kept.extend_from_slice(&block[start * inner..(start + length) * inner]);
        }
    }
    shape[dim] = length;
    TensorData::from_bytes_vec(kept, Shape::from(shape), data.dtype())
}

/// The tensors behind each other along dimension `dim`. They agree in type and in all other dimensions.
pub(crate) fn concatenate(parts: &[TensorData], dim: usize) -> TensorData {
    let mut shape = parts[0].shape().as_slice().to_vec();
    let dtype = parts[0].dtype();
    shape[dim] = parts.iter().map(|part| part.shape().as_slice()[dim]).sum();
    let outer: usize = shape[..dim].iter().product();
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.as_bytes().len()).sum());
    for index in 0..outer {
        for part in parts {
            let block = part.as_bytes().len() / outer;
            bytes.extend_from_slice(&part.as_bytes()[index * block..(index + 1) * block]);
        }
    }
    TensorData::from_bytes_vec(bytes, Shape::from(shape), dtype)
}

/// In which order the rows of heads are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowOrder {
    /// From two halves to neighbouring pairs: `0, D/2, 1, D/2 + 1, ...`.
    Pairs,
    /// The way back.
    Halves,
}

/// Puts the rows (along the first dimension) of each head of `head_dim` rows into another order.
pub(crate) fn reorder_rows(data: TensorData, head_dim: usize, order: RowOrder) -> TensorData {
    let (bytes, shape, dtype) = data.into_parts();
    let rows = shape.as_slice()[0];
    let size = bytes.len() / rows.max(1);
    let half = head_dim / 2;
    let mut moved = Vec::with_capacity(bytes.len());
    for row in 0..rows {
        let (head, place) = (row / head_dim * head_dim, row % head_dim);
        let from = head
            + match order {
                RowOrder::Pairs => place / 2 + place % 2 * half,
                RowOrder::Halves => place % half * 2 + place / half,
            };
        moved.extend_from_slice(&bytes[from * size..(from + 1) * size]);
    }
    TensorData::from_bytes_vec(moved, shape, dtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers<const D: usize>(shape: [usize; D]) -> TensorData {
        TensorData::new((0..shape.iter().product::<usize>() as i32).collect(), shape)
    }

    #[test]
    fn transposing_twice_changes_nothing() {
        let matrix = numbers([67, 35]);
        let transposed = transpose(matrix.clone());
        assert_eq!(transposed.shape().as_slice(), [35, 67]);
        assert_eq!(transposed.iter::<i32>().nth(1), Some(35));
        assert_eq!(transpose(transposed), matrix);
    }

    #[test]
    fn what_is_cut_can_be_put_together() {
        let whole = numbers([2, 5, 3]);
        for dim in 0..3 {
            let length = whole.shape().as_slice()[dim];
            let parts = [narrow(&whole, dim, 0, 1), narrow(&whole, dim, 1, length - 1)];
            assert_eq!(concatenate(&parts, dim), whole);
        }
        assert_eq!(narrow(&whole, 1, 3, 1).iter::<i32>().collect::<Vec<_>>(), [9, 10, 11, 24, 25, 26]);
    }

    #[test]
    fn halves_become_pairs() {
        let rows = numbers([12, 1]);
        let pairs = reorder_rows(rows.clone(), 6, RowOrder::Pairs);
        assert_eq!(pairs.iter::<i32>().collect::<Vec<_>>(), [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
        assert_eq!(reorder_rows(pairs, 6, RowOrder::Halves), rows);
    }
}
