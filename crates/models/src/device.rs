//! Where a model is.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

/// The device of a model's first parameter, without drawing it.
///
/// # Panics
/// If the model has no parameter.
pub fn device_of<M: Module>(model: &M) -> Device {
    struct First(Option<Device>);
    impl ModuleVisitor for First {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.get_or_insert_with(|| param.lazy_device());
        }
    }
    let mut first = First(None);
    model.visit(&mut first);
    first.0.expect("a model has parameters")
}
