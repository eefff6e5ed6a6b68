//! Bilinear interpolation.
//!
//! burn has it too, but on ndarray without a gradient.

use burn::tensor::Tensor;
use libellus_kernels::{Interpolation, resize2d};

use crate::trace;

/// Interpolates maps to another size so that the corners stay where they are, as PyTorch's
/// `interpolate(mode="bilinear", align_corners=True)`.
///
/// # Shapes
/// - `maps`: `[B, C, H, W]`
/// - output: `[B, C, H', W']`
///
/// # Panics
/// If either size is zero.
pub fn resize_bilinear(maps: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [batch, channels, rows, columns] = maps.dims();
    assert!(rows * columns * height * width > 0, "maps of {rows}x{columns} can't become {height}x{width}");
    if trace::only_shapes() {
        return Tensor::zeros([batch, channels, height, width], &maps.device());
    }
    resize2d(maps, [height, width], Interpolation::BilinearCorners)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use libellus_backend::testing::{assert_close, device, read};

    fn maps() -> Tensor<4> {
        Tensor::from_data([[[[0.0, 3.0], [6.0, 12.0], [2.0, 4.0]]]], &device())
    }

    #[test]
    fn corners_stay_and_the_rest_is_between() {
        let larger = read(resize_bilinear(maps(), [5, 4]));
        let expected = [
            [0.0, 1.0, 2.0, 3.0],
            [3.0, 4.5, 6.0, 7.5],
            [6.0, 8.0, 10.0, 12.0],
            [4.0, 5.333_333, 6.666_667, 8.0],
            [2.0, 2.666_667, 3.333_333, 4.0],
        ];
        assert_close(&larger, &TensorData::from([[expected]]), 1e-6);
    }

    #[test]
    fn the_same_size_is_the_same_and_one_pixel_is_the_first() {
        assert_eq!(read(resize_bilinear(maps(), [3, 2])), read(maps()));
        assert_eq!(read(resize_bilinear(maps(), [1, 1])).iter::<f32>().collect::<Vec<_>>(), [0.0]);
        let pixel = Tensor::<4>::full([1, 1, 1, 1], 7.0, &device());
        assert!(read(resize_bilinear(pixel, [3, 5])).iter::<f32>().all(|value| value == 7.0));
    }
}
