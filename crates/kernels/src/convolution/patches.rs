//! What a kernel sees of the input at each of its positions, as rows of a matrix (im2col), and the way back.
//!
//! Output pixels are counted through the whole batch, row by row.

use std::ops::Range;

use super::shape::Shape;

/// Neighbouring output pixels of one row.
#[derive(Debug, Clone, Copy)]
struct Run {
    image: usize,
    row: usize,
    column: usize,
    /// From the first pixel asked for.
    at: usize,
    len: usize,
}

/// The rows that `pixels` touch.
#[inline(always)]
fn runs(shape: &Shape, pixels: Range<usize>) -> impl Iterator<Item = Run> {
    let [height, width] = shape.output;
    let mut pixel = pixels.start;
    std::iter::from_fn(move || {
        (pixel < pixels.end).then(|| {
            let (rows, column) = (pixel / width, pixel % width);
            let len = (width - column).min(pixels.end - pixel);
            let run = Run { image: rows / height, row: rows % height, column, at: pixel - pixels.start, len };
            pixel += len;
            run
        })
    })
}

/// Where a run meets the input under one element of the kernel.
struct Meeting {
    /// Pixels of the run that meet the input, the others meet its padding.
    inside: Range<usize>,
    /// The first of them, within its channel.
    start: usize,
}

#[inline(always)]
fn meeting(shape: &Shape, run: &Run, [tap_row, tap_column]: [usize; 2]) -> Meeting {
    let nothing = Meeting { inside: 0..0, start: 0 };
    let row = run.row * shape.stride[0] + tap_row * shape.dilation[0];
    let Some(row) = row.checked_sub(shape.padding[0]).filter(|&row| row < shape.input[0]) else {
        return nothing;
    };
    let (width, stride, padding) = (shape.input[1], shape.stride[1], shape.padding[1]);
    let column = run.column * stride + tap_column * shape.dilation[1];
    let first = padding.saturating_sub(column).div_ceil(stride);
    let last = (width + padding).saturating_sub(column).div_ceil(stride).min(run.len);
    if first >= last {
        return nothing;
    }
    Meeting { inside: first..last, start: row * width + column + first * stride - padding }
}

/// The runs of a strip of pixels, of which a narrow image has many.
#[inline(always)]
fn collect_runs(shape: &Shape, pixels: Range<usize>, runs_of: &mut Vec<Run>) {
    runs_of.clear();
    runs_of.extend(runs(shape, pixels));
}

/// Reads patches. Keeps memory from call to call.
#[derive(Default)]
pub(super) struct Patches {
    runs: Vec<Run>,
}

impl Patches {
    /// Rows `depths` of the matrix of `group` in the columns `pixels`: row `d` is element `d` of the weights of an output
    /// channel, in the order of their memory. Each takes `width` numbers of `matrix`; those beyond the pixels keep their values.
    #[inline(always)]
    pub(super) fn gather(
        &mut self,
        shape: &Shape,
        input: &[f32],
        group: usize,
        depths: Range<usize>,
        pixels: Range<usize>,
        matrix: &mut [f32],
        width: usize,
    ) {
        collect_runs(shape, pixels, &mut self.runs);
        let taps = shape.taps();
        let plane = shape.pixels_in();
        for (depth, row) in depths.zip(matrix.chunks_exact_mut(width)) {
            let (channel, tap) = (group * shape.group_in() + depth / taps, depth % taps);
            let tap = [tap / shape.kernel[1], tap % shape.kernel[1]];
            for run in &self.runs {
                let meeting = meeting(shape, run, tap);
                let source = &input[(run.image * shape.channels_in + channel) * plane..][..plane];
                let target = &mut row[run.at..run.at + run.len];
                copy(source, meeting, shape.stride[1], target);
            }
        }
    }

    /// Adds rows `depths` of a matrix as [`gather`](Self::gather) reads it to the planes of the input's channels from
    /// `first_channel` of the group on. All `pixels` are of one image.
    #[inline(always)]
    pub(super) fn scatter(
        &mut self,
        shape: &Shape,
        depths: Range<usize>,
        pixels: Range<usize>,
        matrix: &[f32],
        width: usize,
        first_channel: usize,
        planes: &mut [&mut [f32]],
    ) {
        collect_runs(shape, pixels, &mut self.runs);
        let taps = shape.taps();
        let stride = shape.stride[1];
        for (depth, row) in depths.zip(matrix.chunks_exact(width)) {
            let plane = &mut planes[depth / taps - first_channel];
            let tap = depth % taps;
            let tap = [tap / shape.kernel[1], tap % shape.kernel[1]];
            for run in &self.runs {
                let Meeting { inside, start } = meeting(shape, run, tap);
                let source = &row[run.at..][inside];
                if stride == 1 {
                    for (target, &number) in plane[start..].iter_mut().zip(source) {
                        *target += number;
                    }
                } else {
                    for (target, &number) in plane[start..].iter_mut().step_by(stride).zip(source) {
                        *target += number;
                    }
                }
            }
        }
    }
}

/// What a run meets, with zeros where that is padding.
#[inline(always)]
fn copy(source: &[f32], Meeting { inside, start }: Meeting, stride: usize, target: &mut [f32]) {
    if inside.len() < target.len() {
        target[..inside.start].fill(0.0);
        target[inside.end..].fill(0.0);
    }
    let target = &mut target[inside];
    match stride {
        1 => copy_short(&source[start..start + target.len()], target),
        2 => {
            for (target, pair) in target.iter_mut().zip(source[start..].chunks(2)) {
                *target = pair[0];
            }
        }
        _ => {
            for (target, &number) in target.iter_mut().zip(source[start..].iter().step_by(stride)) {
                *target = number;
            }
        }
    }
}

/// A copy of a few numbers, without the call that a copy of unknown length is.
#[inline(always)]
fn copy_short(source: &[f32], target: &mut [f32]) {
    let (sources, source) = source.as_chunks::<8>();
    let (targets, target) = target.as_chunks_mut::<8>();
    for (target, source) in targets.iter_mut().zip(sources) {
        *target = *source;
    }
    for (target, source) in target.iter_mut().zip(source) {
        *target = *source;
    }
}
