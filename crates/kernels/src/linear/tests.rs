use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData, module};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;

use super::{linear, linear_transposed};
use crate::testing::{assert_same_on_any_threads, scattered, weighted_results};
use crate::{Precision, PrepareInference};

#[derive(Module, Debug)]
struct Linear {
    weight: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
struct Embedding {
    weight: Param<Tensor<2>>,
}

/// Products of numbers up to 6, with more roundings where sums are long.
const TOLERANCE: f64 = 2e-6;

fn weight(shape: [usize; 2]) -> Param<Tensor<2>> {
    Param::from_tensor(scattered(shape, &device()))
}

/// What is multiplied with weights of that precision.
#[cfg(feature = "flex")]
fn multiplied(input: &Tensor<2>, precision: Precision) -> Tensor<2> {
    use crate::narrow::{Bf16Dot, ByteDot};
    use crate::quantize::{round_rows, round_to_bf16};
    let mut numbers: Vec<f32> = read(input.clone()).iter().collect();
    match precision {
        _ if !crate::device::is_plain(input) => {}
        Precision::Bf16 if Bf16Dot::new().is_some() => round_to_bf16(&mut numbers, 1),
        Precision::Q8 if ByteDot::new().is_some() => round_rows(&mut numbers, input.dims()[1]),
        _ => {}
    }
    Tensor::from_data(TensorData::new(numbers, input.dims()), &input.device())
}

#[cfg(not(feature = "flex"))]
fn multiplied(input: &Tensor<2>, _precision: Precision) -> Tensor<2> {
    input.clone()
}

/// Products with weights that lie there as they are, by rows and by columns.
fn agrees_in_place(vectors: usize, d_input: usize, d_output: usize) {
    let input = scattered::<2>([vectors, d_input], &device());
    for bias in [None, Some(scattered([d_output], &device()))] {
        let weight = scattered([d_input, d_output], &device());
        let output = linear(input.clone(), weight.clone(), bias.clone());
        assert_close(&read(output), &read(module::linear(input.clone(), weight, bias)), TOLERANCE);
    }
    let table = scattered::<2>([d_output, d_input], &device());
    let expected = input.clone().matmul(table.clone().transpose());
    assert_close(&read(linear_transposed(input, table)), &read(expected), TOLERANCE);
}

/// Prepared products are those of what the weights, and where the processor multiplies narrow numbers the inputs, have become.
fn agrees(vectors: usize, d_input: usize, d_output: usize, precision: Precision) {
    let input = scattered([vectors, d_input], &device());
    let bias = scattered([d_output], &device());
    let multiplied = multiplied(&input, precision);

    let layer = Linear { weight: weight([d_input, d_output]) }.prepare_inference_in(precision);
    let expected = module::linear(multiplied.clone(), layer.weight.val(), Some(bias.clone()));
    let output = linear(input.clone(), layer.weight.val(), Some(bias));
    assert_close(&read(output), &read(expected), TOLERANCE);

    let table = Embedding { weight: weight([d_output, d_input]) }.prepare_inference_in(precision);
    let expected = multiplied.matmul(table.weight.val().transpose());
    let output = linear_transposed(input, table.weight.val());
    assert_close(&read(output), &read(expected), TOLERANCE);
}

/// Sizes around those of lines, tiles, strips, slices, groups and parts.
#[test]
fn sizes_at_the_edges() {
    for [vectors, d_input, d_output] in [
        [1, 1, 1],
        [1, 64, 257],
        [2, 65, 31],
        [13, 16, 33],
        [14, 193, 32],
        [15, 17, 300],
        [28, 200, 64],
        [29, 31, 65],
        [61, 257, 40],
        [113, 5, 7],
        [31, 770, 35],
        [3, 1537, 33],
    ] {
        agrees_in_place(vectors, d_input, d_output);
        for precision in [Precision::F32, Precision::Bf16, Precision::Q8] {
            agrees(vectors, d_input, d_output, precision);
        }
    }
}

/// Few vectors and a large matrix, whose parts are summed on their own; and more vectors, for which slices of it are arranged.
#[test]
fn large_matrices_in_place() {
    for [vectors, d_input, d_output] in
        [[1, 1030, 131], [3, 131, 1030], [15, 517, 515], [16, 517, 515], [60, 800, 700], [9, 70, 30001]]
    {
        agrees_in_place(vectors, d_input, d_output);
    }
}

/// 8 bits: half a step of 6/127 in each of 200 weights, at random signs.
#[test]
fn rounded_weights_give_nearly_the_same() {
    let input = scattered([5, 200], &device());
    let layer = Linear { weight: weight([200, 33]) };
    let exact = read(linear(input.clone(), layer.weight.val(), None));
    let rounded = layer.clone().prepare_inference_in(Precision::Q8);
    let output = read(linear(input.clone(), rounded.weight.val(), None));
    assert_close(&output, &exact, 1e-2);
    let off = output.iter::<f32>().zip(exact.iter::<f32>()).filter(|(a, b)| (a - b).abs() > 1e-3);
    assert!(off.count() > 50, "nothing was rounded");
    // The model that it was made of keeps its weights.
    assert_close(&read(linear(input, layer.weight.val(), None)), &exact, 0.0);
}

#[test]
fn leading_dimensions_stay() {
    let layer = Linear { weight: weight([7, 11]) }.prepare_inference();
    let output = linear(scattered([2, 3, 5, 7], &device()), layer.weight.val(), None);
    assert_eq!(output.dims(), [2, 3, 5, 11]);
    let flat = linear(scattered([30, 7], &device()), layer.weight.val(), None);
    assert_close(&read(output.reshape([30, 11])), &read(flat), 0.0);
    let one = linear(scattered([7], &device()), layer.weight.val(), None);
    assert_eq!(one.dims(), [11]);
}

#[test]
fn nan_and_infinities_are_seen() {
    let layer = Linear { weight: weight([3, 40]) };
    let input = Tensor::<2>::from_data([[f32::NAN, 1.0, 0.0], [1.0, f32::INFINITY, 0.0]], &device());
    let in_place = read(linear(input.clone(), layer.weight.val(), None));
    let layer = layer.prepare_inference();
    for output in [in_place, read(linear(input, layer.weight.val(), None))] {
        let (first, second): (Vec<f32>, Vec<f32>) =
            (output.iter::<f32>().take(40).collect(), output.iter::<f32>().skip(40).collect());
        assert!(first.iter().all(|number| number.is_nan()));
        assert!(second.iter().all(|number| number.is_infinite() || number.is_nan()));
    }
}

/// A weight that isn't a number makes NaN of its output, in 8 bits as in floats.
#[test]
fn weights_that_are_no_numbers_are_seen() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut numbers: Vec<f32> = read(scattered([70, 3], &device())).iter().collect();
        numbers[2 * 3 + 1] = bad;
        let weight = Tensor::<2>::from_data(TensorData::new(numbers, [70, 3]), &device());
        let layer = Linear { weight: Param::from_tensor(weight) }.prepare_inference_in(Precision::Q8);
        let input = Tensor::<2>::ones([2, 70], &device());
        let own = read(linear(input.clone(), layer.weight.val(), None));
        let burns = read(module::linear(input, layer.weight.val(), None));
        for output in [own, burns] {
            let seen: Vec<bool> = output.iter::<f32>().map(f32::is_nan).collect();
            assert_eq!(seen, [false, true, false, false, true, false]);
        }
    }
}

/// Calls from rayon's threads, the first of which arrange the weight.
#[test]
fn many_threads_may_be_the_first() {
    use rayon::prelude::*;
    for _ in 0..20 {
        let layer = Linear { weight: weight([300, 700]) }.prepare_inference();
        let weight = layer.weight.val();
        let product = |_| read(linear(scattered([1, 300], &device()), weight.clone(), None));
        let outputs: Vec<TensorData> = (0..16).into_par_iter().map(product).collect();
        for output in &outputs {
            assert_close(output, &outputs[0], 1e-6);
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_same_on_any_threads(|| {
        let layer = Linear { weight: weight([130, 300]) }.prepare_inference();
        let product = |vectors| linear(scattered([vectors, 130], &device()), layer.weight.val(), None);
        [3, 100].map(product).map(read)
    });
    let weight = scattered([517, 300], &device());
    assert_same_on_any_threads(|| {
        let product = |vectors| linear(scattered([vectors, 517], &device()), weight.clone(), None);
        let transposed = |vectors| linear_transposed(scattered([vectors, 300], &device()), weight.clone());
        // Where the matrix lies, in slices, and arranged as a whole.
        [[15, 20, 100].map(product).map(read), [15, 20, 100].map(transposed).map(read)]
    });
}

/// In training, sums over inputs, outputs and vectors agree with burn's.
fn trains(vectors: [usize; 2], d_input: usize, d_output: usize) {
    let device = device().autodiff();
    let input: Tensor<3> = scattered([vectors[0], vectors[1], d_input], &device);
    let (weight, bias) = (scattered([d_input, d_output], &device), scattered([d_output], &device));
    let agree = |actual: Vec<(&str, TensorData)>, expected: Vec<(&str, TensorData)>| {
        assert_eq!(actual.len(), expected.len());
        for ((_, actual), (_, expected)) in actual.iter().zip(&expected) {
            assert_close(actual, expected, TOLERANCE);
        }
    };
    for bias in [None, Some(bias)] {
        let run = |layer: fn(Tensor<3>, Tensor<2>, Option<Tensor<1>>) -> Tensor<3>| {
            weighted_results(input.clone(), weight.clone(), bias.clone(), scattered, layer)
        };
        agree(run(linear), run(module::linear));
    }
    let weight: Tensor<2> = scattered([d_output, d_input], &device);
    let flat: Tensor<2> = input.reshape([vectors[0] * vectors[1], d_input]);
    let run = |product: fn(Tensor<2>, Tensor<2>) -> Tensor<2>| {
        weighted_results(flat.clone(), weight.clone(), None, scattered, |x, weight, _| product(x, weight))
    };
    agree(run(linear_transposed), run(|x, weight| x.matmul(weight.transpose())));
}

#[test]
fn gradients_at_the_edges() {
    for (vectors, d_input, d_output) in [
        ([1, 1], 1, 1),
        ([3, 5], 17, 3),
        ([1, 16], 1, 33),
        ([17, 1], 33, 1),
        ([2, 31], 31, 65),
        ([5, 29], 200, 47),
        ([3, 89], 67, 300),
    ] {
        trains(vectors, d_input, d_output);
    }
}

/// A weight that stays what it is gets no gradient, and takes none from the input.
#[test]
fn what_is_constant_has_no_gradient() {
    let device = device().autodiff();
    let (input, weight) = (scattered::<2>([19, 5], &device), scattered::<2>([5, 7], &device));
    let tracked = input.clone().require_grad();
    let gradients = linear(tracked.clone(), weight.clone(), None).sum().backward();
    assert!(tracked.grad(&gradients).is_some() && weight.grad(&gradients).is_none());
    let tracked = weight.require_grad();
    let gradients = linear(input.clone(), tracked.clone(), None).sum().backward();
    assert!(tracked.grad(&gradients).is_some() && input.grad(&gradients).is_none());
}

#[test]
fn nothing_to_multiply() {
    if !crate::device::is_accelerated(&scattered::<1>([1], &device())) {
        return;
    }
    let product = |vectors, d_input, d_output| {
        let weight = scattered::<2>([d_input, d_output], &device());
        read(linear(scattered::<2>([vectors, d_input], &device()), weight, None))
    };
    assert_eq!(product(0, 3, 5).shape().to_vec(), [0, 5]);
    assert_eq!(product(20, 3, 0).shape().to_vec(), [20, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(vectors in 1usize..70, d_input in 1usize..210, d_output in 1usize..80, which in 0usize..3) {
        agrees_in_place(vectors, d_input, d_output);
        agrees(vectors, d_input, d_output, [Precision::F32, Precision::Bf16, Precision::Q8][which]);
    }

    #[test]
    fn any_shape_in_training(vectors in 1usize..70, d_input in 1usize..210, d_output in 1usize..80) {
        trains([1, vectors], d_input, d_output);
    }
}
