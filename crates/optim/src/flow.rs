//! How much reaches each layer, and how much it changes.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::tensor::container::TensorContainer;
use serde::{Deserialize, Serialize};

use crate::gradients::sum_of_squares;

/// What one optimiser step did to one layer, all its parameters taken together.
///
/// A gradient norm that falls by orders of magnitude from the last layer to the first is a vanishing gradient, one that
/// rises is an exploding one. An update ratio around 1e-3 is healthy for SGD and Adam; far more is a learning rate that
/// is too high, far less one that is too low.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerFlow {
    /// Path of the layer in the model, as in `stages.0.1.conv1`.
    pub name: String,
    /// Euclidean norm of the gradient.
    pub gradient_norm: f32,
    /// Euclidean norm of the step divided by that of the weights before it; 0 where all the weights were zero, as no
    /// ratio is defined then.
    pub update_ratio: f32,
}

/// The flow through each layer of a model in one step, in the order of its fields: `before` and `after` are the model on
/// both sides of the step, `gradients` what the optimiser got. Layers without gradients are left out.
///
/// Takes one read from the device.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::GradientsParams;
/// use burn::tensor::Tensor;
/// use libellus_optim::{DecayPolicy, OptimizerConfig, layer_flow};
///
/// let device = libellus_backend::testing::device().autodiff();
/// let model = vec![LinearConfig::new(3, 2).init(&device)];
/// let loss = || model[0].forward(Tensor::<2>::ones([5, 3], &device)).square().mean();
/// let gradients = || GradientsParams::from_grads(loss().backward(), &model);
/// let mut optimizer = "sgd".parse::<OptimizerConfig>()?.init(DecayPolicy::All)?;
///
/// let after = optimizer.step(0.1, model.clone(), gradients());
/// let flow = layer_flow(&model, &after, &gradients());
/// assert_eq!(flow[0].name, "0");
/// assert!(flow[0].gradient_norm > 0.0 && flow[0].update_ratio > 0.0);
/// # Ok::<(), libellus_optim::OptimError>(())
/// ```
pub fn layer_flow<M: Module>(before: &M, after: &M, gradients: &GradientsParams) -> Vec<LayerFlow> {
    let mut collected = Before { weights: TensorContainer::new() };
    before.visit(&mut collected);
    let mut probe = Probe {
        before: collected.weights,
        gradients,
        path: Vec::new(),
        layers: Vec::new(),
        sums: Vec::new(),
    };
    after.visit(&mut probe);
    if probe.sums.is_empty() {
        return Vec::new();
    }
    let sums: Vec<f64> = Tensor::cat(probe.sums, 0).into_data().iter::<f64>().collect();

    let mut layers: Vec<Sums> = Vec::new();
    for (name, sums) in probe.layers.into_iter().zip(sums.chunks_exact(3)) {
        let index = layers.iter().position(|layer| layer.name == name).unwrap_or_else(|| {
            layers.push(Sums { name, gradient: 0.0, step: 0.0, weights: 0.0 });
            layers.len() - 1
        });
        let layer = &mut layers[index];
        layer.gradient += sums[0];
        layer.step += sums[1];
        layer.weights += sums[2];
    }
    layers.into_iter().map(Sums::finish).collect()
}

/// Sums of squares over a layer's parameters.
struct Sums {
    name: String,
    gradient: f64,
    step: f64,
    weights: f64,
}

impl Sums {
    fn finish(self) -> LayerFlow {
        let update_ratio = if self.weights == 0.0 { 0.0 } else { (self.step / self.weights).sqrt() };
        LayerFlow {
            name: self.name,
            gradient_norm: self.gradient.sqrt() as f32,
            update_ratio: update_ratio as f32,
        }
    }
}

/// The weights before the step.
struct Before {
    weights: TensorContainer<ParamId>,
}

impl ModuleVisitor for Before {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.weights.register(param.id, param.base().inner());
    }
}

/// burn enters the chosen variant of an enum of modules like a field; as part of a layer's name it would say nothing.
fn is_variant(container: &str) -> bool {
    container.starts_with("Enum:")
}

/// Collects, for each parameter with a gradient, the name of its layer and three sums of squares.
struct Probe<'a> {
    before: TensorContainer<ParamId>,
    gradients: &'a GradientsParams,
    path: Vec<String>,
    layers: Vec<String>,
    sums: Vec<Tensor<1>>,
}

impl ModuleVisitor for Probe<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        if !is_variant(container) {
            self.path.push(name.to_owned());
        }
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        if !is_variant(container) {
            self.path.pop();
        }
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        let Some(before) = self.before.remove::<Tensor<D>>(&param.id) else { return };
        // The last segment names the parameter, those before it the layer; a parameter at the root is its own layer.
        let layer = &self.path[..self.path.len().saturating_sub(1).max(1).min(self.path.len())];
        self.layers.push(layer.join("."));
        let step = param.base().inner() - before.clone();
        self.sums.extend([sum_of_squares(gradient), sum_of_squares(step), sum_of_squares(before)]);
    }
}
