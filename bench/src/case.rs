//! Something to measure.

use burn::tensor::{Device, Tensor};

/// One repetition.
pub(crate) type Run = Box<dyn FnMut()>;

/// Something to measure, with a name.
pub(crate) struct Case {
    name: String,
    prepare: Box<dyn Fn(&Device) -> Run>,
}

impl Case {
    /// `prepare` makes tensors and layers on a device and returns what is measured.
    pub(crate) fn new<R: FnMut() + 'static>(
        name: impl Into<String>,
        prepare: impl Fn(&Device) -> R + 'static,
    ) -> Self {
        Self { name: name.into(), prepare: Box::new(move |device| Box::new(prepare(device))) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn prepare(&self, device: &Device) -> Run {
        (self.prepare)(device)
    }
}

/// Drops a result, after whatever made it has finished.
pub(crate) fn finish<const D: usize>(tensor: Tensor<D>) {
    tensor.device().sync().expect("flex computes at once");
    drop(tensor);
}
