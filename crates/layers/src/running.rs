//! A statistic that a layer keeps of the batches it has seen.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
    ParamId,
};
use burn::tensor::{Device, Tensor};

/// A vector that is updated during the forward pass: saved and loaded like a parameter, but neither trained nor counted
/// as one.
///
/// burn's `RunningState` is not used, because what it holds is one update late wherever a module is visited (a saved
/// model would lack the last step), and because its clones share one value (loading weights into a clone, or moving it
/// to another device, would change the original). This one has the semantics of a value: a clone is independent.
///
/// The tensor is kept without autodiff, whatever device the module is on.
pub struct RunningStatistic {
    id: ParamId,
    value: Mutex<Tensor<1>>,
}

impl RunningStatistic {
    /// A statistic that starts at `value`.
    pub fn new(value: Tensor<1>) -> Self {
        Self::with_id(ParamId::new(), value)
    }

    /// The current value, without autodiff.
    pub fn value(&self) -> Tensor<1> {
        self.lock().clone()
    }

    /// Moves the value towards that of the latest batch: `(1 - momentum) value + momentum latest`.
    pub fn update(&self, latest: Tensor<1>, momentum: f64) {
        let mut value = self.lock();
        let latest = latest.without_autodiff().to_device(&value.device());
        *value = value.clone() * (1.0 - momentum) + latest * momentum;
    }

    fn with_id(id: ParamId, value: Tensor<1>) -> Self {
        Self { id, value: Mutex::new(value.without_autodiff()) }
    }

    fn lock(&self) -> MutexGuard<'_, Tensor<1>> {
        // A panic elsewhere can't leave a tensor half written: it is replaced as a whole.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for RunningStatistic {
    fn clone(&self) -> Self {
        Self::with_id(self.id, self.value())
    }
}

impl std::fmt::Debug for RunningStatistic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningStatistic").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Module for RunningStatistic {
    fn collect_devices(&self, mut devices: Devices) -> Devices {
        let device = self.lock().device();
        if !devices.contains(&device) {
            devices.push(device);
        }
        devices
    }

    fn fork(self, device: &Device) -> Self {
        self.to_device(device)
    }

    fn to_device(self, device: &Device) -> Self {
        Self::with_id(self.id, self.value().to_device(device))
    }

    fn train(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        self.clone()
    }

    fn materialize(self) -> Self {
        self
    }

    fn num_params(&self) -> usize {
        0
    }

    fn visit<Visitor: ModuleVisitor>(&self, visitor: &mut Visitor) {
        visitor.visit_float(&Param::initialized(self.id, self.value()));
    }

    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        let mapped = mapper.map_float(Param::initialized(self.id, self.value()));
        let (id, value, _) = mapped.consume();
        Self::with_id(id, value)
    }
}

impl ModuleDisplayDefault for RunningStatistic {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&"RunningStatistic").optional()
    }
}

impl ModuleDisplay for RunningStatistic {}

impl std::fmt::Display for RunningStatistic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&ModuleDisplay::format(self, Default::default()))
    }
}
