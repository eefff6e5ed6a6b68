//! Means over windows of an image.

#[cfg(test)]
mod tests;

use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Tensor, module};

use crate::device::is_accelerated;
use crate::plane_map::{Axis, PlaneMap, map_planes};

/// The mean of each window, the same as burn's and PyTorch's.
///
/// The padding counts as zeros, or with `count_include_pad: false` not at all. In ceil mode windows may reach over the padding's
/// end, where nothing counts.
///
/// # Shapes
/// - `input`: `[batch, channels, height, width]`
/// - output: `[batch, channels, height', width']` with `height' = (height + 2 padding - kernel) / stride + 1`, rounded down or, in
///   ceil mode, up, but for a last window that would start in the padding
///
/// # Panics
/// If the windows don't fit the image.
pub fn avg_pool2d(input: Tensor<4>, options: AvgPoolOptions<2>) -> Tensor<4> {
    match windows(&input, &options) {
        Some([rows, columns]) => map_planes(input, PlaneMap::Separable { rows, columns }),
        None => module::avg_pool2d(input, options),
    }
}

/// The mean of each of `size` windows that share the image evenly, the same as burn's and PyTorch's: window `i` has rows
/// `floor(i height / height')` to `ceil((i + 1) height / height')`.
///
/// # Shapes
/// - `input`: `[batch, channels, height, width]`
/// - output: `[batch, channels, height', width']`, as `size` says
///
/// # Panics
/// If the image has no pixels.
pub fn adaptive_avg_pool2d(input: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = input.dims();
    if !is_accelerated(&input) || [height, width, size[0], size[1]].contains(&0) {
        return module::adaptive_avg_pool2d(input, size);
    }
    let map = match size {
        [1, 1] => PlaneMap::Mean([height, width]),
        [rows, columns] => {
            PlaneMap::Separable { rows: shares(height, rows), columns: shares(width, columns) }
        }
    };
    map_planes(input, map)
}

/// The windows down the columns and along the rows, where the fast path can take them.
fn windows(input: &Tensor<4>, options: &AvgPoolOptions<2>) -> Option<[Axis; 2]> {
    // Where burn pads one side more than the other itself, its ceil mode counts windows in another way.
    if !is_accelerated(input) || options.ceil_mode && options.is_asymmetric() {
        return None;
    }
    let [_, _, height, width] = input.dims();
    Some([windows_along(height, options, 0)?, windows_along(width, options, 1)?])
}

/// The windows along an axis, or nothing where none fits.
fn windows_along(length: usize, options: &AvgPoolOptions<2>, axis: usize) -> Option<Axis> {
    let (kernel, stride) = (options.kernel_size[axis], options.stride[axis]);
    let (before, after) = options.padding[axis];
    let padded = before + length + after;
    if length == 0 || kernel == 0 || stride == 0 {
        return None;
    }
    let rest = padded.checked_sub(kernel)?;
    let mut count = rest / stride + 1;
    if options.ceil_mode {
        count = rest.div_ceil(stride) + 1;
        if (count - 1) * stride >= before + length {
            count -= 1;
        }
    }
    let mut windows = Axis::new(length);
    for start in (0..count).map(|window| window * stride) {
        let end = (start + kernel).min(padded);
        // Without the padding.
        let inputs =
            start.clamp(before, before + length) - before..end.clamp(before, before + length) - before;
        let size = if options.count_include_pad { end - start } else { inputs.len() };
        windows.push(inputs.start, inputs.map(|_| 1.0 / size as f32));
    }
    Some(windows)
}

/// So many windows that share the inputs evenly.
fn shares(inputs: usize, outputs: usize) -> Axis {
    let mut windows = Axis::new(inputs);
    for output in 0..outputs {
        let inputs = output * inputs / outputs..((output + 1) * inputs).div_ceil(outputs);
        let size = inputs.len();
        windows.push(inputs.start, inputs.map(|_| 1.0 / size as f32));
    }
    windows
}
