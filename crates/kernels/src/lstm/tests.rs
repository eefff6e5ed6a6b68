use burn::tensor::{Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;

use super::{LstmSequence, composed, lstm, unbind};
use crate::testing::{assert_same_on_any_threads, scattered};

/// Gradients of the inputs, in their order, of a loss in which every output has another weight.
fn gradients(
    inputs: (Tensor<3>, [Tensor<2>; 3]),
    operation: impl FnOnce(Tensor<3>, Tensor<2>, Tensor<2>, Tensor<2>) -> LstmSequence,
) -> (LstmSequence, Vec<TensorData>) {
    let projected = inputs.0.require_grad();
    let others = inputs.1.map(|input| input.require_grad());
    let [weight, hidden, cell] = others.clone();
    let output = operation(projected.clone(), weight, hidden, cell);
    let device = projected.device();
    let weights = scattered(output.hidden.dims(), &device);
    let loss = (output.hidden.clone() * weights).sum()
        + (output.cell.clone() * scattered(output.cell.dims(), &device)).sum();
    let gradients = loss.backward();
    let of = |other: &Tensor<2>| read(other.grad(&gradients).expect("it takes part"));
    let mut found = vec![read(projected.grad(&gradients).expect("it takes part"))];
    found.extend(others.iter().map(of));
    (output, found)
}

fn inputs(steps: usize, batch: usize, d_hidden: usize) -> (Tensor<3>, [Tensor<2>; 3]) {
    let device = device().autodiff();
    (
        scattered([steps, batch, 4 * d_hidden], &device) / 3.0,
        [
            scattered([d_hidden, 4 * d_hidden], &device) / (6.0 * (d_hidden as f64).sqrt()),
            scattered([batch, d_hidden], &device) / 6.0,
            scattered([batch, d_hidden], &device) / 4.0,
        ],
    )
}

/// Units that don't fill a group or a line, batches of fewer and more sequences than a tile has rows. Sums of up to 41 terms
/// over up to 11 steps.
#[test]
fn the_same_as_step_by_step() {
    for (steps, batch, d_hidden) in
        [(1, 1, 1), (2, 1, 8), (5, 3, 7), (7, 2, 16), (3, 37, 5), (11, 5, 41), (4, 29, 33), (2, 2, 64)]
    {
        agrees(steps, batch, d_hidden);
    }
}

fn agrees(steps: usize, batch: usize, d_hidden: usize) {
    let (found, found_gradients) = gradients(inputs(steps, batch, d_hidden), lstm);
    let (expected, expected_gradients) = gradients(inputs(steps, batch, d_hidden), composed);
    assert_close(&read(found.hidden.inner()), &read(expected.hidden.inner()), 2e-6);
    assert_close(&read(found.cell.inner()), &read(expected.cell.inner()), 2e-6);
    for (found, expected) in found_gradients.iter().zip(&expected_gradients) {
        assert_close(found, expected, 5e-6);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(steps in 1usize..6, batch in 1usize..20, d_hidden in 1usize..70) {
        agrees(steps, batch, d_hidden);
    }
}

/// Inputs that aren't laid out in order: steps and sequences swapped, and a transposed weight.
#[test]
fn views_are_read_as_they_look() {
    let device = device();
    let projected = scattered([5, 3, 28], &device).swap_dims(0, 1);
    let weight = scattered([28, 7], &device).transpose() / 20.0;
    let [hidden, cell] = [6.0, 4.0].map(|divisor| scattered([7, 5], &device).transpose() / divisor);
    let found = lstm(projected.clone(), weight.clone(), hidden.clone(), cell.clone());
    let expected = composed(projected, weight, hidden, cell);
    assert_close(&read(found.hidden), &read(expected.hidden), 2e-6);
    assert_close(&read(found.cell), &read(expected.cell), 2e-6);
}

/// Fewer sequences than threads, and so many that threads have unequal parts.
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    if libellus_backend::testing::reference() != device() {
        return;
    }
    for batch in [2, 31] {
        assert_same_on_any_threads(|| {
            let (output, gradients) = gradients(inputs(5, batch, 33), lstm);
            (read(output.hidden.inner()), read(output.cell.inner()), gradients)
        });
    }
}

/// How sequences are divided among threads and tiles changes no bit.
#[test]
fn sequences_do_not_depend_on_one_another() {
    let (projected, [weight, hidden, cell]) = inputs(5, 31, 19);
    let together = lstm(projected.clone(), weight.clone(), hidden.clone(), cell.clone());
    for row in [0, 13, 30] {
        let alone = lstm(
            projected.clone().narrow(1, row, 1),
            weight.clone(),
            hidden.clone().narrow(0, row, 1),
            cell.clone().narrow(0, row, 1),
        );
        let found = together.hidden.clone().narrow(1, row, 1);
        if libellus_backend::testing::reference() == device() {
            assert_eq!(read(found.inner()), read(alone.hidden.inner()), "{row}");
        } else {
            assert_close(&read(found.inner()), &read(alone.hidden.inner()), 2e-6);
        }
    }
}

#[test]
fn a_batch_of_none_and_units_of_none_are_possible() {
    let device = libellus_backend::testing::reference();
    for [batch, d_hidden] in [[0, 3], [2, 0]] {
        let output = lstm(
            Tensor::zeros([2, batch, 4 * d_hidden], &device),
            Tensor::zeros([d_hidden, 4 * d_hidden], &device),
            Tensor::zeros([batch, d_hidden], &device),
            Tensor::zeros([batch, d_hidden], &device),
        );
        assert_eq!(output.hidden.dims(), [2, batch, d_hidden]);
    }
}

#[test]
fn what_is_not_a_number_stays_in_its_sequence() {
    let (projected, [weight, hidden, cell]) = inputs(3, 2, 5);
    let nan = Tensor::<3>::full([1, 1, 20], f32::NAN, &projected.device());
    let output = lstm(projected.slice_assign([1..2, 0..1, 0..20], nan), weight, hidden, cell).hidden;
    let values: Vec<f32> = read(output.inner()).iter().collect();
    let nans: Vec<bool> = values.chunks(5).map(|units| units.iter().any(|value| value.is_nan())).collect();
    assert_eq!(nans, [false, false, true, false, true, false]);
}

#[test]
#[should_panic(expected = "a state of another shape")]
fn a_state_of_another_shape_is_refused() {
    let (projected, [weight, hidden, cell]) = inputs(3, 2, 5);
    lstm(projected, weight, hidden.narrow(0, 0, 1), cell);
}

#[test]
fn steps_come_in_their_order() {
    let sequence = scattered([7, 2, 3], &device());
    let steps = unbind(sequence.clone());
    assert_eq!(steps.len(), 7);
    assert_eq!(read(Tensor::stack::<3>(steps, 0)), read(sequence));
}
