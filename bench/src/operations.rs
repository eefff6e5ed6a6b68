//! Single operations, as the layers call them.

use burn::module::Param;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Int, Tensor};
use libellus_kernels as kernels;
use libellus_layers::{
    AdaptiveAvgPool2dConfig, AttentionOptions, AvgPool2dConfig, BatchNormConfig, Causal, Conv1dConfig,
    Conv2dConfig, ConvTranspose2dConfig, EmbeddingConfig, GroupNormConfig, GruConfig, LayerNormConfig,
    LinearConfig, LstmConfig, MaxPool2dConfig, RmsNormConfig, attention,
};
use libellus_optim::{AdamWConfig, DecayPolicy, LionConfig, OptimizerConfig, clip_global_norm};

use crate::case::{Case, finish};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        matmul("matmul/512", [512, 512], [512, 512]),
        matmul("matmul/1024", [1024, 1024], [1024, 1024]),
        matmul("matmul/2048", [2048, 2048], [2048, 2048]),
        matmul("matmul/16x256x64x256", [16, 256, 64], [16, 64, 256]),
    ];
    cases.extend(map("linear/256x768x3072", [1, 256, 768], |device| {
        let layer = LinearConfig::new(768, 3072).init(device);
        move |input| layer.forward(input)
    }));
    // Batch, channels in and out, height and width, kernel, stride, groups.
    for (name, [batch, channels_in, channels_out, side, kernel, stride, groups]) in [
        ("conv2d/3x3_64_56/b1", [1, 64, 64, 56, 3, 1, 1]),
        ("conv2d/3x3_64_56/b8", [8, 64, 64, 56, 3, 1, 1]),
        ("conv2d/1x1_256_64_56/b1", [1, 256, 64, 56, 1, 1, 1]),
        ("conv2d/3x3s2_128_56/b1", [1, 128, 128, 56, 3, 2, 1]),
        ("conv2d/depthwise3x3_96_56/b1", [1, 96, 96, 56, 3, 1, 96]),
        ("conv2d/7x7s2_3_64_224/b1", [1, 3, 64, 224, 7, 2, 1]),
        ("conv2d/3x3_256_14/b1", [1, 256, 256, 14, 3, 1, 1]),
        ("conv2d/3x3_512_7/b8", [8, 512, 512, 7, 3, 1, 1]),
    ] {
        cases.extend(map(name, [batch, channels_in, side, side], move |device| {
            let layer = Conv2dConfig::new([channels_in, channels_out], [kernel; 2])
                .with_stride([stride; 2])
                .with_padding([kernel / 2; 2])
                .with_groups(groups)
                .with_bias(false)
                .init(device);
            move |input| layer.forward(input)
        }));
    }
    cases.extend(map("conv1d/80_384_3000", [1, 80, 3000], |device| {
        let layer = Conv1dConfig::new(80, 384, 3).with_padding(1).init(device);
        move |input| layer.forward(input)
    }));
    // Batch, channels in and out, height and width, kernel, padding; all double the size.
    for (name, [batch, channels_in, channels_out, side, kernel, padding]) in [
        ("conv_transpose2d/2x2s2_128_64_56/b1", [1, 128, 64, 56, 2, 0]),
        ("conv_transpose2d/4x4s2_128_64_32/b8", [8, 128, 64, 32, 4, 1]),
    ] {
        cases.extend(map(name, [batch, channels_in, side, side], move |device| {
            let layer = ConvTranspose2dConfig::new([channels_in, channels_out], [kernel; 2])
                .with_stride([2, 2])
                .with_padding([padding; 2])
                .init(device);
            move |input| layer.forward(input)
        }));
    }
    cases.extend(map("softmax/8x12x256x256", [8, 12, 256, 256], |_| |input| kernels::softmax(input)));
    cases.extend(map("layer_norm/8x256x768", [8, 256, 768], |device| {
        let layer = LayerNormConfig::new(768).init(device);
        move |input| layer.forward(input)
    }));
    cases.extend(map("rms_norm/8x256x768", [8, 256, 768], |device| {
        let layer = RmsNormConfig::new(768).init(device);
        move |input| layer.forward(input)
    }));
    let wide = [8, 256, 3072];
    cases.extend(map("gelu/8x256x3072", wide, |_| kernels::gelu));
    cases.extend(map("gelu_tanh/8x256x3072", wide, |_| kernels::gelu_tanh));
    cases.extend(map("silu/8x256x3072", wide, |_| kernels::silu));
    cases.extend(map("sigmoid/8x256x3072", wide, |_| kernels::sigmoid));
    cases.extend(map("tanh/8x256x3072", wide, |_| kernels::tanh));
    cases.extend(map("exp/8x256x3072", wide, |_| kernels::exp));
    cases.extend(map("relu/8x256x3072", wide, |_| kernels::relu));
    cases.extend(map("batch_norm/32x64x56x56", [32, 64, 56, 56], |device| {
        let layer = BatchNormConfig::new(64).init(device);
        move |input| layer.forward(input)
    }));
    cases.extend(map("group_norm/8x128x56x56", [8, 128, 56, 56], |device| {
        let layer = GroupNormConfig::new(32, 128).init(device);
        move |input| layer.forward(input)
    }));
    cases.extend(map("max_pool/3s2_8x64x112x112", [8, 64, 112, 112], |_| {
        let layer = MaxPool2dConfig::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]).init();
        move |input| layer.forward(input)
    }));
    cases.extend(map("avg_pool/3s2_8x64x112x112", [8, 64, 112, 112], |_| {
        let layer = AvgPool2dConfig::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]).init();
        move |input| layer.forward(input)
    }));
    cases.extend(map("avg_pool/2s2_8x128x56x56", [8, 128, 56, 56], |_| {
        let layer = AvgPool2dConfig::new([2, 2]).init();
        move |input| layer.forward(input)
    }));
    cases.extend(map("adaptive_avg_pool/1_8x2048x7x7", [8, 2048, 7, 7], |_| {
        let layer = AdaptiveAvgPool2dConfig::new([1, 1]).init();
        move |input| layer.forward(input)
    }));
    cases.extend(map("adaptive_avg_pool/7_8x512x16x16", [8, 512, 16, 16], |_| {
        let layer = AdaptiveAvgPool2dConfig::new([7, 7]).init();
        move |input| layer.forward(input)
    }));
    for (name, interpolation) in [
        ("resize2d/nearest_8x64x56x56", kernels::Interpolation::Nearest),
        ("resize2d/bilinear_8x64x56x56", kernels::Interpolation::Bilinear),
    ] {
        cases.extend(map(name, [8, 64, 56, 56], move |_| {
            move |input| kernels::resize2d(input, [112, 112], interpolation)
        }));
    }
    cases.extend(attentions("attention/8x12x256x64", Causal::No));
    cases.extend(attentions("attention/causal_8x12x256x64", Causal::Yes));
    cases.push(Case::new("attention/decode_12x1024x64", |device| {
        let query = random([1, 12, 1, 64], device);
        let [key, value] = [(), ()].map(|()| random([1, 12, 1024, 64], device));
        move || {
            let options = AttentionOptions::default();
            finish(attention(query.clone(), key.clone(), value.clone(), &options));
        }
    }));
    cases.extend(map("lstm/16x128x256", [16, 128, 256], |device| {
        let layer = LstmConfig::new(256, 256).init(device);
        move |input| layer.forward(input, None).output
    }));
    cases.extend(map("gru/16x128x256", [16, 128, 256], |device| {
        let layer = GruConfig::new(256, 256).init(device);
        move |input| layer.forward(input, None).output
    }));
    cases.push(Case::new("embedding/50257x768_8x256", |device| {
        let layer = EmbeddingConfig::new(50257, 768).init(device);
        let tokens = Tensor::<2, Int>::random([8, 256], Distribution::Uniform(0.0, 50256.0), device);
        move || finish(layer.forward(tokens.clone()))
    }));
    cases.push(Case::new("embedding/50257x768_8x256/train", |device| {
        let device = device.clone().autodiff();
        let weight = random([50257, 768], &device).require_grad();
        let tokens = Tensor::<2, Int>::random([8, 256], Distribution::Uniform(0.0, 50256.0), &device);
        move || {
            let gradients = kernels::embedding(weight.clone(), tokens.clone()).backward();
            finish(weight.grad(&gradients).expect("it was required"));
        }
    }));
    cases.extend(map("cross_entropy/1024x32000", [1024, 32000], |device| {
        let labels = Tensor::<1, Int>::random([1024], Distribution::Uniform(0.0, 31999.0), device);
        move |logits| kernels::cross_entropy(logits, labels.clone(), 0.0).mean()
    }));
    // What 20,000 nodes of a graph receive along 200,000 edges.
    cases.extend(map("segment_sum/200000x64_20000", [200_000, 64], |device| {
        let segments = Tensor::<1, Int>::random([200_000], Distribution::Uniform(0.0, 19_999.0), device);
        move |values| kernels::segment_sum(values, segments.clone(), 20_000)
    }));
    cases.extend(map("dropout/8x256x3072", wide, |_| |input| kernels::dropout(input, 0.1)));
    cases.push(Case::new("adamw/25M", |device| step(device, OptimizerConfig::AdamW(AdamWConfig::default()))));
    cases.push(Case::new("lion/25M", |device| step(device, OptimizerConfig::Lion(LionConfig::default()))));
    cases.push(Case::new("clip_global_norm/25M", clip));
    cases
}

/// Normally distributed numbers.
pub(crate) fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

fn matmul<const D: usize>(name: &str, left: [usize; D], right: [usize; D]) -> Case {
    Case::new(name, move |device| {
        let (left, right) = (random(left, device), random(right, device));
        move || finish(left.clone().matmul(right.clone()))
    })
}

/// A layer, forward (`name`), and forward and backward as part of a network (`name/train`): the gradients of input and
/// parameters are computed from one of the output.
fn map<const D: usize, const O: usize, F: Fn(Tensor<D>) -> Tensor<O> + 'static>(
    name: &str,
    shape: [usize; D],
    layer: impl Fn(&Device) -> F + Copy + 'static,
) -> [Case; 2] {
    let forward = Case::new(name, move |device| {
        let (layer, input) = (layer(device), random(shape, device));
        move || finish(layer(input.clone()))
    });
    let train = Case::new(format!("{name}/train"), move |device| {
        let device = device.clone().autodiff();
        let (layer, input) = (layer(&device), random(shape, &device).require_grad());
        move || {
            // From ones, as burn starts everywhere.
            let gradients = layer(input.clone()).backward();
            finish(input.grad(&gradients).expect("it was required"));
        }
    });
    [forward, train]
}

fn attentions(name: &str, causal: Causal) -> [Case; 2] {
    let options = move || AttentionOptions { causal, ..Default::default() };
    let forward = Case::new(name, move |device| {
        let [query, key, value] = [(), (), ()].map(|()| random([8, 12, 256, 64], device));
        move || finish(attention(query.clone(), key.clone(), value.clone(), &options()))
    });
    let train = Case::new(format!("{name}/train"), move |device| {
        let device = device.clone().autodiff();
        let inputs = [(), (), ()].map(|()| random([8, 12, 256, 64], &device).require_grad());
        move || {
            let [query, key, value] = inputs.clone();
            let gradients = attention(query, key, value, &options()).backward();
            for input in &inputs {
                finish(input.grad(&gradients).expect("it was required"));
            }
        }
    });
    [forward, train]
}

/// 25 million parameters, in the three matrices of a perceptron.
#[derive(burn::module::Module, Debug)]
struct Matrices {
    weights: Vec<Param<Tensor<2>>>,
}

const MATRICES: [[usize; 2]; 3] = [[2048, 4096], [4096, 4096], [4096, 10]];

impl Matrices {
    fn new(device: &Device) -> Self {
        let weights = MATRICES.map(|shape| Param::from_tensor(random(shape, device).require_grad()));
        Self { weights: weights.into() }
    }
}

/// A step on 25 million parameters.
fn step(device: &Device, config: OptimizerConfig) -> impl FnMut() + use<> {
    let mut model = Some(Matrices::new(&device.clone().autodiff()));
    let mut optimizer = config.init(DecayPolicy::All).expect("valid");
    // The same gradient at each step.
    let gradients: Vec<_> = MATRICES.iter().map(|&shape| random(shape, device)).collect();
    move || {
        let before = model.take().expect("put back below");
        let mut given = GradientsParams::new();
        for (weight, gradient) in before.weights.iter().zip(&gradients) {
            given.register(weight.id, gradient.clone());
        }
        model = Some(optimizer.step(1e-3, before, given));
    }
}

/// Clips the gradients of 25 million parameters, again and again: each time a little.
fn clip(device: &Device) -> impl FnMut() + use<> {
    let model = Matrices::new(&device.clone().autodiff());
    let mut gradients = GradientsParams::new();
    for weight in &model.weights {
        gradients.register(weight.id, random(weight.dims(), device));
    }
    move || {
        let clipped =
            clip_global_norm(&model, std::mem::replace(&mut gradients, GradientsParams::new()), 1.0);
        gradients = clipped.gradients;
        finish(clipped.norm);
    }
}
