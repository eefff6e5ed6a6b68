//! From a file into a module.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Bool, DType, Int, Tensor, TensorData};

use crate::checkpoint::Checkpoint;
use crate::error::{Mismatch, ShapeMismatch, WeightsError};
use crate::layout::{Layout, transpose};
use crate::pattern::matches;
use crate::walk::{Kind, Path, Slot, settle_running_statistics, slots};

/// What may differ between a checkpoint and the module it is loaded into.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Patterns of our names (`fc.**`): these parameters keep the values they have, whatever the file holds
    /// for them. This is how a pretrained network gets a head for another number of classes.
    pub ignore: Vec<String>,
}

/// Fills `module` with the tensors of `checkpoint`.
///
/// Every parameter and running statistic must be in the file with its shape, and every tensor of the file
/// must have a place, except for what `layout` drops and `options` ignore. Parameters keep their identities,
/// devices and `require_grad` settings, so an optimiser's state still belongs to them. Values that aren't
/// finite are loaded and reported by a `tracing` warning that names the tensor.
///
/// # Errors
/// [`WeightsError::Mismatch`] with all differences, and whatever reading the file gives. The module is
/// consumed either way; clone it first (burn shares the tensors) if the old values are still wanted.
pub fn load<M: Module>(
    module: M,
    checkpoint: &Checkpoint,
    layout: &Layout,
    options: &LoadOptions,
) -> Result<M, WeightsError> {
    let _span =
        tracing::info_span!("load_weights", path = %checkpoint.path().display(), layout = layout.name)
            .entered();
    settle_running_statistics(&module);
    let plan = plan(&slots(&module), checkpoint, layout, options)?;
    let mut loader = Loader { path: Path::default(), checkpoint, layout, plan, error: None };
    let module = module.map(&mut loader);
    match loader.error {
        Some(error) => Err(error),
        None => Ok(module),
    }
}

/// Our name of each parameter to fill -> its name in the file.
type Plan = BTreeMap<String, String>;

fn plan(
    slots: &[Slot],
    checkpoint: &Checkpoint,
    layout: &Layout,
    options: &LoadOptions,
) -> Result<Plan, WeightsError> {
    let is_ignored = |name: &str| options.ignore.iter().any(|pattern| matches(pattern, name));
    if let Some(pattern) =
        options.ignore.iter().find(|pattern| !slots.iter().any(|slot| matches(pattern, &slot.name)))
    {
        return Err(WeightsError::UselessPattern { pattern: pattern.clone() });
    }

    let mut plan = Plan::new();
    let mut unused: BTreeSet<&str> = checkpoint.names().collect();
    let (mut missing, mut misshaped) = (Vec::new(), Vec::new());
    let mut wrong_type = None;
    for slot in slots {
        let theirs = layout.theirs(&slot.name);
        unused.remove(theirs.as_str());
        if is_ignored(&slot.name) {
            continue;
        }
        let Some(info) = checkpoint.info(&theirs) else {
            missing.push(slot.name.clone());
            continue;
        };
        let mut expected = slot.shape.clone();
        if layout.is_transposed(&slot.name) {
            expected.reverse();
        }
        if info.shape != expected {
            misshaped.push(ShapeMismatch { name: slot.name.clone(), expected, found: info.shape.to_vec() });
        } else if !fits(slot.kind, info.dtype) {
            wrong_type.get_or_insert_with(|| WeightsError::ElementType {
                path: checkpoint.path().to_owned(),
                tensor: theirs.clone(),
                dtype: info.dtype.to_owned(),
                wanted: slot.kind.name(),
            });
        }
        plan.insert(slot.name.clone(), theirs);
    }
    let unexpected: Vec<String> =
        unused.into_iter().filter(|name| !layout.drops(name)).map(str::to_owned).collect();

    if !(missing.is_empty() && unexpected.is_empty() && misshaped.is_empty()) {
        let path = checkpoint.path().to_owned();
        let mismatch = Mismatch { path, layout: layout.name, missing, unexpected, misshaped };
        return Err(WeightsError::Mismatch(Box::new(mismatch)));
    }
    match wrong_type {
        Some(error) => Err(error),
        None => Ok(plan),
    }
}

fn fits(kind: Kind, dtype: &str) -> bool {
    match kind {
        Kind::Float => matches!(dtype, "F64" | "F32" | "F16" | "BF16"),
        Kind::Int => matches!(dtype, "I64" | "I32" | "I16" | "I8" | "U64" | "U32" | "U16" | "U8"),
        Kind::Bool => dtype == "BOOL",
    }
}

/// Puts the planned tensors in their places. After the first failure to read it leaves everything as it is.
struct Loader<'a> {
    path: Path,
    checkpoint: &'a Checkpoint,
    layout: &'a Layout,
    plan: Plan,
    error: Option<WeightsError>,
}

impl Loader<'_> {
    fn next(&mut self) -> Option<TensorData> {
        if self.error.is_some() {
            return None;
        }
        let ours = self.path.name();
        let theirs = self.plan.get(&ours)?;
        match self.checkpoint.tensor(theirs) {
            Ok(data) => {
                warn_if_not_finite(&ours, self.checkpoint, &data);
                Some(if self.layout.is_transposed(&ours) { transpose(data) } else { data })
            }
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }
}

fn warn_if_not_finite(ours: &str, checkpoint: &Checkpoint, data: &TensorData) {
    if data.dtype() != DType::F32 {
        return;
    }
    let count = data.iter::<f32>().filter(|value| !value.is_finite()).count();
    if count > 0 {
        let path = checkpoint.path().display();
        tracing::warn!(tensor = ours, %path, count, "values of `{ours}` in {path} are not finite ({count} of them)");
    }
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.next() {
            Some(data) => {
                let (id, device) = (param.id, param.lazy_device());
                param.transform_for_load(Tensor::from_data(data, &device), id)
            }
            None => param,
        }
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        match self.next() {
            Some(data) => {
                let (id, device) = (param.id, param.lazy_device());
                param.transform_for_load(Tensor::from_data(data, &device), id)
            }
            None => param,
        }
    }

    fn map_bool<const D: usize>(&mut self, param: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        match self.next() {
            Some(data) => {
                let (id, device) = (param.id, param.lazy_device());
                param.transform_for_load(Tensor::from_data(data, &device), id)
            }
            None => param,
        }
    }
}
