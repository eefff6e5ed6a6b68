//! From a file into a module.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Bool, Int, Tensor, TensorData};

use crate::arrange::{RowOrder, concatenate, narrow, reorder_rows, transpose};
use crate::checkpoint::Checkpoint;
use crate::error::{Mismatch, ShapeMismatch, WeightsError};
use crate::layout::{Layout, Placement, Relation};
use crate::pattern::matches;
use crate::save::LAYOUT_KEY;
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
///
/// # Panics
/// If the layout transposes a tensor that isn't a matrix.
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
    let mut loader = Loader { path: Path::default(), checkpoint, plan, error: None };
    let module = module.map(&mut loader);
    match loader.error {
        Some(error) => Err(error),
        None => Ok(module),
    }
}

/// Our name of each parameter to fill -> where its values are.
type Plan = BTreeMap<String, Source>;

/// Where the values of a parameter are. All names are the file's, prefix included.
#[derive(PartialEq)]
struct Source {
    read: Read,
    transposed: bool,
    rope_pairs: Option<usize>,
    /// Tensors that hold the same once more.
    aliases: Vec<String>,
}

#[derive(PartialEq)]
enum Read {
    Whole(String),
    Parts { names: Vec<String>, dim: usize },
    Range { name: String, dim: usize, start: usize, length: usize },
}

impl Source {
    /// The tensors in the file.
    fn names(&self) -> impl Iterator<Item = &str> {
        let names = match &self.read {
            Read::Whole(name) | Read::Range { name, .. } => std::slice::from_ref(name),
            Read::Parts { names, .. } => names,
        };
        names.iter().map(String::as_str)
    }
}

/// What came of an attempt to find every parameter in the file.
struct Attempt {
    plan: Plan,
    missing: Vec<String>,
    unexpected: Vec<String>,
    misshaped: Vec<ShapeMismatch>,
    wrong_type: Option<WeightsError>,
}

impl Attempt {
    fn differences(&self) -> usize {
        self.missing.len() + self.unexpected.len() + self.misshaped.len()
    }

    fn mismatch(self, checkpoint: &Checkpoint, layout: &Layout) -> Box<Mismatch> {
        let Self { missing, unexpected, misshaped, .. } = self;
        let path = checkpoint.path().to_owned();
        Box::new(Mismatch { path, layout: layout.name, missing, unexpected, misshaped })
    }
}

fn plan(
    slots: &[Slot],
    checkpoint: &Checkpoint,
    layout: &Layout,
    options: &LoadOptions,
) -> Result<Plan, WeightsError> {
    if let Some(pattern) =
        options.ignore.iter().find(|pattern| !slots.iter().any(|slot| matches(pattern, &slot.name)))
    {
        return Err(WeightsError::UselessPattern { pattern: pattern.clone() });
    }
    let attempt = attempt(slots, checkpoint, layout, options);
    match attempt {
        Attempt { wrong_type: Some(error), .. } if attempt.differences() == 0 => Err(error),
        attempt if attempt.differences() > 0 => {
            Err(WeightsError::Mismatch(attempt.mismatch(checkpoint, layout)))
        }
        attempt => Ok(attempt.plan),
    }
}

fn attempt(slots: &[Slot], checkpoint: &Checkpoint, layout: &Layout, options: &LoadOptions) -> Attempt {
    let is_ignored = |name: &str| options.ignore.iter().any(|pattern| matches(pattern, name));
    let placements: Vec<_> = slots.iter().map(|slot| layout.place(&slot.name)).collect();
    let stored: BTreeMap<&str, Vec<usize>> = slots
        .iter()
        .zip(&placements)
        .map(|(slot, placement)| (slot.name.as_str(), stored_shape(slot, placement)))
        .collect();

    let mut unused: BTreeSet<&str> = checkpoint.names().collect();
    // The name in the file, with or without the layout's prefix; it then counts as used.
    let mut find = |theirs: &str| -> Option<&str> {
        let found = layout
            .with_prefix(theirs)
            .and_then(|prefixed| checkpoint.info(&prefixed))
            .or_else(|| checkpoint.info(theirs))?;
        unused.remove(found.name);
        Some(found.name)
    };

    let (mut plan, mut missing, mut misshaped) = (Plan::new(), Vec::new(), Vec::new());
    let mut wrong_type = None;
    for (slot, placement) in slots.iter().zip(&placements) {
        let shape = &stored[slot.name.as_str()];
        let mut wanted: Vec<(&str, Vec<usize>)> = Vec::new();
        let mut range = (0, 0);
        match &placement.relation {
            Relation::Whole(theirs) => wanted.push((theirs, shape.clone())),
            Relation::Parts { theirs, dim } => {
                let mut part = shape.clone();
                if let Some(length) = part.get_mut(*dim) {
                    *length /= theirs.len().max(1);
                }
                wanted.extend(theirs.iter().map(|name| (name.as_str(), part.clone())));
            }
            Relation::Member { theirs, dim, ours } => {
                let lengths: Vec<usize> = ours
                    .iter()
                    .map(|name| {
                        stored.get(name.as_str()).and_then(|shape| shape.get(*dim)).copied().unwrap_or(0)
                    })
                    .collect();
                let place = ours.iter().position(|name| *name == slot.name).unwrap_or(0);
                range = (lengths[..place].iter().sum(), lengths[place]);
                let mut whole = shape.clone();
                if let Some(length) = whole.get_mut(*dim) {
                    *length = lengths.iter().sum();
                }
                wanted.push((theirs, whole));
            }
        }

        let mut found: Vec<Option<&str>> = wanted.iter().map(|(theirs, _)| find(theirs)).collect();
        let mut aliases: Vec<&str> =
            placement.aliases.iter().filter_map(|alias| find(&alias.theirs)).collect();
        // Of tied tensors, some programs store only one, under whichever name.
        if found == [None] && !aliases.is_empty() {
            found = vec![Some(aliases.remove(0))];
        }
        let aliases = aliases.into_iter().map(str::to_owned).collect();
        if is_ignored(&slot.name) {
            continue;
        }
        for ((theirs, expected), found) in wanted.iter().zip(&found) {
            let ours = match &placement.relation {
                Relation::Whole(_) => slot.name.clone(),
                Relation::Parts { .. } | Relation::Member { .. } => format!("{} ({theirs})", slot.name),
            };
            let Some(info) = found.and_then(|name| checkpoint.info(name)) else {
                missing.push(ours);
                continue;
            };
            if info.shape != expected {
                misshaped.push(ShapeMismatch {
                    name: ours,
                    expected: expected.clone(),
                    found: info.shape.to_vec(),
                });
            } else if !fits(slot.kind, info.dtype) {
                wrong_type.get_or_insert_with(|| WeightsError::ElementType {
                    path: checkpoint.path().to_owned(),
                    tensor: info.name.to_owned(),
                    dtype: info.dtype.to_owned(),
                    wanted: slot.kind.name(),
                });
            }
        }
        let names: Vec<String> = found.into_iter().flatten().map(str::to_owned).collect();
        let Some(name) = names.first().cloned() else { continue };
        let read = match placement.relation {
            Relation::Whole(_) => Read::Whole(name),
            Relation::Parts { dim, .. } => Read::Parts { names, dim },
            Relation::Member { dim, .. } => Read::Range { name, dim, start: range.0, length: range.1 },
        };
        let Placement { transposed, rope_pairs, .. } = *placement;
        plan.insert(slot.name.clone(), Source { read, transposed, rope_pairs, aliases });
    }
    let unexpected = unused.into_iter().filter(|name| !layout.drops(name)).map(str::to_owned).collect();
    Attempt { plan, missing, unexpected, misshaped, wrong_type }
}

/// The shape of a parameter in its stored form, before it is cut or joined.
fn stored_shape(slot: &Slot, placement: &Placement) -> Vec<usize> {
    let mut shape = slot.shape.clone();
    if placement.transposed {
        shape.reverse();
    }
    shape
}

/// The one of `layouts` in which `checkpoint` holds the parameters of `module`.
///
/// A file that [`save`](crate::save) wrote says its layout. For any other, every layout is tried, and the first that fits
/// is returned.
///
/// # Errors
/// [`WeightsError::NoLayoutFits`] if none fits, with what separates the file from the nearest ones;
/// [`WeightsError::TwoLayoutsFit`] if two fit and would read the file differently.
pub fn recognize<'a, M: Module>(
    module: &M,
    checkpoint: &Checkpoint,
    layouts: &'a [Layout],
    options: &LoadOptions,
) -> Result<&'a Layout, WeightsError> {
    let slots = slots(module);
    let said = checkpoint.metadata().get(LAYOUT_KEY);
    let candidates: Vec<&Layout> =
        match layouts.iter().find(|layout| said.is_some_and(|name| name == layout.name)) {
            Some(named) => vec![named],
            None => layouts.iter().collect(),
        };
    let mut fitting: Option<(&Layout, Plan)> = None;
    let mut others = Vec::new();
    for layout in candidates {
        let attempt = attempt(&slots, checkpoint, layout, options);
        if attempt.differences() > 0 {
            others.push((layout, attempt));
        } else if let Some((first, plan)) = &fitting {
            if *plan != attempt.plan {
                let path = checkpoint.path().to_owned();
                return Err(WeightsError::TwoLayoutsFit { path, first: first.name, second: layout.name });
            }
        } else {
            fitting = Some((layout, attempt.plan));
        }
    }
    if let Some((layout, _)) = fitting {
        return Ok(layout);
    }
    others.sort_by_key(|(_, attempt)| attempt.differences());
    let nearest = others.into_iter().map(|(layout, attempt)| *attempt.mismatch(checkpoint, layout)).collect();
    Err(WeightsError::NoLayoutFits { path: checkpoint.path().to_owned(), nearest })
}

fn fits(kind: Kind, dtype: &str) -> bool {
    match kind {
        Kind::Float => matches!(dtype, "F64" | "F32" | "F16" | "BF16"),
        Kind::Int => matches!(dtype, "I64" | "I32" | "I16" | "I8" | "U64" | "U32" | "U16" | "U8"),
        Kind::Bool => dtype == "BOOL",
    }
}

/// Matrices of more elements than this are turned while they are read. The largest of VGG is three quarters of the model:
/// held twice, it would take half as much memory again.
const LARGE: usize = 1 << 22;

/// Puts the planned tensors in their places. After the first failure to read it leaves everything as it is.
struct Loader<'a> {
    path: Path,
    checkpoint: &'a Checkpoint,
    plan: Plan,
    error: Option<WeightsError>,
}

impl Loader<'_> {
    fn next(&mut self) -> Option<TensorData> {
        if self.error.is_some() {
            return None;
        }
        let ours = self.path.name();
        match self.read(self.plan.get(&ours)?) {
            Ok(data) => {
                warn_if_not_finite(&ours, self.checkpoint, &data);
                Some(data)
            }
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }

    fn read(&self, source: &Source) -> Result<TensorData, WeightsError> {
        if let Read::Whole(name) = &source.read
            && source.transposed
            && source.rope_pairs.is_none()
            && source.aliases.is_empty()
            && self.checkpoint.info(name).is_some_and(|info| info.shape.iter().product::<usize>() > LARGE)
        {
            return self.checkpoint.transposed(name);
        }
        let stored = match &source.read {
            Read::Whole(name) => self.checkpoint.tensor(name)?,
            Read::Parts { names, dim } => {
                let parts =
                    names.iter().map(|name| self.checkpoint.tensor(name)).collect::<Result<Vec<_>, _>>()?;
                concatenate(&parts, *dim)
            }
            Read::Range { name, dim, start, length } => {
                narrow(&self.checkpoint.tensor(name)?, *dim, *start, *length)
            }
        };
        for alias in &source.aliases {
            let other = self.checkpoint.tensor(alias)?;
            if other.shape() == stored.shape() && other.as_bytes() == stored.as_bytes() {
                continue;
            }
            let mut names = source.names().chain([alias.as_str()]);
            let is_rounded =
                names.any(|name| self.checkpoint.info(name).is_some_and(|info| info.quantised.is_some()));
            let path = self.checkpoint.path();
            if !(is_rounded && are_near(&stored, &other)) {
                let tensor = source.names().collect::<Vec<_>>().join(", ");
                return Err(WeightsError::NotTied { path: path.to_owned(), tensor, alias: alias.clone() });
            }
            let path = path.display();
            tracing::warn!(alias, %path, "`{alias}` in {path} is the same tensor rounded otherwise; it isn't used");
        }
        let stored = match source.rope_pairs {
            Some(head_dim) => reorder_rows(stored, head_dim, RowOrder::Halves),
            None => stored,
        };
        Ok(if source.transposed { transpose(stored) } else { stored })
    }
}

/// Whether two tensors may be one that was rounded to a few bits in two ways: they differ by less than a third of their length. Two bits
/// leave a fifth; tensors that have nothing in common differ by more than their length.
fn are_near(left: &TensorData, right: &TensorData) -> bool {
    let (Ok(left), Ok(right)) = (left.as_slice::<f32>(), right.as_slice::<f32>()) else { return false };
    let mut sums = [0.0_f64; 2];
    for (left, right) in left.iter().zip(right) {
        sums[0] += f64::from(left - right).powi(2);
        sums[1] += f64::from(*left).powi(2);
    }
    left.len() == right.len() && 9.0 * sums[0] <= sums[1]
}

fn warn_if_not_finite(ours: &str, checkpoint: &Checkpoint, data: &TensorData) {
    let Ok(values) = data.as_slice::<f32>() else { return };
    let count = values.iter().filter(|value| !value.is_finite()).count();
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
