//! Linear maps of planes, the same for each channel: what average pooling and resizing have in common.

#[cfg(test)]
mod tests;

mod extension;
#[cfg(feature = "flex")]
mod flex;

use std::ops::Range;
use std::sync::Arc;

use burn::backend::Dispatch;
use burn::tensor::{Device, Tensor, TensorData};

use extension::PlaneMapOps;

/// The map of each plane of `input`, `[batch, channels, height, width]`, on flex; with its gradient.
pub(crate) fn map_planes(input: Tensor<4>, map: PlaneMap) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::map_planes(input.into_dispatch(), Arc::new(map)))
}

/// A linear map of planes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PlaneMap {
    /// The mean of all pixels, of so many rows and columns.
    Mean([usize; 2]),
    /// The transpose of a mean: the same share of a number for each of so many rows and columns of pixels.
    Share([usize; 2]),
    /// One map down the columns, another along the rows.
    Separable { rows: Axis, columns: Axis },
}

impl PlaneMap {
    /// Height and width of what comes out.
    #[cfg(feature = "flex")]
    pub(crate) fn output(&self) -> [usize; 2] {
        match self {
            Self::Mean(_) => [1, 1],
            Self::Share(size) => *size,
            Self::Separable { rows, columns } => [rows.outputs(), columns.outputs()],
        }
    }

    /// From a gradient of the output to that of the input.
    pub(crate) fn transposed(&self) -> Self {
        match self {
            Self::Mean(size) => Self::Share(*size),
            Self::Share(size) => Self::Mean(*size),
            Self::Separable { rows, columns } => {
                Self::Separable { rows: rows.transposed(), columns: columns.transposed() }
            }
        }
    }
}

/// A linear map along one direction. Each output is a weighted sum of neighbouring inputs, and from one output to the next neither
/// the first nor the last of them moves back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    inputs: usize,
    /// One for each output: the first input, and where its weights lie.
    windows: Vec<(usize, Range<usize>)>,
    weights: Vec<f32>,
}

impl Axis {
    /// Of so many inputs, with no output yet.
    pub(crate) fn new(inputs: usize) -> Self {
        Self { inputs, windows: Vec::new(), weights: Vec::new() }
    }

    /// Appends an output, which sees the inputs from `first` on.
    ///
    /// # Panics
    /// If its inputs lie before those of the output before, or there aren't as many.
    pub(crate) fn push(&mut self, first: usize, weights: impl IntoIterator<Item = f32>) {
        let start = self.weights.len();
        self.weights.extend(weights);
        let end = first + self.weights.len() - start;
        let (first_before, end_before) = match self.windows.last() {
            Some((first, weights)) => (*first, first + weights.len()),
            None => (0, 0),
        };
        assert!(first_before <= first && end_before <= end && end <= self.inputs, "windows move on");
        self.windows.push((first, start..self.weights.len()));
    }

    #[cfg(feature = "flex")]
    #[inline(always)]
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    #[inline(always)]
    pub(crate) fn outputs(&self) -> usize {
        self.windows.len()
    }

    /// The first input of an output, and the weights of all.
    #[inline(always)]
    pub(crate) fn window(&self, output: usize) -> (usize, &[f32]) {
        let (first, weights) = &self.windows[output];
        (*first, &self.weights[weights.clone()])
    }

    /// The outputs become the inputs.
    fn transposed(&self) -> Self {
        let mut transposed = Self::new(self.outputs());
        for input in 0..self.inputs {
            let start = self.windows.partition_point(|(first, weights)| first + weights.len() <= input);
            let end = self.windows.partition_point(|(first, _)| *first <= input);
            let seen_by = self.windows.get(start..end).unwrap_or_default();
            let weights = seen_by.iter().map(|(first, weights)| self.weights[weights.start + input - first]);
            transposed.push(start, weights);
        }
        transposed
    }

    /// As a matrix, `[outputs, inputs]`.
    pub(crate) fn matrix(&self, device: &Device) -> Tensor<2> {
        let mut numbers = vec![0.0; self.outputs() * self.inputs];
        for output in 0..self.outputs() {
            let (first, weights) = self.window(output);
            numbers[output * self.inputs + first..][..weights.len()].copy_from_slice(weights);
        }
        Tensor::from_data(TensorData::new(numbers, [self.outputs(), self.inputs]), device)
    }
}
