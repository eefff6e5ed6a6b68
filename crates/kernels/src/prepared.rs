//! Weights in the order in which kernels read them, kept from call to call.

use std::fmt::{self, Debug, Formatter};
use std::ops::Deref;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};

use crate::quantize::{round_columns, round_rows, round_to_bf16};

#[cfg(feature = "flex")]
pub(crate) use flex::{Forms, PackedRows, PixelStrips, forms};

/// A model that is ready for many calls in evaluation: its weights are also kept in the order of the kernels, as far as that pays. See
/// [`PrepareInference`].
pub struct Prepared<M> {
    model: M,
    #[cfg(feature = "flex")]
    _weights: Vec<flex::Registration>,
}

impl<M> Deref for Prepared<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.model
    }
}

impl<M: Debug> Debug for Prepared<M> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.model.fmt(f)
    }
}

/// Models that can be [prepared](Prepared): all.
pub trait PrepareInference: Module {
    /// Prepares a model for many calls in evaluation. The result is used as the model; its outputs are the same, linear layers' but
    /// for rounding.
    ///
    /// The rearranged weights are made when a kernel first wants them, take as much memory as the weights themselves (Winograd's
    /// convolutions aside), and are given back with the result. Only weights in 32-bit floats on flex, without autodiff, are kept; for
    /// others nothing changes. A clone of the model inside shares them for as long as this one lives.
    ///
    /// ```
    /// use burn::module::{Module, Param};
    /// use burn::tensor::{Tensor, ops::ConvOptions};
    /// use libellus_kernels::{PrepareInference, conv2d};
    ///
    /// #[derive(Module, Debug)]
    /// struct Layer {
    ///     weight: Param<Tensor<4>>,
    /// }
    ///
    /// let device = libellus_backend::testing::device();
    /// let layer = Layer { weight: Param::from_tensor(Tensor::ones([3, 2, 1, 1], &device)) };
    /// let layer = layer.prepare_inference();
    /// let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
    /// let output = conv2d(Tensor::ones([1, 2, 5, 5], &device), layer.weight.val(), None, options);
    /// assert_eq!(output.dims(), [1, 3, 5, 5]);
    /// ```
    fn prepare_inference(self) -> Prepared<Self> {
        self.prepare_inference_in(Precision::F32)
    }

    /// The same with the matrices of linear layers, the tables of embeddings and, in bfloat16, the kernels of convolutions in another
    /// precision. They are rounded for all that reads them, on every backend, and multiplied in that precision where
    /// [`linear`](crate::linear()) and [`conv2d_fused`](crate::conv2d_fused) can.
    fn prepare_inference_in(self, precision: Precision) -> Prepared<Self> {
        let mut weights = Weights { precision, ..Weights::default() };
        let model = self.map(&mut weights);
        Prepared {
            #[cfg(feature = "flex")]
            _weights: weights.registered,
            model,
        }
    }

    /// The same for models that are large and mostly read a vector at a time, as those that generate text. 32-bit floats are only there
    /// once, as the model has them: a few vectors are multiplied with them as fast, and hundreds wait a twentieth longer.
    fn prepare_generation_in(self, precision: Precision) -> Prepared<Self> {
        match precision {
            Precision::F32 => Prepared {
                #[cfg(feature = "flex")]
                _weights: Vec::new(),
                model: self,
            },
            Precision::Bf16 | Precision::Q8 => self.prepare_inference_in(precision),
        }
    }
}

impl<M: Module> PrepareInference for M {}

/// How weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// As 32-bit floats.
    #[default]
    F32,
    /// In bfloat16; tables of embeddings and kernels of two-dimensional convolutions too. Where the processor multiplies such numbers
    /// (AVX512-BF16), linear layers, and convolutions that are products of matrices in evaluation, round their inputs as well, and
    /// add up in 32-bit floats; elsewhere only the weights are rounded. The rounded weights take as much memory as
    /// before, and what is read half of it again.
    Bf16,
    /// In 8 bits, with a scale for every 64 inputs of an output; tables of embeddings too. Where the processor multiplies such numbers
    /// (AVX512-VNNI), linear layers round their inputs likewise, each 64 of a vector with a scale of their own; elsewhere
    /// activations stay 32-bit floats. A quarter of the bytes is read, which is most of what generating text waits for; the rounded
    /// weights take as much memory as before, and their codes a quarter of it again.
    Q8,
}

/// Registers the weights of a model, and rounds them.
#[derive(Default)]
struct Weights {
    precision: Precision,
    /// The field that is being looked at, and the type that has it.
    field: (String, String),
    #[cfg(feature = "flex")]
    registered: Vec<flex::Registration>,
}

impl Weights {
    /// How the parameter is rounded, if it is one to be rounded.
    fn rounding<const D: usize>(&self) -> Option<Rounding> {
        let (field, container) = &self.field;
        match (self.precision, container.as_str()) {
            _ if D < 2 || field != "weight" => None,
            (Precision::Q8, "Struct:Linear") => Some(round_columns),
            (Precision::Q8, "Struct:Embedding") => Some(round_rows),
            (Precision::Bf16, "Struct:Linear" | "Struct:Embedding" | "Struct:Conv2d") => Some(round_to_bf16),
            _ => None,
        }
    }
}

/// Rounds a matrix with so many columns.
type Rounding = fn(&mut [f32], usize);

impl ModuleMapper for Weights {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.field = (name.to_owned(), container_type.to_owned());
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let rounding = self.rounding::<D>();
        let param = match rounding {
            Some(round) => param.map(|weight| {
                let (device, dtype, shape) = (weight.device(), weight.dtype(), weight.dims());
                let mut numbers: Vec<f32> = weight.into_data().iter::<f32>().collect();
                round(&mut numbers, shape[D - 1]);
                Tensor::from_data(TensorData::new(numbers, shape), (&device, dtype))
            }),
            None => param,
        };
        #[cfg(feature = "flex")]
        if D > 1 {
            let precision = if rounding.is_some() { self.precision } else { Precision::F32 };
            self.registered.extend(flex::register(param.val(), precision));
        }
        param
    }
}

#[cfg(feature = "flex")]
mod flex {
    use std::any::Any;
    use std::collections::HashMap;
    use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

    use burn::tensor::Tensor;

    use super::Precision;
    use crate::device::{is_plain, to_flex};
    use crate::linear;
    use crate::memory::FlexTensor;
    use crate::vector::Line;

    /// The arrangements that kernels have made of a weight.
    #[derive(Debug, Default)]
    pub(crate) struct Forms {
        /// Of each group, for [products of matrices](crate::convolution).
        pub(crate) packed_rows: Kept<PackedRows>,
        /// For convolutions of [pixels](crate::channels_last).
        pub(crate) pixel_strips: Kept<PixelStrips>,
        /// For [linear layers](crate::linear()).
        pub(crate) strips: Kept<linear::PreparedWeight>,
        pub(crate) precision: Precision,
    }

    /// What is made when it is first wanted.
    #[derive(Debug)]
    pub(crate) struct Kept<T>(OnceLock<T>);

    impl<T> Default for Kept<T> {
        fn default() -> Self {
            Self(OnceLock::new())
        }
    }

    impl<T> Kept<T> {
        /// Makes it outside the cell: `make` uses rayon, and a thread that waits there may take up another call of the same
        /// model, which would wait for the cell for ever. Two threads may both make one; the first is kept.
        pub(crate) fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
            match self.0.get() {
                Some(kept) => kept,
                None => {
                    let made = make();
                    self.0.get_or_init(|| made)
                }
            }
        }

        #[cfg(test)]
        pub(crate) fn is_made(&self) -> bool {
            self.0.get().is_some()
        }
    }

    /// A weight of several groups, as blocks of 16 columns.
    #[derive(Debug)]
    pub(crate) struct PackedRows {
        /// Groups, and rows and columns of each.
        pub(crate) size: [usize; 3],
        pub(crate) groups: Vec<Vec<Line>>,
    }

    /// A weight whose rows are elements of the kernel, and in them channels of the input.
    #[derive(Debug)]
    pub(crate) struct PixelStrips {
        /// Channels of the output and of the input, and elements of the kernel.
        pub(crate) size: [usize; 3],
        pub(crate) strips: linear::Strips<'static>,
    }

    /// By the address of the memory.
    type Table = HashMap<usize, Entry>;

    static TABLE: RwLock<Option<Table>> = RwLock::new(None);

    struct Entry {
        /// Keeps the address from being given to another tensor. What lies there stays what it was, too: where somebody refers to
        /// memory, weakly or not, burn changes a copy at another address.
        _memory: Weak<dyn Any + Send + Sync>,
        forms: Arc<Forms>,
        /// Models that have the weight.
        users: usize,
    }

    /// A weight's place in the table, which it leaves with its last registration.
    #[derive(Debug)]
    pub(crate) struct Registration(usize);

    impl Drop for Registration {
        fn drop(&mut self) {
            let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
            let Some(table) = table.as_mut() else { return };
            if let Some(entry) = table.get_mut(&self.0) {
                entry.users -= 1;
                if entry.users == 0 {
                    table.remove(&self.0);
                }
            }
        }
    }

    /// Keeps forms of a weight from now on.
    pub(crate) fn register<const D: usize>(weight: Tensor<D>, precision: Precision) -> Option<Registration> {
        if !is_plain(&weight) {
            return None;
        }
        let weight = to_flex(weight);
        if !is_whole(&weight) {
            return None;
        }
        let address = address(&weight);
        let memory: Arc<dyn Any + Send + Sync> = weight.data_arc();
        let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
        let entry = table.get_or_insert_default().entry(address).or_insert_with(|| Entry {
            _memory: Arc::downgrade(&memory),
            forms: Arc::new(Forms { precision, ..Forms::default() }),
            users: 0,
        });
        entry.users += 1;
        Some(Registration(address))
    }

    /// The forms of a weight that is [registered](register).
    pub(crate) fn forms(weight: &FlexTensor) -> Option<Arc<Forms>> {
        let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
        let entry = table.as_ref()?.get(&address(weight))?;
        is_whole(weight).then(|| entry.forms.clone())
    }

    /// Whether a tensor has all of its memory, in row-major order. All tensors of which this is true hold the same numbers.
    fn is_whole(tensor: &FlexTensor) -> bool {
        let numbers = tensor.bytes().len() / size_of::<f32>();
        tensor.layout().contiguous_offsets() == Some((0, numbers))
    }

    fn address(tensor: &FlexTensor) -> usize {
        Arc::as_ptr(&tensor.data_arc()).addr()
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, Param};
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Tensor, TensorData};
    use libellus_backend::testing::{assert_close, device, read};

    #[cfg(feature = "flex")]
    use super::Precision;
    use super::PrepareInference;
    use crate::conv2d;
    use crate::testing::scattered;

    #[derive(Module, Debug)]
    struct Layer {
        weight: Param<Tensor<4>>,
    }

    impl Layer {
        fn new() -> Self {
            Self { weight: Param::from_tensor(scattered([19, 17, 3, 3], &device())) }
        }

        fn forward(&self) -> TensorData {
            let options = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
            read(conv2d(scattered([2, 17, 9, 8], &device()), self.weight.val(), None, options))
        }
    }

    #[test]
    fn outputs_stay() {
        let layer = Layer::new();
        let expected = layer.forward();
        let prepared = layer.prepare_inference();
        for _ in 0..2 {
            assert_close(&prepared.forward(), &expected, 0.0);
        }
        let again = prepared.clone().prepare_inference();
        drop(prepared);
        assert_close(&again.forward(), &expected, 0.0);
    }

    /// A step of training in place, or another tensor in the same place, is seen.
    #[test]
    fn changed_weights_are_seen() {
        let prepared = Layer::new().prepare_inference();
        let before = prepared.forward();
        let Layer { weight } = prepared.clone();
        drop(prepared);
        let changed = Layer { weight: weight.map(|weight| weight.mul_scalar(-2.0)) };
        let doubled: Vec<f32> = before.iter::<f32>().map(|number| -2.0 * number).collect();
        assert_close(&changed.forward(), &TensorData::new(doubled, before.shape()), 1e-6);

        let model = Layer::new().prepare_inference();
        let expected = model.forward();
        // In the model's own memory, as far as burn allows it.
        let mut weight = model.weight.val();
        weight = weight.mul_scalar(3.0);
        let tripled = Layer { weight: Param::from_tensor(weight) };
        assert_close(&model.forward(), &expected, 0.0);
        let expected: Vec<f32> = expected.iter::<f32>().map(|number| 3.0 * number).collect();
        assert_close(&tripled.forward(), &TensorData::new(expected, before.shape()), 1e-6);
    }

    /// A layer whose weight could be registered here, and that weight.
    #[cfg(feature = "flex")]
    fn on_flex() -> Option<(Layer, crate::memory::FlexTensor)> {
        let layer = Layer::new();
        let weight = layer.weight.val();
        crate::device::is_plain(&weight).then(|| (layer, crate::device::to_flex(weight)))
    }

    #[cfg(feature = "flex")]
    #[test]
    fn generation_keeps_floats_once() {
        let Some((layer, weight)) = on_flex() else { return };
        let expected = layer.forward();
        let prepared = layer.clone().prepare_generation_in(Precision::F32);
        assert!(super::forms(&weight).is_none());
        assert_close(&prepared.forward(), &expected, 0.0);
        let _prepared = layer.prepare_generation_in(Precision::Q8);
        assert!(super::forms(&weight).is_some());
    }

    #[cfg(feature = "flex")]
    #[test]
    fn forms_are_given_back() {
        let Some((layer, weight)) = on_flex() else { return };
        let prepared = layer.prepare_inference();
        let first = super::forms(&weight).expect("registered");
        assert!(!first.packed_rows.is_made());
        prepared.forward();
        assert!(first.packed_rows.is_made());
        drop(prepared);
        assert!(super::forms(&weight).is_none());
    }
}
