//! What the tests of several architectures share.

use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use libellus_layers::trace::Event;
use libellus_weights::testing::gguf::{self, pair, text};
use libellus_weights::{Checkpoint, Layout, LoadOptions, load, recognize};
use serde_json::Value;

use crate::{LanguageModelConfig, ModelConfig};

/// Numbers of the reference implementation, written by `tests/golden/<family>.py`.
pub(crate) struct Golden {
    weights: Checkpoint,
    expected: Checkpoint,
}

impl Golden {
    pub(crate) fn open(name: &str) -> Self {
        let open = |file: String| Checkpoint::open(golden_path(&file)).expect("a golden file");
        Self {
            weights: open(format!("{name}.safetensors")),
            expected: open(format!("{name}_expected.safetensors")),
        }
    }

    /// The model with the reference's weights.
    pub(crate) fn load<M: Module>(&self, model: M, layout: &Layout) -> M {
        load(model, &self.weights, layout, &LoadOptions::default()).expect("the key table fits the reference")
    }

    pub(crate) fn tensor<const D: usize>(&self, key: &str, device: &Device) -> Tensor<D> {
        Tensor::from_data(self.expected.tensor(key).expect("a golden tensor"), device)
    }

    pub(crate) fn ints<const D: usize>(&self, key: &str, device: &Device) -> Tensor<D, Int> {
        Tensor::from_data(self.expected.tensor(key).expect("a golden tensor"), device)
    }

    /// [`Golden::check`] for each of the intermediate outputs `names`, which the reference has as `eval.<name>`.
    #[track_caller]
    pub(crate) fn check_taps(&self, events: &[Event], names: &[&str]) {
        for wanted in names {
            let found = events.iter().find_map(|event| match event {
                Event::Tap { name, values, .. } if name == wanted => values.as_ref(),
                _ => None,
            });
            let found = found.unwrap_or_else(|| panic!("nothing was tapped at {wanted}"));
            let expected = self.expected.tensor(&format!("eval.{wanted}")).expect("a golden tensor");
            assert_close(found, &expected, 1e-5);
        }
    }

    /// Asserts that a tensor is what the reference computed in f64. f32 adds rounding of 6e-8 in each of the up to a
    /// few hundred terms and the dozen layers; the reference in f32 is itself up to 2e-6 off.
    #[track_caller]
    pub(crate) fn check<const D: usize>(&self, key: &str, actual: Tensor<D>) {
        self.check_within(key, actual, 1e-5);
    }

    /// The same with a tolerance of its own, relative to the largest number.
    #[track_caller]
    pub(crate) fn check_within<const D: usize>(&self, key: &str, actual: Tensor<D>, tolerance: f64) {
        assert_close(&read(actual), &self.expected.tensor(key).expect("a golden tensor"), tolerance);
    }
}

/// Where a golden file is.
pub(crate) fn golden_path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

/// Numbers in `[-1, 1)` that look random and are the same everywhere.
pub(crate) fn images(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let count = shape.iter().product::<usize>() as u32;
    let scattered = (1..=count)
        .map(|index| index.wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(2_246_822_519));
    let values: Vec<f32> = scattered.map(|bits| (f64::from(bits) / 2_147_483_648.0 - 1.0) as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A scalar that depends on each logit in its own way: the sum of the logits, weighted by 1, -2, 3, ...
pub(crate) fn scalar(logits: Tensor<2>) -> Tensor<1> {
    let [images, classes] = logits.dims();
    let weights: Vec<f32> = (0..images * classes)
        .map(|index| if index % 2 == 0 { 1.0 } else { -1.0 } * (index + 1) as f32)
        .collect();
    let weights = TensorData::new(weights, [images, classes]);
    let weights = Tensor::<2>::from_data(weights, &logits.device()).cast(logits.dtype());
    (logits * weights).sum()
}

/// The gradient of a parameter, `None` if it got none.
pub(crate) struct ParameterGradient {
    pub(crate) name: String,
    pub(crate) values: Option<TensorData>,
}

/// The gradients of all parameters, in the module's order.
pub(crate) fn parameter_gradients<M: Module>(model: &M, gradients: &Gradients) -> Vec<ParameterGradient> {
    let mut visitor = GradientVisitor { path: Vec::new(), gradients, found: Vec::new() };
    model.visit(&mut visitor);
    visitor.found
}

struct GradientVisitor<'a> {
    path: Vec<String>,
    gradients: &'a Gradients,
    found: Vec<ParameterGradient>,
}

impl ModuleVisitor for GradientVisitor<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        if tensor.is_require_grad() {
            let values = tensor.grad(self.gradients).map(read);
            self.found.push(ParameterGradient { name: self.path.join("."), values });
        }
    }
}

/// Asserts that a GGUF file with the tensors of `<golden>_gguf` says with these metadata that it is `expected`, and that the language model
/// in it computes what the reference does.
#[track_caller]
pub(crate) fn assert_gguf_agrees(golden: &str, metadata: &[(&str, Value)], expected: impl Into<ModelConfig>) {
    let file = gguf_file(&format!("{golden}_gguf"), metadata, &[]);
    let config = ModelConfig::from_gguf(&file).expect("a GGUF file").expect("a known model");
    assert_eq!(config, expected.into());
    let config = LanguageModelConfig::try_from(config).expect("a language model");
    let (device, options) = (device(), LoadOptions::default());
    let (model, layouts) = (config.init(&device).expect("valid"), config.layouts());
    let layout = recognize(&model, &file, &layouts, &options).expect("a known layout");
    assert_eq!(layout.name, "gguf");
    let model = load(model, &file, layout, &options).expect("the names fit");
    let golden = Golden::open(golden);
    golden.check("eval.logits", model.forward(golden.ints::<2>("tokens", &device)));
}

/// A GGUF file with the tensors of a golden file, and some more.
pub(crate) fn gguf_file(golden: &str, metadata: &[(&str, Value)], more: &[(&str, Vec<f32>)]) -> Checkpoint {
    let golden = Checkpoint::open(golden_path(&format!("{golden}.safetensors"))).expect("a golden file");
    let mut tensors: Vec<(String, Vec<u64>, Vec<f32>)> = golden
        .infos()
        .map(|info| {
            let lengths = info.shape.iter().rev().map(|&length| length as u64).collect();
            let data = golden.tensor(info.name).expect("a golden tensor");
            (info.name.to_owned(), lengths, data.try_to_vec().expect("floats"))
        })
        .collect();
    let more = more.iter().map(|(name, data)| ((*name).to_owned(), vec![data.len() as u64], data.clone()));
    tensors.extend(more);
    let (mut described, mut bytes) = (Vec::new(), Vec::<u8>::new());
    for (name, lengths, data) in &tensors {
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        described.push(gguf::tensor(name, lengths, 0, bytes.len() as u64));
        bytes.extend(data.iter().flat_map(|value| value.to_le_bytes()));
    }
    let pairs: Vec<Vec<u8>> = metadata
        .iter()
        .map(|(key, value)| match value {
            Value::String(value) => pair(key, 8, &text(value)),
            Value::Number(number) if number.is_u64() => {
                pair(key, 4, &(number.as_u64().expect("checked") as u32).to_le_bytes())
            }
            value => pair(key, 6, &(value.as_f64().expect("a number") as f32).to_le_bytes()),
        })
        .collect();
    Checkpoint::from_bytes("m.gguf", gguf::file(&pairs, &described, &bytes)).expect("a fine file")
}
