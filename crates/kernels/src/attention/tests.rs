use burn::tensor::{Bool, Device, FloatDType, Int, Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::{Causal, attention, packed_attention};
use crate::testing::{assert_same_on_any_threads, assert_within, golden, narrow, numbers, scattered};

/// Output and gradients of query, key and value.
#[derive(Debug, PartialEq)]
struct Results([TensorData; 4]);

/// Sizes of a case: batch, heads, heads of keys, queries, keys, widths of keys and of values.
type Sizes = [usize; 7];

type Operation = fn(Tensor<4>, Tensor<4>, Tensor<4>, Option<Tensor<4, Bool>>, f64, Causal) -> Tensor<4>;

fn run(
    operation: Operation,
    parts: &[Tensor<4>; 3],
    hidden: Option<&Tensor<4, Bool>>,
    causal: Causal,
) -> Results {
    let [query, key, value] = parts.clone().map(|part| part.detach().require_grad());
    let parts = [query.clone(), key.clone(), value.clone()];
    let output = operation(query, key, value, hidden.cloned(), 0.4, causal);
    let weight = scattered(output.dims(), &output.device()).cos();
    let gradients = (output.clone() * weight).sum().backward();
    let [query, key, value] = parts.map(|part| read(part.grad(&gradients).expect("every part takes part")));
    Results([read(output.inner()), query, key, value])
}

/// The definition, with all scores at once; in 64-bit floats where there is a kernel, whose error is then all that differs.
fn definition(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    hidden: Option<Tensor<4, Bool>>,
    scale: f64,
    causal: Causal,
) -> Tensor<4> {
    let [batch, heads, queries, _] = query.dims();
    let [_, groups, keys, _] = key.dims();
    let wide = if super::is_accelerated(&query) { FloatDType::F64 } else { FloatDType::F32 };
    let [query, key, value] = [query, key, value].map(|part| part.cast(wide));
    let [key, value] = [key, value].map(|part| super::repeat_heads(part, heads / groups));
    let device = query.device();
    let mut scores = query.matmul(key.transpose()) * scale;
    if let Some(hidden) = hidden {
        scores = scores.mask_fill(hidden.expand([batch, heads, queries, keys]), f32::NEG_INFINITY);
    }
    if causal == Causal::Yes {
        let last = Tensor::<1, Int>::arange(keys as i64 - queries as i64..keys as i64, &device);
        let key = Tensor::<1, Int>::arange(0..keys as i64, &device).reshape([1, 1, 1, keys]);
        let future = last.reshape([1, 1, queries, 1]).lower(key);
        scores = scores.mask_fill(future, f32::NEG_INFINITY);
    }
    let largest = scores.clone().max_dim(3).clamp_min(f32::MIN).detach();
    let weights = (scores - largest).exp();
    let total = weights.clone().sum_dim(3).clamp_min(f32::MIN_POSITIVE);
    (weights / total).matmul(value).cast(FloatDType::F32)
}

fn parts(
    [batch, heads, groups, queries, keys, width, value_width]: Sizes,
    device: &Device,
) -> [Tensor<4>; 3] {
    [
        scattered([batch, heads, queries, width], device) / 3.0,
        (scattered([batch, groups, keys, width], device) * 1.3).sin(),
        (scattered([batch, groups, keys, value_width], device) * 1.7).cos(),
    ]
}

/// Hides a third of the keys, and all from some queries.
fn mask(shape: [usize; 4], device: &Device) -> Tensor<4, Bool> {
    let keys = shape[3];
    let len = shape.iter().product::<usize>();
    let hidden: Vec<bool> = (0..len).map(|i| (i * 7919) % 3 == 0 || (i / keys) % 5 == 2).collect();
    Tensor::from_data(TensorData::new(hidden, shape), device)
}

/// Values and gradients are averages of numbers up to 1 or sums of such, in another order: 5e-6 for every 30 queries, of all
/// heads that share a key, over which gradients are summed.
#[track_caller]
fn agrees(sizes: Sizes, hidden: Option<[usize; 4]>, causal: Causal) {
    let device = device().autodiff();
    let parts = parts(sizes, &device);
    let hidden = hidden.map(|shape| mask(shape, &device));
    let actual = run(attention, &parts, hidden.as_ref(), causal);
    let expected = run(definition, &parts, hidden.as_ref(), causal);
    for (actual, expected) in actual.0.iter().zip(&expected.0) {
        let summed = sizes[3] * sizes[1] / sizes[2];
        assert_within(actual, expected, 5e-6 * (summed as f64 / 30.0).max(1.0));
    }
}

/// 2e-6 of the largest: products of 7 and 13 terms and an exponential function.
#[test]
fn values_and_gradients_of_torch_in_f64() {
    let bytes = golden("attention");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let device = device().autodiff();
    let load = |name| Tensor::<4>::from_data(narrow(&numbers(&file, name)), &device);
    let hidden = load("hidden").greater_elem(0.5);
    let modes =
        [("plain", None, Causal::No), ("causal", None, Causal::Yes), ("masked", Some(hidden), Causal::Yes)];
    for (mode, hidden, causal) in modes {
        let parts = ["query", "key", "value"].map(|name| load(name).require_grad());
        let [query, key, value] = parts.clone();
        let output = attention(query, key, value, hidden, 0.4, causal);
        let gradients = (output.clone() * load("weight")).sum().backward();
        assert_close(&read(output.inner()), &numbers(&file, &format!("{mode}.output")), 2e-6);
        for (part, name) in parts.iter().zip(["query", "key", "value"]) {
            let gradient = read(part.grad(&gradients).expect("every part takes part"));
            assert_close(&gradient, &numbers(&file, &format!("{mode}.{name}")), 2e-6);
        }
    }
}

const PLAIN: Sizes = [2, 6, 6, 5, 11, 7, 3];
const SHARED: Sizes = [2, 6, 2, 13, 17, 7, 5];

#[test]
fn is_what_the_definition_says() {
    for causal in [Causal::No, Causal::Yes] {
        agrees(PLAIN, None, causal);
        agrees(SHARED, None, causal);
        agrees([1, 3, 1, 19, 19, 8, 8], None, causal);
    }
}

/// More queries than a block holds, and so many keys that it holds few.
#[test]
fn blocks_of_queries() {
    for causal in [Causal::No, Causal::Yes] {
        agrees([1, 2, 2, 131, 131, 17, 17], None, causal);
        agrees([1, 2, 1, 64, 65, 16, 16], None, causal);
        agrees([1, 2, 1, 65, 3, 16, 16], None, causal);
        // Whole blocks come before all keys.
        agrees([1, 2, 1, 131, 1, 3, 3], None, causal);
        agrees([1, 1, 1, 131, 35, 5, 40], None, causal);
        agrees([1, 1, 1, 31, 8_009, 37, 2], None, causal);
    }
}

/// As many as are multiplied with each key, and one more.
#[test]
fn few_queries() {
    for causal in [Causal::No, Causal::Yes] {
        for queries in 1..=5 {
            agrees([2, 6, 3, queries, 67, 33, 37], None, causal);
            agrees([2, 6, 3, queries, 67, 33, 131], None, causal);
            agrees([2, 6, 3, queries, 67, 33, 37], Some([2, 1, queries, 67]), causal);
        }
        agrees([1, 2, 2, 3, 2, 1, 1], None, causal);
    }
}

/// As the keys and values of a cache with room for more.
#[test]
fn few_queries_of_parts_of_tensors() {
    let device = device();
    let [query, key, value] = parts([2, 4, 2, 1, 41, 16, 16], &device);
    let part = |tensor: &Tensor<4>| tensor.clone().slice([0..2, 0..2, 3..30, 0..16]);
    let whole = |tensor: &Tensor<4>| Tensor::<4>::from_data(read(part(tensor)), &device);
    let expected = attention(query.clone(), whole(&key), whole(&value), None, 0.4, Causal::Yes);
    let actual = attention(query.clone(), part(&key), part(&value), None, 0.4, Causal::Yes);
    assert_close(&read(actual), &read(expected), 0.0);
    // One key and one value many times over.
    let repeated = |tensor: &Tensor<4>| tensor.clone().narrow(2, 0, 1).expand([2, 2, 41, 16]);
    let whole = |tensor: &Tensor<4>| Tensor::<4>::from_data(read(repeated(tensor)), &device);
    let expected = attention(query.clone(), whole(&key), whole(&value), None, 0.4, Causal::No);
    let actual = attention(query.clone(), repeated(&key), repeated(&value), None, 0.4, Causal::No);
    assert_close(&read(actual), &read(expected), 0.0);
    // Whose numbers don't lie side by side.
    let across = |tensor: &Tensor<4>| {
        Tensor::<4>::from_data(read(tensor.clone().swap_dims(2, 3)), &device).swap_dims(2, 3)
    };
    let expected = attention(query.clone(), key.clone(), value.clone(), None, 0.4, Causal::No);
    let actual = attention(query, across(&key), across(&value), None, 0.4, Causal::No);
    assert_close(&read(actual), &read(expected), 2e-6);
}

/// A mask of every shape that spreads.
#[test]
fn what_is_hidden_has_no_weight() {
    for causal in [Causal::No, Causal::Yes] {
        for shape in
            [[2, 6, 13, 17], [2, 1, 1, 17], [1, 6, 13, 17], [1, 1, 13, 17], [1, 1, 13, 1], [2, 1, 1, 1]]
        {
            agrees(SHARED, Some(shape), causal);
        }
        agrees([1, 2, 2, 131, 131, 17, 17], Some([1, 1, 131, 131]), causal);
    }
}

/// Nothing hidden reaches the result, not even what isn't a number.
#[test]
fn who_sees_nothing_yields_zeros() {
    let device = device();
    let [query, key, value] = parts([1, 2, 2, 7, 3, 5, 5], &device);
    if !super::is_accelerated(&query) {
        return;
    }
    // Four queries come before all keys.
    let output = read(attention(query, key, value, None, 0.4, Causal::Yes));
    for (index, value) in output.iter::<f32>().enumerate() {
        assert_eq!(value == 0.0, index / 5 % 7 < 4, "element {index}: {value}");
    }
}

#[test]
fn nan_reaches_only_who_sees_it() {
    let device = device();
    let [query, key, value] = parts([1, 1, 1, 5, 5, 3, 3], &device);
    if !super::is_accelerated(&query) {
        return;
    }
    let mut keys: Vec<f32> = read(key).iter().collect();
    keys[3 * 3] = f32::NAN;
    let key = Tensor::from_data(TensorData::new(keys, [1, 1, 5, 3]), &device);
    let output = read(attention(query, key, value, None, 0.4, Causal::Yes));
    for (index, value) in output.iter::<f32>().enumerate() {
        assert_eq!(value.is_nan(), index / 3 >= 3, "element {index}: {value}");
    }
}

/// Heads as a fused projection leaves them: views of one tensor.
#[test]
fn views_are_read_as_they_look() {
    let device = device();
    let qkv = scattered([2, 13, 3 * 6 * 4], &device) / 3.0;
    let parts =
        [0, 1, 2].map(|part| qkv.clone().narrow(2, part * 24, 24).reshape([2, 13, 6, 4]).swap_dims(1, 2));
    let copies = parts.clone().map(|part| Tensor::<4>::from_data(read(part), &device));
    let [query, key, value] = parts;
    let actual = attention(query, key, value, None, 0.4, Causal::Yes);
    let [query, key, value] = copies;
    let expected = attention(query, key, value, None, 0.4, Causal::Yes);
    assert_close(&read(actual), &read(expected), 1e-6);
}

/// Side by side, as a fused projection leaves them, with the gradient of all three as one tensor.
fn packed_agrees([batch, tokens, heads, width]: [usize; 4], masked: bool, causal: Causal) {
    let device = device().autodiff();
    let hidden = masked.then(|| mask([batch, 1, tokens, tokens], &device));
    let packed = (scattered::<3>([batch, tokens, 3 * heads * width], &device) * 1.3).sin();
    let run = |attend: &dyn Fn(Tensor<3>) -> Tensor<3>| {
        let packed = packed.clone().require_grad();
        let output = attend(packed.clone());
        let weight = scattered(output.dims(), &device).cos();
        let gradients = (output.clone() * weight).sum().backward();
        [read(output.inner()), read(packed.grad(&gradients).expect("it takes part"))]
    };
    let actual = run(&|packed| packed_attention(packed, heads, hidden.clone(), 0.4, causal));
    let expected = run(&|packed| {
        let [query, key, value] = [0, 1, 2].map(|part| {
            let columns = packed.clone().narrow(2, part * heads * width, heads * width);
            columns.reshape([batch, tokens, heads, width]).swap_dims(1, 2)
        });
        let output = definition(query, key, value, hidden.clone(), 0.4, causal);
        output.swap_dims(1, 2).reshape([batch, tokens, heads * width])
    });
    for (actual, expected) in actual.iter().zip(&expected) {
        assert_within(actual, expected, 5e-6 * (tokens as f64 / 30.0).max(1.0));
    }
}

#[test]
fn packed_heads_are_those_apart() {
    for causal in [Causal::No, Causal::Yes] {
        for masked in [false, true] {
            packed_agrees([2, 13, 3, 7], masked, causal);
            packed_agrees([1, 3, 1, 1], masked, causal);
            packed_agrees([1, 131, 2, 33], masked, causal);
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_same_on_any_threads(|| {
        let parts = parts([2, 4, 2, 131, 131, 17, 19], &device().autodiff());
        run(attention, &parts, None, Causal::Yes)
    });
}

#[test]
fn nothing_asks_nothing() {
    let device = device();
    for (queries, keys) in [(0, 5), (5, 0)] {
        let [query, key, value] = [
            Tensor::zeros([2, 3, queries, 4], &device),
            Tensor::zeros([2, 3, keys, 4], &device),
            Tensor::zeros([2, 3, keys, 6], &device),
        ];
        let output = attention(query, key, value, None, 0.4, Causal::No);
        assert_eq!(output.dims(), [2, 3, queries, 6]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(
        (batch, groups, sharing) in (1usize..3, 1usize..3, 1usize..4),
        (queries, keys) in (1usize..70, 1usize..70),
        (width, value_width) in (1usize..20, 1usize..20),
        masked: bool,
        causal: bool,
    ) {
        let heads = groups * sharing;
        let hidden = masked.then_some([batch, 1, queries, keys]);
        let causal = if causal { Causal::Yes } else { Causal::No };
        agrees([batch, heads, groups, queries, keys, width, value_width], hidden, causal);
    }
}
