//! Position embeddings for another grid of patches.

use burn::tensor::{Device, Tensor, TensorData};

/// Resamples position embeddings from a grid of `from` rows and columns of patches to one of `to`: bicubic, antialiased
/// where the new grid is coarser. What stands before the grid (a class token) stays.
///
/// Reference: timm's `resample_abs_pos_embed` with its defaults, which is `torch.nn.functional.interpolate` with
/// `mode="bicubic", antialias=True`: Keys' kernel with `a = -0.5`, stretched by the scale where it is above 1, whose
/// weights are normalised at the borders. A grid that stays as it is, stays exact.
///
/// # Shapes
/// - `positions`: `[1, N + from[0] from[1], D]`, with any number `N` of positions before the grid
/// - output: `[1, N + to[0] to[1], D]`
///
/// # Panics
/// If there are fewer positions than the grid `from` has, or a side is 0.
pub fn resample_positions(positions: Tensor<3>, from: [usize; 2], to: [usize; 2]) -> Tensor<3> {
    if from == to {
        return positions;
    }
    let [_, count, width] = positions.dims();
    let device = positions.device();
    let before = count - from[0] * from[1];
    let grid = positions.clone().narrow(1, before, from[0] * from[1]);
    // One dimension after the other: each is a product with the matrix of its weights.
    let rows = weights(from[0], to[0], &device).matmul(grid.reshape([from[0], from[1] * width]));
    let columns_first = rows.reshape([to[0], from[1], width]).swap_dims(0, 1);
    let columns = weights(from[1], to[1], &device).matmul(columns_first.reshape([from[1], to[0] * width]));
    let grid = columns.reshape([to[1], to[0], width]).swap_dims(0, 1).reshape([1, to[0] * to[1], width]);
    match before {
        0 => grid,
        _ => Tensor::cat(vec![positions.narrow(1, 0, before), grid], 1),
    }
}

/// The share of each of `from` samples in each of `to` samples, `[to, from]`.
fn weights(from: usize, to: usize, device: &Device) -> Tensor<2> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = 2.0 * stretch;
    let mut shares = vec![0.0f32; to * from];
    for (index, row) in shares.chunks_exact_mut(from).enumerate() {
        let centre = scale * (index as f64 + 0.5);
        let first = (centre - support + 0.5).max(0.0) as usize;
        let last = ((centre + support + 0.5) as usize).min(from);
        let kernel = |sample: usize| keys((sample as f64 - centre + 0.5) / stretch);
        let total: f64 = (first..last).map(kernel).sum();
        (first..last).for_each(|sample| row[sample] = (kernel(sample) / total) as f32);
    }
    Tensor::from_data(TensorData::new(shares, [to, from]), device)
}

/// The cubic convolution kernel of Keys 1981 with `a = -0.5`, at a distance in samples.
fn keys(distance: f64) -> f64 {
    const A: f64 = -0.5;
    let x = distance.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}
