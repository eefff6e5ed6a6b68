//! What happens in a forward pass, for those who want to look on: intermediate outputs, and the shape and cost of
//! every layer.
//!
//! An architecture marks its intermediate outputs with [`tap`]; layers with parameters report themselves. Nothing is
//! kept unless the pass runs inside [`record`] or [`shapes`], on the same thread.
//!
//! ```
//! use burn::tensor::Tensor;
//! use libellus_layers::LinearConfig;
//! use libellus_layers::trace::{Event, shapes, tap};
//!
//! let device = libellus_backend::testing::device();
//! let layer = LinearConfig::new(3, 5).init(&device);
//! let (_, events) = shapes(|| tap("hidden", layer.forward(Tensor::<2>::zeros([7, 3], &device))))?;
//! assert!(matches!(&events[0], Event::Layer(layer) if layer.macs == 7 * 3 * 5));
//! assert!(matches!(&events[1], Event::Tap { name, shape, .. } if name == "hidden" && shape == &[7, 5]));
//! # Ok::<(), libellus_layers::trace::TooLarge>(())
//! ```

use std::cell::RefCell;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use burn::module::{Param, ParamId};
use burn::tensor::{Tensor, TensorData};

thread_local! {
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

/// What a recording is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recording {
    Values,
    Shapes,
}

/// Something that happened in a recorded forward pass.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A layer was applied.
    Layer(LayerEvent),
    /// Activations were multiplied with each other, as in attention; no layer's parameters took part.
    Product {
        /// Multiply-accumulate operations.
        macs: u64,
    },
    /// An architecture named an intermediate output.
    Tap {
        /// Path of the module that it is the output of.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Its values, from [`record`].
        values: Option<TensorData>,
    },
}

/// The application of one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerEvent {
    /// A parameter of the layer, by which its place in the module is found.
    pub parameter: ParamId,
    /// The layer's type.
    pub kind: &'static str,
    /// Shape of its output.
    pub shape: Vec<usize>,
    /// Multiply-accumulate operations. As is usual, only those of matrix products and convolutions count.
    pub macs: u64,
}

struct Recorder {
    recording: Recording,
    prefix: Vec<String>,
    events: Vec<Event>,
}

/// Runs `forward` and returns its result with what happened in it, in order. Layers compute as always, and the values at
/// taps are kept.
///
/// A recording inside another one hides its events from the outer one.
pub fn record<R>(forward: impl FnOnce() -> R) -> (R, Vec<Event>) {
    recorded(Recording::Values, forward)
}

/// Most elements that a layer may put out in [`shapes`]: 256 MB of 32-bit floats, some ten times the largest of any preset.
pub const MAX_OUTPUT: usize = 1 << 26;

/// Whether a tensor of this shape is small enough for [`shapes`].
pub fn can_follow(shape: &[usize]) -> bool {
    let elements = shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
    elements.is_some_and(|elements| elements <= MAX_OUTPUT)
}

/// A layer's output is too large to follow the shapes of a model further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {kind} would put out {shape:?}, which is more than {MAX_OUTPUT} numbers")]
pub struct TooLarge {
    /// The layer's type.
    pub kind: &'static str,
    /// The shape of its output.
    pub shape: Vec<usize>,
}

/// As [`record`], but layers put out zeros of the right shape. Parameters aren't drawn and next to nothing is computed, so
/// that the shapes and costs of a model are known at once.
///
/// # Errors
/// [`TooLarge`] at the first output of more than [`MAX_OUTPUT`] elements.
pub fn shapes<R>(forward: impl FnOnce() -> R) -> Result<(R, Vec<Event>), TooLarge> {
    // A forward pass has no way to return early but to unwind. What it was called on is only read.
    let forward = AssertUnwindSafe(|| recorded(Recording::Shapes, forward));
    catch_unwind(forward).map_err(|payload| match payload.downcast::<TooLarge>() {
        Ok(too_large) => *too_large,
        Err(panic) => resume_unwind(panic),
    })
}

fn recorded<R>(recording: Recording, forward: impl FnOnce() -> R) -> (R, Vec<Event>) {
    /// Puts the outer recorder back, after a panic too.
    struct Restore(Option<Recorder>);
    impl Drop for Restore {
        fn drop(&mut self) {
            RECORDER.set(self.0.take());
        }
    }

    let recorder = Recorder { recording, prefix: Vec::new(), events: Vec::new() };
    let _restore = Restore(RECORDER.replace(Some(recorder)));
    let result = forward();
    let events = RECORDER.take().map(|recorder| recorder.events).unwrap_or_default();
    (result, events)
}

/// Marks `output` as what the module at path `name` puts out, and returns it.
pub fn tap<const D: usize>(name: impl Display, output: Tensor<D>) -> Tensor<D> {
    let recording = RECORDER.with_borrow(|recorder| recorder.as_ref().map(|recorder| recorder.recording));
    if let Some(recording) = recording {
        // Read at once: on GPU backends a later operation in place could change what is read.
        let values = (recording == Recording::Values).then(|| {
            let data = output.clone().into_data();
            TensorData::from_bytes_vec(data.as_bytes().to_vec(), data.shape(), data.dtype())
        });
        let shape = output.dims().to_vec();
        push(|prefix| {
            let mut path = prefix.join(".");
            if !path.is_empty() {
                path.push('.');
            }
            Event::Tap { name: format!("{path}{name}"), shape, values }
        });
    }
    output
}

/// Runs `part` of a forward pass, in which the names of taps are relative to the module at path `name`.
pub fn within<R>(name: impl Display, part: impl FnOnce() -> R) -> R {
    let recording = with(|recorder| recorder.prefix.push(name.to_string())).is_some();
    let result = part();
    if recording {
        with(|recorder| recorder.prefix.pop());
    }
    result
}

/// Whether anybody wants to know what happens. Layers that are computed together otherwise follow one another then.
pub(crate) fn is_recording() -> bool {
    RECORDER.with_borrow(Option::is_some)
}

/// Whether layers should put out zeros instead of computing: a layer with parameters that isn't built of those here
/// asks this, and calls [`layer`] either way.
pub fn only_shapes() -> bool {
    RECORDER.with_borrow(|recorder| {
        recorder.as_ref().is_some_and(|recorder| recorder.recording == Recording::Shapes)
    })
}

/// Reports the application of a layer and returns its output: what `compute` returns, or zeros of shape `output` if
/// only shapes are asked for. `parameter` is one of the layer's.
pub fn layer<const P: usize, const I: usize, const D: usize>(
    kind: &'static str,
    parameter: &Param<Tensor<P>>,
    input: Tensor<I>,
    output: [usize; D],
    macs: u64,
    compute: impl FnOnce(Tensor<I>) -> Tensor<D>,
) -> Tensor<D> {
    let parameter = parameter.id;
    push(|_| Event::Layer(LayerEvent { parameter, kind, shape: output.to_vec(), macs }));
    if !only_shapes() {
        return compute(input);
    }
    if !can_follow(&output) {
        resume_unwind(Box::new(TooLarge { kind, shape: output.to_vec() }));
    }
    Tensor::zeros(output, &input.device())
}

/// Reports the product of two activations.
pub fn product(macs: u64) {
    push(|_| Event::Product { macs });
}

fn push(event: impl FnOnce(&[String]) -> Event) {
    with(|recorder| {
        let event = event(&recorder.prefix);
        recorder.events.push(event);
    });
}

fn with<R>(change: impl FnOnce(&mut Recorder) -> R) -> Option<R> {
    RECORDER.with_borrow_mut(|recorder| recorder.as_mut().map(change))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinearConfig;
    use libellus_backend::testing::{device, read};

    fn names(events: &[Event]) -> Vec<&str> {
        events
            .iter()
            .filter_map(|event| match event {
                Event::Tap { name, .. } => Some(name.as_str()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn names_are_relative_to_where_they_stand() {
        let x = Tensor::<1>::zeros([3], &device());
        let (_, events) = record(|| {
            tap("stem", x.clone());
            within("encoder", || within(format_args!("layers.{}", 2), || tap("norm", x.clone())));
            tap("head", x.clone())
        });
        assert_eq!(names(&events), ["stem", "encoder.layers.2.norm", "head"]);
    }

    #[test]
    fn values_are_what_was_put_out() {
        let layer = LinearConfig::new(3, 5).init(&device());
        let x = Tensor::<2>::ones([2, 3], &device());
        let (output, events) = record(|| tap("out", layer.forward(x.clone())));
        let Event::Tap { values: Some(values), .. } = &events[1] else { panic!("{events:?}") };
        assert_eq!(values, &read(output));
        assert_eq!(values, &read(layer.forward(x)));
    }

    #[test]
    fn shapes_draw_no_parameter() {
        let layer = LinearConfig::new(3, 5).init(&device());
        let (output, _) = shapes(|| layer.forward(Tensor::<3>::ones([2, 7, 3], &device()))).expect("small");
        assert_eq!(output.dims(), [2, 7, 5]);
        assert!(!layer.weight.is_initialized());
    }

    #[test]
    fn nothing_is_left_behind() {
        let caught = catch_unwind(|| shapes(|| panic!("in the forward pass")));
        assert!(caught.is_err());
        assert!(!only_shapes());
        let (_, outer) = shapes(|| {
            let (_, inner) = record(|| tap("inner", Tensor::<1>::zeros([1], &device())));
            assert_eq!(names(&inner), ["inner"]);
            assert!(only_shapes());
        })
        .expect("small");
        assert!(outer.is_empty());
    }

    #[test]
    fn an_output_that_no_memory_holds_is_an_error() {
        let layer = LinearConfig::new(3, 1 << 40).init(&device());
        let error =
            shapes(|| layer.forward(Tensor::<2>::ones([1 << 20, 3], &device()))).expect_err("too large");
        assert_eq!(error, TooLarge { kind: "Linear", shape: vec![1 << 20, 1 << 40] });
        assert!(!only_shapes());
    }
}
