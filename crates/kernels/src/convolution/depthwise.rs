//! Convolutions of each channel with a kernel of its own, plane by plane.
//!
//! A thread copies a plane [with its padding](super::padded), of a row of which the kernel then meets whole registers.

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::padded::Layout;
use super::shape::Shape;
use crate::finish::Finish;
use crate::fresh::filled;
use crate::scratch::with_scratch;
use crate::vector::{Floats, LINE, lanes, load, multiply_add, splat, store};

/// Whether this is the way to compute the convolution.
pub(super) fn suits(shape: &Shape) -> bool {
    shape.is_depthwise()
}

/// The output, `[batch, channels, height, width]`.
pub(super) fn forward(shape: &Shape, input: &[f32], weight: &[f32], finish: Finish<'_>) -> Vec<f32> {
    let layout = &Layout::of_whole_lines(shape);
    let planes = input.par_chunks_exact(shape.pixels_in().max(1));
    filled(shape.of_output().iter().product(), |output| {
        let pieces = output.par_chunks(shape.pixels_out()).zip(planes).enumerate();
        pieces.for_each(|(plane, (output, input))| {
            let channel = plane % shape.channels_out;
            let kernel = &weight[channel * shape.taps()..][..shape.taps()];
            let (scale, shift) = (finish.scale_of(channel), finish.shift_of(channel));
            let (start, output) = (plane * output.len(), output.zeroed());
            with_scratch(layout.len(), |padded| {
                layout.fill(input, 0.0, padded);
                let op = Forward { layout, kernel, scale, shift, finish, start, padded, output };
                AutoArch::new().dispatch(op);
            });
        });
    })
}

/// The gradient of the input.
pub(super) fn input_gradient(
    shape: &Shape,
    weight: &[f32],
    gradient: &[f32],
    finish: Finish<'_>,
) -> Vec<f32> {
    let layout = &Layout::of_whole_lines(shape);
    let planes = gradient.par_chunks_exact(shape.pixels_out());
    filled(shape.batch * shape.channels_in * shape.pixels_in(), |output| {
        let pieces = output.par_chunks(shape.pixels_in().max(1)).zip(planes).enumerate();
        pieces.for_each(|(plane, (output, gradient))| {
            let kernel = &weight[plane % shape.channels_in * shape.taps()..][..shape.taps()];
            let size = layout.gradient_len();
            let output = output.zeroed();
            with_scratch(size + layout.pitch, |scratch| {
                let (padded, columns) = scratch.split_at_mut(size);
                layout.fill_gradient(gradient, padded);
                let op = InputGradient { layout, kernel, finish, plane, padded, columns, output };
                AutoArch::new().dispatch(op);
            });
        });
    })
}

/// The gradient of the weight, `[channels, 1, height, width]`.
pub(super) fn weight_gradient(shape: &Shape, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    let mut output = vec![0.0; shape.channels_out * shape.taps()];
    let layout = &Layout::of_whole_lines(shape);
    output.par_chunks_exact_mut(shape.taps()).enumerate().for_each(|(channel, output)| {
        with_scratch(layout.len() + layout.gradient_len(), |scratch| {
            let (padded, padded_gradient) = scratch.split_at_mut(layout.len());
            for image in 0..shape.batch {
                let plane = image * shape.channels_out + channel;
                layout.fill(&input[plane * shape.pixels_in()..][..shape.pixels_in()], 0.0, padded);
                let gradient = &gradient[plane * shape.pixels_out()..][..shape.pixels_out()];
                layout.fill_gradient(gradient, padded_gradient);
                let gradient =
                    &padded_gradient[layout.rows_above() * layout.gradient_pitch() + layout.reach()..];
                AutoArch::new().dispatch(WeightGradient { layout, padded, gradient, output });
            }
        });
    });
    output
}

impl Layout<'_> {
    /// Numbers of a row of the padded gradient.
    fn gradient_pitch(&self) -> usize {
        self.pitch + self.reach()
    }

    /// Rows of zeros above the padded gradient.
    fn rows_above(&self) -> usize {
        (self.shape.kernel[0] - 1) * self.shape.dilation[0] / self.shape.stride[0]
    }

    fn gradient_len(&self) -> usize {
        let rows = (self.shape.input[0] + self.shape.padding[0]).div_ceil(self.shape.stride[0]);
        (self.rows_above() + rows.max(self.shape.output[0])) * self.gradient_pitch()
    }

    /// The output's gradient, with zeros all around.
    fn fill_gradient(&self, plane: &[f32], padded: &mut [f32]) {
        padded.fill(0.0);
        let width = self.shape.output[1];
        let rows = padded.chunks_exact_mut(self.gradient_pitch()).skip(self.rows_above());
        for (target, row) in rows.zip(plane.chunks_exact(width)) {
            target[self.reach()..self.reach() + width].copy_from_slice(row);
        }
    }

    /// The elements of the kernel that meet the rows of the padded input with `row % stride`, at the columns of a phase.
    /// Places are seen from row `row / stride` of the padded gradient.
    #[inline(always)]
    fn gradient_taps(&self, kernel: &[f32], row: usize, phase: usize) -> Taps {
        let shape = self.shape;
        let mut taps = Taps::new();
        for (index, &weight) in kernel.iter().enumerate() {
            let down = index / shape.kernel[1] * shape.dilation[0];
            let right = index % shape.kernel[1] * shape.dilation[1];
            if down % shape.stride[0] == row && right % shape.stride[1] == phase {
                let rows = self.rows_above() - down / shape.stride[0];
                taps.push(rows * self.gradient_pitch() + self.reach() - right / shape.stride[1], weight);
            }
        }
        taps
    }
}

/// Calls a function with the number of vectors that hold one or two lines, as its columns need.
macro_rules! by_width {
    ($columns:expr, $function:ident($($argument:expr),*)) => {
        match (lanes::<S>(), $columns > LINE) {
            (16, true) => $function::<S, 2>($($argument),*),
            (16, false) => $function::<S, 1>($($argument),*),
            (8, true) => $function::<S, 4>($($argument),*),
            (8, false) => $function::<S, 2>($($argument),*),
            (4, true) => $function::<S, 8>($($argument),*),
            (4, false) => $function::<S, 4>($($argument),*),
            // Without vector instructions two numbers are a vector.
            (_, true) => $function::<S, 16>($($argument),*),
            (_, false) => $function::<S, 8>($($argument),*),
        }
    };
}

/// The most elements of a kernel whose places fit on the stack: 7x7.
const TAPS: usize = 49;

/// The elements of a kernel that meet a row, with their places.
struct Taps {
    list: [(usize, f32); TAPS],
    len: usize,
}

impl Taps {
    #[inline(always)]
    fn new() -> Self {
        Self { list: [(0, 0.0); TAPS], len: 0 }
    }

    #[inline(always)]
    fn push(&mut self, place: usize, weight: f32) {
        self.list[self.len] = (place, weight);
        self.len += 1;
    }
}

struct Forward<'a> {
    layout: &'a Layout<'a>,
    kernel: &'a [f32],
    scale: f32,
    shift: f32,
    finish: Finish<'a>,
    /// The plane's place in the output.
    start: usize,
    padded: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let mut taps = Taps::new();
        for (index, &weight) in self.kernel.iter().enumerate() {
            taps.push(self.layout.tap(index), self.scale * weight);
        }
        let shape = self.layout.shape;
        for (row, output) in self.output.chunks_exact_mut(shape.output[1]).enumerate() {
            let padded = &self.padded[row * shape.stride[0] * self.layout.row()..];
            convolve_row::<S>(&taps, self.shift, padded, output);
        }
        self.finish.after_shift(self.start, self.output);
    }
}

#[inline(always)]
fn convolve_row<S: Simd>(taps: &Taps, bias: f32, source: &[f32], target: &mut [f32]) {
    for column in (0..target.len()).step_by(2 * LINE) {
        let rest = target.len() - column;
        by_width!(rest, convolve_columns(taps, bias, &source[column..], &mut target[column..]));
    }
}

/// Some columns: `VECTORS` registers, or fewer where the row ends.
#[inline(always)]
fn convolve_columns<S: Simd, const VECTORS: usize>(
    taps: &Taps,
    bias: f32,
    source: &[f32],
    target: &mut [f32],
) {
    let mut sums = [splat::<S>(bias); VECTORS];
    for &(place, weight) in &taps.list[..taps.len] {
        let source = &source[place..place + VECTORS * lanes::<S>()];
        let weight = splat(weight);
        for (vector, sum) in sums.iter_mut().enumerate() {
            *sum = multiply_add(weight, load(&source[vector * lanes::<S>()..]), *sum);
        }
    }
    if target.len() >= VECTORS * lanes::<S>() {
        for (vector, sum) in sums.iter().enumerate() {
            store(&mut target[vector * lanes::<S>()..], *sum);
        }
        return;
    }
    let mut numbers = [0.0; 2 * LINE];
    for (vector, sum) in sums.iter().enumerate() {
        store(&mut numbers[vector * lanes::<S>()..], *sum);
    }
    target.copy_from_slice(&numbers[..target.len()]);
}

struct InputGradient<'a> {
    layout: &'a Layout<'a>,
    kernel: &'a [f32],
    finish: Finish<'a>,
    /// Counted through the batch.
    plane: usize,
    padded: &'a [f32],
    /// For the columns of a row that have the same `column % stride`.
    columns: &'a mut [f32],
    output: &'a mut [f32],
}

impl WithSimd for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { layout, kernel, finish, plane, padded, columns, output } = self;
        let shape = layout.shape;
        let (stride, padding, width) = (shape.stride[1], shape.padding[1], shape.input[1]);
        let columns = &mut columns[..(width + padding).div_ceil(stride)];
        for row_phase in 0..shape.stride[0] {
            for phase in 0..stride {
                let taps = layout.gradient_taps(kernel, row_phase, phase);
                for (row, output) in output.chunks_exact_mut(width.max(1)).enumerate() {
                    let row = row + shape.padding[0];
                    if row % shape.stride[0] != row_phase {
                        continue;
                    }
                    let padded = &padded[row / shape.stride[0] * layout.gradient_pitch()..];
                    convolve_row::<S>(&taps, 0.0, padded, columns);
                    layout.unfill_phase(phase, columns, output);
                }
            }
        }
        finish.all(plane % shape.channels_in, plane * output.len(), output);
    }
}

struct WeightGradient<'a> {
    layout: &'a Layout<'a>,
    padded: &'a [f32],
    gradient: &'a [f32],
    /// Is added to.
    output: &'a mut [f32],
}

/// Elements of the kernel whose sums are computed at a time.
const SUMS: usize = 9;

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let shape = self.layout.shape;
        let width = shape.output[1].next_multiple_of(lanes::<S>());
        for (part, output) in self.output.chunks_mut(SUMS).enumerate() {
            // Where the kernel has no more elements, the last is computed again.
            let last = shape.taps() - 1;
            let places: [usize; SUMS] =
                std::array::from_fn(|index| self.layout.tap((part * SUMS + index).min(last)));
            let mut sums = [splat::<S>(0.0); SUMS];
            for row in 0..shape.output[0] {
                let padded = &self.padded[row * shape.stride[0] * self.layout.row()..];
                let gradient = &self.gradient[row * self.layout.gradient_pitch()..];
                for column in (0..width).step_by(lanes::<S>()) {
                    let gradient: Floats<S> = load(&gradient[column..]);
                    for (sum, place) in sums.iter_mut().zip(places) {
                        *sum = multiply_add(gradient, load(&padded[place + column..]), *sum);
                    }
                }
            }
            for (number, sum) in output.iter_mut().zip(&sums) {
                let mut line = [0.0; LINE];
                store(&mut line, *sum);
                *number += line.iter().sum::<f32>();
            }
        }
    }
}
