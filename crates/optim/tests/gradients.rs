//! Clipping against PyTorch's, accumulation, and the flow through the layers.

mod common;

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use common::{Bare, golden};
use libellus_backend::testing::{assert_close, device, read};
use libellus_optim::{
    DecayPolicy, GradientAccumulator, LayerFlow, OptimizerConfig, clip_global_norm, global_norm, layer_flow,
};

/// Sums of a few dozen squares in f32, in another order than PyTorch's.
const TOLERANCE: f64 = 1e-6;

#[test]
fn clipping_equals_pytorch() {
    for (label, max_norm) in [("clipped", 1.0), ("unclipped", 1e4)] {
        let model = Bare::golden(&device().autodiff());
        let clipped = clip_global_norm(&model, model.gradients(0), max_norm);
        assert_close(&read(clipped.norm), &golden(&format!("{label}.norm")), TOLERANCE);
        let vector = clipped.gradients.get::<1>(model.vector.id).expect("a gradient");
        let matrix = clipped.gradients.get::<2>(model.matrix.id).expect("a gradient");
        let kernel = clipped.gradients.get::<4>(model.kernel.id).expect("a gradient");
        assert_close(&read(vector), &golden(&format!("{label}.vector")), TOLERANCE);
        assert_close(&read(matrix), &golden(&format!("{label}.matrix")), TOLERANCE);
        assert_close(&read(kernel), &golden(&format!("{label}.kernel")), TOLERANCE);
    }
}

#[test]
fn the_norm_counts_what_is_there() {
    let model = Bare::golden(&device().autodiff());
    let inner = device();
    let mut gradients = GradientsParams::new();
    assert_eq!(global_norm(&model, &gradients).into_scalar::<f32>(), 0.0);
    gradients
        .register::<1>(model.vector.id, Tensor::from_floats([3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], &inner));
    gradients.register::<2>(model.matrix.id, Tensor::<2>::zeros([5, 3], &inner));
    gradients.register::<4>(
        model.kernel.id,
        Tensor::<1>::from_data(TensorData::new([vec![-4.0f32], vec![0.0; 29]].concat(), [30]), &inner)
            .reshape([2, 3, 5, 1]),
    );
    assert_close(&read(global_norm(&model, &gradients)), &TensorData::from([5.0f32]), TOLERANCE);
    let clipped = clip_global_norm(&model, gradients, 2.5);
    let halved = clipped.gradients.get::<1>(model.vector.id).expect("a gradient");
    let expected = TensorData::from([1.5f32, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_close(&read(halved), &expected, TOLERANCE);
}

/// Two layers and a mean squared error.
#[derive(Module, Debug)]
struct Net {
    hidden: Linear,
    blocks: Vec<Linear>,
}

impl Net {
    fn new(device: &Device) -> Self {
        let hidden = LinearConfig::new(3, 5).init(device);
        Self { hidden, blocks: vec![LinearConfig::new(5, 2).init(device)] }
    }

    fn gradients(&self, inputs: Tensor<2>) -> GradientsParams {
        let outputs = self.blocks[0].forward(self.hidden.forward(inputs).tanh());
        GradientsParams::from_grads((outputs - 0.5).square().mean().backward(), self)
    }
}

/// Twelve samples of three numbers, none alike.
fn inputs(device: &Device) -> Tensor<2> {
    let values: Vec<f32> = (0..36).map(|i| (i as f32 * 0.7).sin()).collect();
    Tensor::from_data(TensorData::new(values, [12, 3]), device)
}

#[test]
fn micro_batches_equal_the_batch() {
    let device = device().autodiff();
    let model = Net::new(&device);
    let whole = model.gradients(inputs(&device));
    let mut accumulator = GradientAccumulator::new();
    for part in inputs(&device).chunk(4, 0) {
        accumulator.accumulate(&model, model.gradients(part));
    }
    assert_eq!(accumulator.count(), 4);
    let mean = accumulator.average(&model);
    let compare = |param: &Param<Tensor<2>>| {
        let expected = read(whole.get::<2>(param.id).expect("a gradient"));
        // Means over 12 samples against means of means, f32.
        assert_close(&read(mean.get::<2>(param.id).expect("a gradient")), &expected, 1e-6);
    };
    compare(&model.hidden.weight);
    compare(&model.blocks[0].weight);
    assert_eq!(mean.len(), 4);

    // It starts anew, a single micro-batch comes back as it is, and none gives nothing.
    assert!(accumulator.average(&model).is_empty());
    accumulator.accumulate(&model, model.gradients(inputs(&device)));
    let single = accumulator.average(&model);
    let id = model.hidden.weight.id;
    let bits = |gradients: &GradientsParams| read(gradients.get::<2>(id).expect("a gradient"));
    assert_eq!(bits(&single), bits(&whole));
}

#[test]
fn flow_measures_each_layer() {
    let device = device().autodiff();
    let before = Net::new(&device);
    let lr = 0.25;
    let mut optimizer = "sgd".parse::<OptimizerConfig>().expect("a known name");
    if let OptimizerConfig::Sgd(config) = &mut optimizer {
        config.weight_decay = 0.0;
    }
    let mut optimizer = optimizer.init(DecayPolicy::All).expect("a valid configuration");
    let gradients = before.gradients(inputs(&device));
    let after = optimizer.step(lr, before.clone(), before.gradients(inputs(&device)));

    let flow = layer_flow(&before, &after, &gradients);
    let names: Vec<&str> = flow.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["hidden", "blocks.0"]);
    for (LayerFlow { gradient_norm, update_ratio, .. }, layer) in
        flow.iter().zip([&before.hidden, &before.blocks[0]])
    {
        let expected = global_norm(layer, &gradients).into_scalar::<f32>();
        assert!((gradient_norm - expected).abs() < 1e-5 * expected);
        // Plain SGD moves by the learning rate times the gradient. The step is a difference of weights, so it carries
        // their rounding.
        let mut weights = SquareSum(0.0);
        layer.visit(&mut weights);
        let expected = lr * f64::from(*gradient_norm) / weights.0.sqrt();
        assert!((f64::from(*update_ratio) - expected).abs() < 1e-4 * expected);
    }
}

struct SquareSum(f64);

impl ModuleVisitor for SquareSum {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 += read(param.val()).iter::<f64>().map(|x| x * x).sum::<f64>();
    }
}

#[test]
fn flow_leaves_out_frozen_layers_and_survives_zero_weights() {
    let device = device().autodiff();
    let mut before = Net::new(&device);
    before.blocks = before.blocks.into_iter().map(|layer| layer.no_grad()).collect();
    before.hidden.weight = before.hidden.weight.map(|weight| weight.zeros_like().require_grad());
    before.hidden.bias = before.hidden.bias.map(|bias| bias.map(|bias| bias.zeros_like().require_grad()));
    let gradients = before.gradients(inputs(&device));
    let flow = layer_flow(&before, &before.clone(), &gradients);
    assert_eq!(flow.len(), 1);
    assert_eq!((flow[0].name.as_str(), flow[0].update_ratio), ("hidden", 0.0));
    assert!(flow[0].gradient_norm > 0.0);
    assert!(layer_flow(&before, &before.clone(), &GradientsParams::new()).is_empty());
}

#[test]
fn a_parameter_at_the_root_is_its_own_layer() {
    let model = Bare::golden(&device().autodiff());
    let flow = layer_flow(&model, &model.clone(), &model.gradients(0));
    let names: Vec<&str> = flow.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["vector", "matrix", "kernel"]);
}
