//! Convolutions on flex: which kernel computes what.

use std::sync::Arc;

use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::extension::{ConvolutionGradient, ConvolutionOps};
use super::fused::{Epilogue, FusedConv, Nonlinearity};
use super::pixelwise::{Block, BlockShapes, Product};
use super::shape::Shape;
use super::transposed::TransposedOps;
use super::winograd::Winograd;
use super::{depthwise, few_channels, lowered, lowered_gradient, pixelwise};
use crate::channels_last::{from_pixels, into_pixels};
use crate::device::to_flex;
use crate::finish::Finish;
use crate::memory::{FlexTensor, channels, contiguous, values};
use crate::prepared::{Forms, forms};

impl ConvolutionOps for Flex {
    fn convolution(input: FloatTensor<Self>, weight: FloatTensor<Self>, shape: Shape) -> FloatTensor<Self> {
        forward(input, weight, None, &shape)
    }

    fn biased_convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shape: Shape,
    ) -> FloatTensor<Self> {
        forward(input, weight, Some(bias), &shape)
    }
}

fn forward(input: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>, shape: &Shape) -> FlexTensor {
    let bias = bias.map(contiguous);
    let finish = Finish { shift: bias.as_ref().map(values), ..Finish::default() };
    finished(input, weight, shape, finish)
}

/// See [`conv2d_fused`](super::conv2d_fused).
pub(super) fn fused(input: FlexTensor, shape: &Shape, conv: FusedConv) -> FlexTensor {
    if pixelwise::suits(shape) {
        let input = if few_channels::suits(shape) { contiguous(input) } else { into_pixels(input) };
        let stage = Stage::new(conv, into_pixels);
        let (weight, forms) = (values(&stage.weight), stage.forms.as_deref());
        let output = pixelwise::forward(shape, values(&input), weight, forms, stage.finish());
        let [batch, channels, height, width] = shape.of_output();
        return from_pixels(&tensor(output, [batch, height, width, channels]));
    }
    let stage = Stage::new(conv, contiguous);
    finished(input, stage.weight.clone(), shape, stage.finish())
}

/// See [`inverted_residual`](super::inverted_residual).
pub(super) fn inverted_residual(
    input: FlexTensor,
    shapes: &BlockShapes,
    expand: Option<FusedConv>,
    depthwise: FusedConv,
    project: FusedConv,
) -> FlexTensor {
    let input = into_pixels(input);
    let stage = |conv| Stage::new(conv, into_pixels);
    let (expand, depthwise, project) = (expand.map(stage), stage(depthwise), stage(project));
    let kernels = values(&depthwise.weight);
    let forward = |expand: Option<Product<'_>>| {
        project.with_product(&shapes.project, |project| {
            let of_depthwise = depthwise.finish();
            Block { shapes, expand, kernels, of_depthwise, project }.forward(values(&input))
        })
    };
    let output = match (&expand, &shapes.expand) {
        (Some(expand), Some(shape)) => expand.with_product(shape, |expand| forward(Some(expand))),
        _ => forward(None),
    };
    let [batch, channels, height, width] = shapes.project.of_output();
    from_pixels(&tensor(output, [batch, height, width, channels]))
}

/// What a convolution with its epilogue reads.
struct Stage {
    weight: FlexTensor,
    forms: Option<Arc<Forms>>,
    scale: Option<Vec<f32>>,
    shift: Option<Vec<f32>>,
    residual: Option<FlexTensor>,
    nonlinearity: Nonlinearity,
}

impl Stage {
    /// The residual is brought into an order by `arranged`.
    fn new(conv: FusedConv, arranged: fn(FlexTensor) -> FlexTensor) -> Self {
        let weight = contiguous(to_flex(conv.weight));
        let numbers = |tensor: Tensor<1>| values(&contiguous(to_flex(tensor))).to_vec();
        let Epilogue { bias, norm, residual, nonlinearity } = conv.epilogue;
        let mut shift = bias.map(numbers);
        let scale = norm.map(|norm| {
            let scale = numbers(norm.variance).into_iter().zip(numbers(norm.gamma));
            let scale = scale.map(|(variance, gamma)| gamma / (variance + norm.epsilon as f32).sqrt());
            let scale: Vec<f32> = scale.collect();
            let mut shifts = numbers(norm.beta);
            for (channel, (shift_of_norm, mean)) in shifts.iter_mut().zip(numbers(norm.mean)).enumerate() {
                let bias = shift.as_ref().map_or(0.0, |bias| bias[channel]);
                *shift_of_norm += (bias - mean) * scale[channel];
            }
            shift = Some(shifts);
            scale
        });
        let residual = residual.map(to_flex).map(arranged);
        Self { forms: forms(&weight), weight, scale, shift, residual, nonlinearity }
    }

    fn finish(&self) -> Finish<'_> {
        Finish {
            scale: self.scale.as_deref(),
            shift: self.shift.as_deref(),
            residual: self.residual.as_ref().map(values),
            nonlinearity: self.nonlinearity,
        }
    }

    /// Runs `f` with a pointwise convolution as a product.
    fn with_product<R>(&self, shape: &Shape, f: impl FnOnce(Product<'_>) -> R) -> R {
        pixelwise::with_strips(shape, values(&self.weight), self.forms.as_deref(), |strips| {
            f(Product { strips, finish: self.finish() })
        })
    }
}

fn finished(input: FlexTensor, weight: FlexTensor, shape: &Shape, finish: Finish<'_>) -> FlexTensor {
    let (input, weight) = (contiguous(input), contiguous(weight));
    let forms = forms(&weight);
    let (input, weight) = (values(&input), values(&weight));
    let output = if let Some(winograd) = Winograd::of(shape) {
        winograd.forward(input, weight, finish)
    } else if depthwise::suits(shape) {
        depthwise::forward(shape, input, weight, finish)
    } else if few_channels::suits_planes(shape) {
        pixelwise::with_strips(shape, weight, forms.as_deref(), |strips| {
            few_channels::forward(shape, input, strips, finish)
        })
    } else {
        lowered::forward(shape, input, weight, forms.as_deref(), finish)
    };
    tensor(output, shape.of_output())
}

impl ConvolutionGradient for Flex {
    fn convolution_input_gradient(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        shape: Shape,
    ) -> FloatTensor<Self> {
        input_gradient(weight, gradient, &shape, Finish::default())
    }

    fn convolution_weight_gradient(
        input: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        shape: Shape,
    ) -> FloatTensor<Self> {
        let (input, gradient) = (contiguous(input), contiguous(gradient));
        let (input, gradient) = (values(&input), values(&gradient));
        let output = if let Some(winograd) = Winograd::of(&shape) {
            winograd.weight_gradient(input, gradient)
        } else if depthwise::suits(&shape) {
            depthwise::weight_gradient(&shape, input, gradient)
        } else {
            lowered_gradient::weight(&shape, input, gradient)
        };
        tensor(output, [shape.channels_out, shape.group_in(), shape.kernel[0], shape.kernel[1]])
    }

    fn convolution_bias_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        let gradient = contiguous(gradient);
        let (numbers, of_gradient) = (values(&gradient), channels(&gradient));
        let batch = gradient.layout().shape()[0];
        let sum_of = |channel: usize| {
            let planes = (0..batch)
                .map(|image| &numbers[(image * of_gradient.count + channel) * of_gradient.length..]);
            planes.map(|numbers| sum(&numbers[..of_gradient.length])).sum()
        };
        tensor((0..of_gradient.count).into_par_iter().map(sum_of).collect(), [of_gradient.count])
    }
}

impl TransposedOps for Flex {
    fn transposed_convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shape: Shape,
    ) -> FloatTensor<Self> {
        let bias = contiguous(bias);
        input_gradient(weight, input, &shape, Finish { shift: Some(values(&bias)), ..Finish::default() })
    }
}

/// The gradient of a convolution's input, or the transposed convolution of the tensor in its place.
fn input_gradient(weight: FlexTensor, gradient: FlexTensor, shape: &Shape, finish: Finish<'_>) -> FlexTensor {
    let (weight, gradient) = (contiguous(weight), contiguous(gradient));
    let (weight, gradient) = (values(&weight), values(&gradient));
    let output = if let Some(winograd) = Winograd::of(shape) {
        winograd.input_gradient(weight, gradient, finish)
    } else if depthwise::suits(shape) {
        depthwise::input_gradient(shape, weight, gradient, finish)
    } else {
        lowered_gradient::input(shape, weight, gradient, finish)
    };
    tensor(output, [shape.batch, shape.channels_in, shape.input[0], shape.input[1]])
}

/// The sum of numbers, in parts of 8 that vector instructions can add.
fn sum(numbers: &[f32]) -> f32 {
    let (parts, rest) = numbers.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for part in parts {
        for (sum, number) in sums.iter_mut().zip(part) {
            *sum += number;
        }
    }
    sums.iter().chain(rest).sum()
}

fn tensor<const D: usize>(numbers: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(numbers, shape))
}
