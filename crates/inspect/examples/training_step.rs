//! One training step's gradients, for comparison with the reference implementation (`cargo xtask parity`).
//!
//! `training_step f32|f64 CONFIG WEIGHTS LAYOUT INPUTS OUTPUT`: reads the model, multiplies its main output by the tensor
//! `coefficients` of the inputs, prints the sum (the loss), differentiates it, and writes the gradient of every parameter
//! and the running statistics after the step under the names of the layout, nothing dropped.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, FloatDType, Gradients, Tensor};
use libellus_backend::DeviceName;
use libellus_inspect::{Design, Loaded, read_tensors};
use libellus_models::bert::BertInput;
use libellus_models::transformer::TransformerInput;
use libellus_models::{CausalLm, InputError, Model, ModelConfig, Tensors};
use libellus_weights::{Checkpoint, LoadOptions, save};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [precision, config, weights, layout, inputs, output] = arguments.as_slice() else {
        return Err("usage: training_step f32|f64 CONFIG WEIGHTS LAYOUT INPUTS OUTPUT".into());
    };
    let mut device = "flex".parse::<DeviceName>()?.open()?;
    if precision == "f64" {
        device.configure(FloatDType::F64)?;
    }
    let device = device.autodiff();
    let design = Design::from_file(Path::new(config))?;
    let design = Design { config: nothing_dropped(&design.config)?, ..design };
    let weights = Checkpoint::open(weights)?;
    let loaded = Loaded::open(Some(design), &weights, Some(layout), &LoadOptions::default(), &device)?;
    let loss = scalar(&loaded.model, &read_tensors(Path::new(inputs))?, &device)?;
    report(&loss);
    let gradients = loss.backward();
    let gradients = loaded.model.map(&mut ToGradients { gradients });
    save(&gradients, Path::new(output), &loaded.layout, &BTreeMap::new())?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the result")]
fn report(loss: &Tensor<1>) {
    println!("{:e}", loss.clone().into_scalar::<f64>());
}

/// The configuration with all probabilities of dropping set to zero.
fn nothing_dropped(config: &ModelConfig) -> Result<ModelConfig, Box<dyn Error>> {
    let mut value = config.to_value();
    for field in ["dropout", "attention_dropout", "drop_path"] {
        if let Some(probability) = value.get_mut(field) {
            *probability = 0.0.into();
        }
    }
    Ok(ModelConfig::from_value(value)?)
}

/// A source and its target.
fn pair(inputs: &Tensors, device: &Device) -> Result<TransformerInput, InputError> {
    let tokens = |name: &str| inputs.ints::<2>(name, usize::MAX >> 1, device);
    let mask = |name: &str| Ok(inputs.optional_ints::<2>(name, 2, device)?.map(|mask| mask.bool()));
    Ok(TransformerInput {
        source: tokens("source")?,
        target: tokens("target")?,
        source_mask: mask("source_mask")?,
        target_mask: mask("target_mask")?,
    })
}

/// The sum of the main output, each element multiplied by its coefficient.
fn scalar(model: &Model, inputs: &Tensors, device: &Device) -> Result<Tensor<1>, InputError> {
    let tokens = |name: &str| inputs.ints::<2>(name, usize::MAX >> 1, device);
    let mask = |name: &str| Ok(inputs.optional_ints::<2>(name, 2, device)?.map(|mask| mask.bool()));
    Ok(match model {
        Model::Classifier(model) => {
            let logits = model.forward(inputs.float::<4>("images", device)?);
            (logits * inputs.float("coefficients", device)?).sum()
        }
        Model::UNet(model) => {
            let logits = model.forward(inputs.float::<4>("images", device)?);
            (logits * inputs.float("coefficients", device)?).sum()
        }
        Model::Gpt2(model) => language_model(model, inputs, device)?,
        Model::Llama(model) => language_model(model, inputs, device)?,
        Model::Bert(model) => {
            let input = BertInput { tokens: tokens("tokens")?, mask: mask("mask")?, token_types: None };
            let output = model.forward(input);
            let pooled = output.pooled.expect("every preset has a pooler");
            (output.hidden * inputs.float("coefficients", device)?).sum() + pooled.sum()
        }
        Model::Transformer(model) => {
            let output = model.forward(pair(inputs, device)?);
            (output.logits * inputs.float("coefficients", device)?).sum()
        }
        Model::GruAttention(model) => {
            let logits = model.forward(pair(inputs, device)?);
            (logits * inputs.float("coefficients", device)?).sum()
        }
        Model::Rnn(model) => {
            let output = model.forward(inputs.float::<3>("sequence", device)?, None);
            (output.output * inputs.float("coefficients", device)?).sum()
        }
        Model::RnnLm(model) => {
            let logits = model.forward(tokens("tokens")?);
            (logits * inputs.float("coefficients", device)?).sum()
        }
    })
}

fn language_model<M: CausalLm>(
    model: &M,
    inputs: &Tensors,
    device: &Device,
) -> Result<Tensor<1>, InputError> {
    let tokens = inputs.ints::<2>("tokens", usize::MAX >> 1, device)?;
    let mask = inputs.optional_ints::<2>("mask", 2, device)?.map(|mask| mask.bool());
    let logits = model.logits(model.forward_features(tokens, mask));
    Ok((logits * inputs.float("coefficients", device)?).sum())
}

/// Puts its gradient in the place of every parameter; running statistics stay.
struct ToGradients {
    gradients: Gradients,
}

impl ModuleMapper for ToGradients {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let value = match tensor.grad(&self.gradients) {
            Some(gradient) => gradient,
            None if tensor.is_require_grad() => tensor.without_autodiff().zeros_like(),
            None => tensor.without_autodiff(),
        };
        Param::from_mapped_value(id, value, mapper)
    }
}
