//! Running a model on named tensors.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{BoolStore, DType, TensorData};
use libellus_layers::trace::{Event, record};
use libellus_models::{Model, Tensors};
use libellus_weights::{Checkpoint, write_atomic};
use safetensors::{Dtype, View};

use crate::{Design, InspectError};

/// Which outputs of a model are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The final ones.
    Outputs,
    /// Those of every block too, under the names of the modules.
    Intermediates,
}

/// What the model puts out for `inputs`.
///
/// # Errors
/// If an input is missing, unknown or doesn't fit.
pub fn forward(
    design: &Design,
    model: &Model,
    inputs: &Tensors,
    depth: Depth,
) -> Result<Tensors, libellus_models::InputError> {
    if depth == Depth::Outputs {
        return design.config.run(model, inputs);
    }
    let (outputs, events) = record(|| design.config.run(model, inputs));
    Ok(events.into_iter().fold(outputs?, |outputs, event| match event {
        Event::Tap { name, values: Some(values), .. } => outputs.with_data(&name, values),
        _ => outputs,
    }))
}

/// The tensors of a safetensors file.
///
/// # Errors
/// If the file can't be read or holds elements of a type that burn doesn't have.
pub fn read_tensors(path: &Path) -> Result<Tensors, InspectError> {
    let checkpoint = Checkpoint::open(path)?;
    let names: Vec<_> = checkpoint.names().map(str::to_owned).collect();
    let mut tensors = Tensors::new();
    for name in names {
        tensors = tensors.with_data(&name, checkpoint.tensor(&name)?);
    }
    Ok(tensors)
}

/// Writes tensors to a safetensors file, in one atomic step.
///
/// # Errors
/// If the file can't be written.
pub fn write_tensors(path: &Path, tensors: &Tensors) -> Result<(), InspectError> {
    let stored: BTreeMap<&str, Stored> = tensors
        .iter()
        .map(|(name, data)| (name, Stored { data, shape: data.shape().as_slice().to_vec() }))
        .collect();
    let bytes = safetensors::serialize(stored, None).map_err(std::io::Error::other);
    bytes
        .and_then(|bytes| write_atomic(path, |file| file.write_all(&bytes)))
        .map_err(|source| InspectError::Io { action: "write", path: path.to_owned(), source })
}

struct Stored<'a> {
    data: &'a TensorData,
    shape: Vec<usize>,
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        match self.data.dtype() {
            DType::F64 => Dtype::F64,
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            DType::I64 => Dtype::I64,
            DType::I32 => Dtype::I32,
            DType::I16 => Dtype::I16,
            DType::I8 => Dtype::I8,
            DType::U64 => Dtype::U64,
            DType::U32 => Dtype::U32,
            DType::U16 => Dtype::U16,
            DType::U8 => Dtype::U8,
            DType::Bool(BoolStore::Native | BoolStore::U8) => Dtype::BOOL,
            // A wider boolean or a quantised tensor is no output of a model.
            _ => Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.data.as_bytes())
    }

    fn data_len(&self) -> usize {
        self.data.as_bytes().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tensor;
    use libellus_backend::testing::{device, read};
    use libellus_models::{InputError, Model, ResNetConfig};

    fn tiny() -> Design {
        let config = libellus_models::ClassifierConfig::from(ResNetConfig::tiny());
        Design { name: "tiny".to_owned(), config: libellus_models::ModelConfig::Classifier(config) }
    }

    #[test]
    fn outputs_are_the_models_own() {
        let design = tiny();
        let model = design.config.init(&device()).expect("valid");
        let images = Tensor::<4>::ones([3, 2, 23, 17], &device());
        let inputs = Tensors::new().with("images", images.clone());
        let classifier = match &model {
            Model::Classifier(classifier) => classifier,
            #[allow(unreachable_patterns)]
            _ => panic!("a classifier"),
        };
        let outputs = forward(&design, &model, &inputs, Depth::Outputs).expect("inputs that fit");
        assert_eq!(outputs.get("logits"), Some(&read(classifier.forward(images))));
        assert_eq!(outputs.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["features", "logits"]);

        let deep = forward(&design, &model, &inputs, Depth::Intermediates).expect("inputs that fit");
        assert_eq!(deep.get("logits"), outputs.get("logits"));
        let names: Vec<_> = deep.iter().map(|(name, _)| name).collect();
        for name in ["layer1.0", "layer2.0", "layer2.1", "layer4.0"] {
            assert!(names.contains(&name), "{names:?}");
        }

        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("out.safetensors");
        write_tensors(&path, &deep).expect("a writable folder");
        assert_eq!(read_tensors(&path).expect("what was just written"), deep);
    }

    #[test]
    fn inputs_that_do_not_fit_are_refused() {
        let design = tiny();
        let model = design.config.init(&device()).expect("valid");
        let run =
            |inputs: &Tensors| forward(&design, &model, inputs, Depth::Outputs).expect_err("a bad input");
        let images = |shape: [usize; 4]| Tensors::new().with("images", Tensor::<4>::ones(shape, &device()));
        assert!(matches!(run(&images([1, 3, 8, 8])), InputError::Length { dim: 1, .. }));
        assert!(matches!(run(&images([1, 2, 0, 8])), InputError::Length { dim: 2, .. }));
        assert!(matches!(run(&Tensors::new()), InputError::Missing { .. }));
    }
}
