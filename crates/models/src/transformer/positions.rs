//! Positions as sines and cosines.

use burn::tensor::{Device, Tensor, TensorData};

/// `sin(p / 10000^(2i / D))` and `cos(p / 10000^(2i / D))` in turn, for the positions `p` from 0 (section 3.5).
///
/// Computed in `f64`: the angle of a late position has too many digits for `f32`.
///
/// # Shapes
/// - output: `[length, width]`
pub fn sinusoidal_positions(length: usize, width: usize, device: &Device) -> Tensor<2> {
    let frequencies: Vec<f64> =
        (0..width).map(|column| 10_000.0_f64.powf(-((column / 2 * 2) as f64) / width as f64)).collect();
    let values: Vec<f32> = (0..length)
        .flat_map(|position| {
            frequencies.iter().enumerate().map(move |(column, frequency)| {
                let angle = position as f64 * frequency;
                (if column % 2 == 0 { angle.sin() } else { angle.cos() }) as f32
            })
        })
        .collect();
    Tensor::from_data(TensorData::new(values, [length, width]), device)
}
