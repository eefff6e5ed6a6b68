use burn::tensor::{DType, Device, Int, Tensor, TensorData, module};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;

use super::{composed_sum, embedding, gather_rows, is_accelerated, segment_sum};
use crate::testing::{assert_same_on_any_threads, scattered};

/// A value and the gradient of its input, for outputs of different weight.
fn run<const I: usize, const O: usize>(
    input: &Tensor<I>,
    operation: impl FnOnce(Tensor<I>) -> Tensor<O>,
) -> [TensorData; 2] {
    let input = input.clone().detach().require_grad();
    let output = operation(input.clone());
    let weight = scattered(output.dims(), &output.device());
    let gradients = (output.clone() * weight).sum().backward();
    [read(output.inner()), read(input.grad(&gradients).expect("the input takes part"))]
}

/// Places among `count`, some often, some never.
fn places(len: usize, count: usize, device: &Device) -> Tensor<1, Int> {
    let places: Vec<i64> = (0..len).map(|index| (index * index * 7 % 101 * 31 % count) as i64).collect();
    Tensor::from_data(TensorData::new(places, [len]), device)
}

/// Bit by bit: rows are added in their order there too.
#[track_caller]
fn agree(actual: [TensorData; 2], expected: [TensorData; 2]) {
    for (actual, expected) in actual.iter().zip(&expected) {
        assert_close(actual, expected, 0.0);
    }
}

#[track_caller]
fn sums_agree(values: &Tensor<2>, count: usize) {
    let segments = places(values.dims()[0], count, &values.device());
    agree(
        run(values, |values| segment_sum(values, segments.clone(), count)),
        run(values, |values| composed_sum(values, segments.clone(), count)),
    );
}

#[track_caller]
fn gathers_agree(table: &Tensor<2>, len: usize) {
    let indices = places(len, table.dims()[0], &table.device());
    agree(
        run(table, |table| gather_rows(table, indices.clone())),
        run(table, |table| table.select(0, indices.clone())),
    );
}

#[test]
fn the_same_as_burns() {
    let device = device().autodiff();
    for width in [1, 2, 7, 15, 16, 17, 31, 33, 127] {
        sums_agree(&scattered([103, width], &device), 11);
        gathers_agree(&scattered([11, width], &device), 103);
    }
    // One segment, as many as rows, many more; several pieces.
    for count in [1, 2, 1_009, 10_007] {
        sums_agree(&scattered([1_009, 37], &device), count);
        gathers_agree(&scattered([count, 37], &device), 1_009);
    }
    sums_agree(&scattered([1, 16_385], &device), 3);
    gathers_agree(&scattered([3, 16_385], &device), 2);
    let turned = scattered([37, 103], &device).transpose();
    sums_agree(&turned, 11);
    gathers_agree(&turned, 53);
}

#[test]
fn embeddings_are_those_of_burn() {
    let device = device().autodiff();
    for ([batch, length], [count, width]) in
        [([1, 1], [1, 1]), ([3, 7], [11, 5]), ([7, 503], [1_009, 37]), ([2, 3], [50_021, 3])]
    {
        let weight = scattered([count, width], &device);
        let tokens = places(batch * length, count, &device).reshape([length, batch]).transpose();
        agree(
            run(&weight, |weight| embedding(weight, tokens.clone())),
            run(&weight, |weight| module::embedding(weight, tokens.clone())),
        );
    }
}

/// Messages along the edges of a graph: 0 receives from 1 and 2, 1 nothing, 2 from 1 twice.
#[test]
fn nodes_receive_sums() {
    let device = device().autodiff();
    let nodes = Tensor::<2>::from_floats([[1.0, -1.0], [2.0, 10.0], [4.0, 100.0]], &device);
    let [from, to] = [[1, 2, 1, 1], [0, 0, 2, 2]].map(|ends| Tensor::<1, Int>::from_ints(ends, &device));
    let [received, gradient] = run(&nodes, |nodes| segment_sum(gather_rows(nodes, from), to, 3));
    assert_close(&received, &TensorData::from([[6.0_f32, 110.0], [0.0, 0.0], [4.0, 20.0]]), 0.0);
    let weight = read(scattered([3, 2], &device).inner());
    let weight: Vec<f32> = weight.iter().collect();
    let expected =
        [[0.0, 0.0], [weight[0] + 2.0 * weight[4], weight[1] + 2.0 * weight[5]], [weight[0], weight[1]]];
    assert_close(&gradient, &TensorData::from(expected), 1e-6);
}

#[test]
fn nothing_to_add_or_pick() {
    let device = device().autodiff();
    if !is_accelerated(&scattered([1], &device)) {
        return;
    }
    let none = || Tensor::<1, Int>::zeros([0], &device);
    let [sums, gradient] = run(&Tensor::zeros([0, 5], &device), |values| segment_sum(values, none(), 3));
    assert_close(&sums, &TensorData::from([[0.0_f32; 5]; 3]), 0.0);
    assert_eq!(gradient.shape().as_slice(), [0, 5]);
    let [rows, gradient] = run(&scattered([3, 5], &device), |table| gather_rows(table, none()));
    assert_eq!(rows.shape().as_slice(), [0, 5]);
    assert_close(&gradient, &TensorData::from([[0.0_f32; 5]; 3]), 0.0);
    let two = Tensor::<1, Int>::zeros([2], &device);
    assert_eq!(segment_sum(Tensor::zeros([2, 0], &device), two.clone(), 3).dims(), [3, 0]);
    assert_eq!(gather_rows(Tensor::zeros([3, 0], &device), two).dims(), [2, 0]);
    assert_eq!(segment_sum(Tensor::zeros([0, 5], &device), none(), 0).dims(), [0, 5]);
}

/// They stay in their segment.
#[test]
fn infinities_and_nan() {
    let device = device();
    let (nan, infinity) = (f32::NAN, f32::INFINITY);
    let values = Tensor::<2>::from_floats([[infinity], [-infinity], [nan], [infinity], [1.0]], &device);
    let sums = read(segment_sum(values, Tensor::from_ints([0, 0, 1, 2, 3], &device), 4));
    let sums: Vec<f32> = sums.iter().collect();
    assert!(sums[0].is_nan() && sums[1].is_nan());
    assert_eq!(sums[2..], [infinity, 1.0]);
}

#[test]
fn indices_of_any_type() {
    let device = device();
    let table = scattered([5, 7], &device);
    if is_accelerated(&table) {
        let indices = places(11, 5, &device);
        let expected = read(gather_rows(table.clone(), indices.clone()));
        for dtype in [DType::I64, DType::I32, DType::U8, DType::U32] {
            assert_eq!(read(gather_rows(table.clone(), indices.clone().cast(dtype))), expected);
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_same_on_any_threads(|| {
        let device = device().autodiff();
        let (values, table) = (scattered([6_007, 11], &device).sin(), scattered([503, 11], &device).sin());
        [
            run(&values, |values| segment_sum(values, places(6_007, 503, &device), 503)),
            run(&table, |table| gather_rows(table, places(6_007, 503, &device))),
        ]
    });
}

#[test]
#[should_panic(expected = "index 3 out of bounds for dimension of size 3")]
fn a_token_beyond_the_table_is_refused() {
    let device = device();
    let weight = scattered([3, 5], &device);
    assert!(is_accelerated(&weight), "index 3 out of bounds for dimension of size 3: only flex checks");
    embedding(weight, Tensor::from_ints([[0, 3]], &device));
}

#[test]
#[should_panic(expected = "index -1 out of bounds for dimension of size 3")]
fn a_negative_segment_is_refused() {
    let device = device();
    let values = scattered([1, 5], &device);
    assert!(is_accelerated(&values), "index -1 out of bounds for dimension of size 3: only flex checks");
    segment_sum(values, Tensor::from_ints([-1], &device), 3);
}

#[test]
#[should_panic(expected = "a sum by segments needs the segment of each row")]
fn another_number_of_segments_is_refused() {
    let device = device();
    segment_sum(scattered([2, 3], &device), Tensor::from_ints([0], &device), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(rows in 1usize..200, width in 1usize..70, count in 1usize..90, swap: bool) {
        let device = device().autodiff();
        let values = if swap { scattered([width, rows], &device).transpose() } else { scattered([rows, width], &device) };
        sums_agree(&values, count);
        gathers_agree(&values, count);
    }
}
