//! Resizing of images.

#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

use crate::device::is_accelerated;
use crate::plane_map::{Axis, PlaneMap, map_planes};

/// Which pixels a pixel of another size is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The one at `floor(i height / height')`, in 32-bit floats as PyTorch computes it: `mode="nearest"`.
    Nearest,
    /// The two nearest in each direction, where pixels are squares and the image's edges stay where they are:
    /// `mode="bilinear", align_corners=False`.
    Bilinear,
    /// The two nearest in each direction, where pixels are points and those in the corners stay where they are:
    /// `mode="bilinear", align_corners=True`.
    BilinearCorners,
}

/// Images in another size, the same as PyTorch's `interpolate` without antialiasing.
///
/// A pixel that coincides with one of the input is that one, whatever lies beside it; PyTorch makes NaN of an infinity
/// there, in some of its kernels.
///
/// # Shapes
/// - `input`: `[batch, channels, height, width]`
/// - output: `[batch, channels, height', width']`, as `size` says
///
/// # Panics
/// If a height or a width is zero.
pub fn resize2d(input: Tensor<4>, size: [usize; 2], interpolation: Interpolation) -> Tensor<4> {
    let [_, _, height, width] = input.dims();
    assert!(
        ![height, width, size[0], size[1]].contains(&0),
        "an image of {height}x{width} can't become {}x{}",
        size[0],
        size[1]
    );
    let [rows, columns] = [axis(height, size[0], interpolation), axis(width, size[1], interpolation)];
    if is_accelerated(&input) {
        map_planes(input, PlaneMap::Separable { rows, columns })
    } else {
        composed(input, &rows, &columns)
    }
}

/// Of burn's operations. Its own interpolation has no gradient on ndarray; two products of matrices have one everywhere.
fn composed(input: Tensor<4>, rows: &Axis, columns: &Axis) -> Tensor<4> {
    let (device, dtype) = (input.device(), input.dtype());
    let [rows, columns] = [rows, columns].map(|axis| axis.matrix(&device).cast(dtype).unsqueeze::<4>());
    rows.matmul(input).matmul(columns.transpose())
}

/// Positions are fractions of whole numbers, so that pixels coincide exactly where they should.
fn axis(from: usize, to: usize, interpolation: Interpolation) -> Axis {
    let mut axis = Axis::new(from);
    for place in 0..to {
        let (numerator, denominator) = match interpolation {
            Interpolation::Nearest => {
                let position = place as f32 * (from as f32 / to as f32);
                ((position as usize).min(from - 1), 1)
            }
            Interpolation::Bilinear => (((2 * place + 1) * from).saturating_sub(to), 2 * to),
            Interpolation::BilinearCorners => (place * (from - 1), (to - 1).max(1)),
        };
        let (below, share) = (numerator / denominator, numerator % denominator);
        if share > 0 && below + 1 < from {
            let share = share as f64 / denominator as f64;
            axis.push(below, [(1.0 - share) as f32, share as f32]);
        } else {
            axis.push(below, [1.0]);
        }
    }
    axis
}
