//! Where a walk through a module stands, and what it finds there.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Bool, Int, Tensor};

use crate::pattern::matches;

/// The path of the walk, as a name.
#[derive(Default)]
pub(crate) struct Path {
    segments: Vec<String>,
}

impl Path {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        if !is_variant(container) {
            self.segments.push(name.to_owned());
        }
    }

    pub(crate) fn exit(&mut self, container: &str) {
        if !is_variant(container) {
            self.segments.pop();
        }
    }

    pub(crate) fn name(&self) -> String {
        self.segments.join(".")
    }
}

/// burn enters the chosen variant of a module enum like a field.
fn is_variant(container: &str) -> bool {
    container.starts_with("Enum:")
}

/// What a parameter holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Float,
    Int,
    Bool,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Float => "floating-point numbers",
            Self::Int => "integers",
            Self::Bool => "booleans",
        }
    }
}

/// A tensor parameter or running statistic of a module.
pub(crate) struct Slot {
    pub(crate) name: String,
    /// The shape in which it is stored, in our layout.
    pub(crate) shape: Vec<usize>,
    pub(crate) kind: Kind,
}

/// All tensors of a module in its own order, without initialising lazy ones.
pub(crate) fn slots<M: Module>(module: &M) -> Vec<Slot> {
    let mut visitor = SlotVisitor { path: Path::default(), slots: Vec::new() };
    module.visit(&mut visitor);
    visitor.slots
}

/// The ids of the parameters and running statistics whose names, in our layout, fit a [pattern](crate::matches): what a
/// parameter group is made of.
pub fn parameter_ids<M: Module>(module: &M, pattern: &str) -> Vec<ParamId> {
    let mut visitor = IdVisitor { path: Path::default(), pattern, ids: Vec::new() };
    module.visit(&mut visitor);
    visitor.ids
}

struct IdVisitor<'a> {
    path: Path,
    pattern: &'a str,
    ids: Vec<ParamId>,
}

impl ModuleVisitor for IdVisitor<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if matches(self.pattern, &self.path.name()) {
            self.ids.push(param.id);
        }
    }
}

/// Folds updates that batch norm's running statistics still hold back into the values that a walk sees.
///
/// `RunningState::update` keeps the newest value aside for its thread until the next update, and neither
/// `visit` nor `map` looks there: what is saved would lag one step behind, and what is loaded would be
/// overwritten at the next step. `Module::valid` folds them in. A module with a parameter that isn't
/// initialised yet has never run, so it has none.
pub(crate) fn settle_running_statistics<M: Module>(module: &M) {
    let mut visitor = LazyVisitor { found: false };
    module.visit(&mut visitor);
    if !visitor.found {
        drop(module.valid());
    }
}

struct SlotVisitor {
    path: Path,
    slots: Vec<Slot>,
}

impl SlotVisitor {
    fn push(&mut self, shape: impl AsRef<[usize]>, kind: Kind) {
        self.slots.push(Slot { name: self.path.name(), shape: shape.as_ref().to_vec(), kind });
    }
}

impl ModuleVisitor for SlotVisitor {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    // A parameter may be held in another shape than it is saved in (a column-major `Linear`). Before it is
    // initialised its lazy shape is the saved one, afterwards the held one.
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = if param.is_initialized() {
            param.transform_for_save().val().shape()
        } else {
            param.lazy_shape()
        };
        self.push(shape.as_slice(), Kind::Float);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        let shape = if param.is_initialized() {
            param.transform_for_save().val().shape()
        } else {
            param.lazy_shape()
        };
        self.push(shape.as_slice(), Kind::Int);
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        let shape = if param.is_initialized() {
            param.transform_for_save().val().shape()
        } else {
            param.lazy_shape()
        };
        self.push(shape.as_slice(), Kind::Bool);
    }
}

struct LazyVisitor {
    found: bool,
}

impl ModuleVisitor for LazyVisitor {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found |= !param.is_initialized();
    }
}
