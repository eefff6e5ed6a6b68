use super::*;
use burn::tensor::{Device, TensorData};
use libellus_backend::testing::{assert_close, device, read};

/// Numbers that look random, the same everywhere.
fn numbers<const D: usize>(shape: [usize; D], seed: f32, device: &Device) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|i| ((i as f32 + seed) * 12.9898).sin() * 1.7).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The definition, a query at a time in f64.
fn definition(
    [query, key, value]: [&TensorData; 3],
    heads_per_group: usize,
    hidden: impl Fn(usize, usize, usize) -> bool,
) -> TensorData {
    let [batch, heads, queries, width] = query.shape().dims();
    let [_, groups, keys, _] = key.shape().dims();
    let [query, key, value] = [query, key, value].map(|data| data.iter::<f64>().collect::<Vec<_>>());
    let mut output = Vec::new();
    for (b, h, t) in itertools(batch, heads, queries) {
        let q = &query[((b * heads + h) * queries + t) * width..][..width];
        let row = |s: usize| ((b * groups + h / heads_per_group) * keys + s) * width;
        let weights: Vec<f64> = (0..keys)
            .map(|s| match hidden(b, t, s) {
                true => 0.0,
                false => {
                    let dot: f64 = q.iter().zip(&key[row(s)..]).map(|(a, b)| a * b).sum();
                    (dot / (width as f64).sqrt()).exp()
                }
            })
            .collect();
        let total: f64 = weights.iter().sum();
        for d in 0..width {
            let sum: f64 = weights.iter().enumerate().map(|(s, weight)| weight * value[row(s) + d]).sum();
            output.push(if total == 0.0 { 0.0 } else { sum / total });
        }
    }
    TensorData::new(output, [batch, heads, queries, width])
}

fn itertools(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}

/// With and without autodiff: the two take different ways through burn.
fn both() -> [Device; 2] {
    [device(), device().autodiff()]
}

#[test]
fn is_what_the_definition_says() {
    for device in both() {
        let query = numbers([2, 6, 5, 7], 0.0, &device);
        let key = numbers([2, 3, 11, 7], 1.0, &device);
        let value = numbers([2, 3, 11, 7], 2.0, &device);
        let parts = [&query, &key, &value].map(|x| read(x.clone()));
        let expect = |hidden: &dyn Fn(usize, usize, usize) -> bool| {
            definition([&parts[0], &parts[1], &parts[2]], 2, hidden)
        };
        let run =
            |options: AttentionOptions| read(attention(query.clone(), key.clone(), value.clone(), &options));
        // A dozen products and exponentials of numbers below 10: a few units of f32's rounding.
        assert_close(&run(AttentionOptions::default()), &expect(&|_, _, _| false), 1e-6);
        let causal = AttentionOptions { causal: Causal::Yes, ..Default::default() };
        assert_close(&run(causal.clone()), &expect(&|_, t, s| s > t + 6), 1e-6);
        // The second sequence has padding in front, which leaves its first queries nothing to see.
        let padding: Vec<bool> = (0..22).map(|i| (11..19).contains(&i)).collect();
        let mask = Tensor::from_data(TensorData::new(padding, [2, 1, 1, 11]), &device);
        let padded = AttentionOptions { mask: Some(mask), ..causal };
        let expected = expect(&|b, t, s| s > t + 6 || (b == 1 && s < 8));
        assert_close(&run(padded), &expected, 1e-6);
        assert!(expected.iter::<f64>().any(|value| value == 0.0));
    }
}

/// With heads of keys of their own and with shared ones, the last sequence all padding.
#[test]
fn a_single_query_is_what_the_definition_says() {
    for (device, groups) in
        both().into_iter().flat_map(|device| [1, 2, 6].map(|groups| (device.clone(), groups)))
    {
        let query = numbers([2, 6, 1, 7], 0.0, &device);
        let key = numbers([2, groups, 11, 7], 1.0, &device);
        let value = numbers([2, groups, 11, 7], 2.0, &device);
        let parts = [&query, &key, &value].map(|x| read(x.clone()));
        for padding in [0..0, 3..8, 0..11] {
            let hidden: Vec<bool> = (0..22).map(|i| i >= 11 && padding.contains(&(i - 11))).collect();
            let mask = (!padding.is_empty())
                .then(|| Tensor::from_data(TensorData::new(hidden, [2, 1, 1, 11]), &device));
            let options = AttentionOptions { causal: Causal::Yes, mask, ..Default::default() };
            let expected = definition([&parts[0], &parts[1], &parts[2]], 6 / groups, |b, _, s| {
                b == 1 && padding.contains(&s)
            });
            let actual = attention(query.clone(), key.clone(), value.clone(), &options);
            assert_close(&read(actual), &expected, 1e-6);
        }
    }
}

#[test]
fn one_key_is_all_there_is_to_see() {
    for device in both() {
        let value = numbers([1, 2, 1, 3], 2.0, &device);
        let output = attention(
            numbers([1, 2, 1, 3], 0.0, &device),
            numbers([1, 2, 1, 3], 1.0, &device),
            value.clone(),
            &AttentionOptions { causal: Causal::Yes, ..Default::default() },
        );
        assert_close(&read(output), &read(value), 1e-7);
    }
}

#[test]
fn dropped_weights_are_made_up_for() {
    let device = device().autodiff();
    device.seed(3);
    let [query, key] = [0.0, 1.0].map(|seed| numbers([1, 1, 31, 5], seed, &device));
    // Values of one make each output the sum of its weights.
    let value = Tensor::ones([1, 1, 31, 5], &device);
    let options = AttentionOptions { dropout: 0.3, causal: Causal::Yes, ..Default::default() };
    let sums = (0..300).map(|_| attention(query.clone(), key.clone(), value.clone(), &options));
    let mean = sums.reduce(|a, b| a + b).expect("some") / 300.0;
    let values = read(mean);
    // The first query's one weight is 0 or 1/0.7: over 300 draws the mean deviates by 0.038, five of which is 0.19.
    assert!(values.iter::<f32>().all(|value| (value - 1.0).abs() < 0.19), "{values}");
    let plain = libellus_backend::testing::device();
    let [query, key, value] = [query, key, value].map(|x| x.without_autodiff().to_device(&plain));
    let output = read(attention(query, key, value, &options));
    assert!(output.iter::<f32>().all(|value| (value - 1.0).abs() < 1e-6));
}

#[test]
fn a_packed_projection_is_split() {
    let packed = numbers([2, 5, 18], 0.0, &device());
    for (part, heads) in split_packed(packed.clone(), 3).into_iter().enumerate() {
        assert_eq!(read(heads), read(split_heads(packed.clone().narrow(2, 6 * part, 6), 3)));
    }
}

#[test]
fn heads_are_split_and_merged() {
    let device = device();
    let sequence = numbers([2, 3, 10], 0.0, &device);
    let heads = split_heads(sequence.clone(), 5);
    assert_eq!(heads.dims(), [2, 5, 3, 2]);
    let [second_head, part] = [
        heads.clone().slice([1..2, 1..2, 2..3, 0..2]).reshape([2]),
        sequence.clone().slice([1..2, 2..3, 2..4]).reshape([2]),
    ];
    assert_eq!(read::<1, _>(second_head), read::<1, _>(part));
    assert_eq!(read(merge_heads(heads)), read(sequence));
}
