//! What the tests of this crate have in common.

use std::fmt::Debug;

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use libellus_backend::testing::read;
use safetensors::{Dtype, SafeTensors};

/// Numbers without a pattern, from -6 to 6, none at a corner of a rectifier. The first is 0.133: alone at -5.867, burn's GELU
/// would have no digits left.
pub(crate) fn scattered<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let len = shape.iter().product::<usize>();
    let values = (0..len).map(|index| ((index * 7919 + 613) % 1201) as f32 / 100.0 - 5.997).collect();
    Tensor::from_data(TensorData::new::<f32, _>(values, shape), device)
}

/// Fractions from -1 to 1 without a pattern, which f32 holds exactly; golden scripts make the same.
pub(crate) fn fractions<const D: usize>(shape: [usize; D], seed: usize, device: &Device) -> Tensor<D> {
    let len = shape.iter().product::<usize>();
    let values =
        (0..len).map(|index| (((index * 7919 + 613 * seed) % 1021) as f32 - 510.0) / 512.0).collect();
    Tensor::from_data(TensorData::new::<f32, _>(values, shape), device)
}

/// The bytes of `tests/golden/<name>.safetensors`.
pub(crate) fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a file of the repository")
}

/// A tensor of a golden file, in 64-bit floats.
pub(crate) fn numbers(file: &SafeTensors<'_>, name: &str) -> TensorData {
    let view = file.tensor(name).expect("the script wrote it");
    let bytes = view.data();
    let values: Vec<f64> = match view.dtype() {
        Dtype::F64 => bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
        _ => bytes.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect(),
    };
    TensorData::new(values, view.shape().to_vec())
}

/// The same in 32-bit floats.
pub(crate) fn narrow(data: &TensorData) -> TensorData {
    TensorData::new(data.iter::<f32>().collect::<Vec<_>>(), data.shape())
}

/// Asserts that one thread and three compute the same bits.
pub(crate) fn assert_same_on_any_threads<T: PartialEq + Debug + Send>(compute: impl Fn() -> T + Sync) {
    let [one, three] = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(&compute)
    });
    assert_eq!(one, three);
}

/// An operation's output, and the gradients of input, weight and, where there is one, bias. The loss is the sum of the output times
/// `factors`, which are made for its shape.
pub(crate) fn weighted_results<const D: usize, const W: usize, const O: usize>(
    input: Tensor<D>,
    weight: Tensor<W>,
    bias: Option<Tensor<1>>,
    factors: impl FnOnce([usize; O], &Device) -> Tensor<O>,
    operation: impl FnOnce(Tensor<D>, Tensor<W>, Option<Tensor<1>>) -> Tensor<O>,
) -> Vec<(&'static str, TensorData)> {
    let (input, weight) = (input.detach().require_grad(), weight.detach().require_grad());
    let bias = bias.map(|bias| bias.detach().require_grad());
    let output = operation(input.clone(), weight.clone(), bias.clone());
    let gradients = (output.clone() * factors(output.dims(), &output.device())).sum().backward();
    let gradient = "every one takes part";
    let mut results = vec![
        ("output", read(output.inner())),
        ("input", read(input.grad(&gradients).expect(gradient))),
        ("weight", read(weight.grad(&gradients).expect(gradient))),
    ];
    results.extend(bias.map(|bias| ("bias", read(bias.grad(&gradients).expect(gradient)))));
    results
}

/// An operation in 64-bit floats on tensors in 32: long sums of burn's in 32 are off by more than ours on processors without fused
/// instructions.
pub(crate) fn in_f64<const D: usize, const W: usize, const O: usize>(
    input: Tensor<D>,
    weight: Tensor<W>,
    bias: Option<Tensor<1>>,
    operation: impl FnOnce(Tensor<D>, Tensor<W>, Option<Tensor<1>>) -> Tensor<O>,
) -> Tensor<O> {
    let bias = bias.map(|bias| bias.cast(FloatDType::F64));
    operation(input.cast(FloatDType::F64), weight.cast(FloatDType::F64), bias).cast(FloatDType::F32)
}

/// What an operation gives: its value, and its gradients for outputs of different weight.
#[derive(Debug, PartialEq)]
pub(crate) struct Results {
    pub(crate) value: TensorData,
    pub(crate) gradient: TensorData,
    /// Of further inputs.
    pub(crate) others: Vec<TensorData>,
}

/// Runs `operation` forward and backward on copies of the inputs, where the loss is the sum of the output times `weight`.
pub(crate) fn results<const D: usize, const N: usize>(
    input: &Tensor<D>,
    others: [&Tensor<1>; N],
    weight: &Tensor<D>,
    operation: impl FnOnce(Tensor<D>, [Tensor<1>; N]) -> Tensor<D>,
) -> Results {
    let input = input.clone().detach().require_grad();
    let others = others.map(|other| other.clone().detach().require_grad());
    let output = operation(input.clone(), others.clone());
    let gradients = (output.clone() * weight.clone()).sum().backward();
    Results {
        value: read(output.inner()),
        gradient: read(input.grad(&gradients).expect("the input takes part")),
        others: others
            .iter()
            .map(|other| read(other.grad(&gradients).expect("every input takes part")))
            .collect(),
    }
}

/// Asserts that every value of `actual` is within `tolerance` of its counterpart: for gradients that cancel, whose error
/// is that of their terms.
#[track_caller]
pub(crate) fn assert_within(actual: &TensorData, expected: &TensorData, tolerance: f64) {
    assert_eq!(actual.shape(), expected.shape());
    for (index, (actual, expected)) in actual.iter::<f64>().zip(expected.iter::<f64>()).enumerate() {
        assert!((actual - expected).abs() <= tolerance, "element {index} is {actual} instead of {expected}");
    }
}
