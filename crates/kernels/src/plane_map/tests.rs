use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;

use super::Axis;

/// Of windows: how far the first input moves on, and the weights.
fn axis(inputs: usize, windows: &[(usize, &[f32])]) -> Axis {
    let mut axis = Axis::new(inputs);
    for (first, weights) in windows {
        axis.push(*first, weights.iter().copied());
    }
    axis
}

/// By hand: input 1 is seen twice, input 3 by none, and the last output sees nothing.
#[test]
fn outputs_become_inputs() {
    let axis = axis(5, &[(0, &[1.0, 2.0]), (1, &[3.0, 4.0]), (4, &[5.0]), (5, &[])]);
    let transposed = axis.transposed();
    let windows: Vec<_> = (0..transposed.outputs()).map(|output| transposed.window(output)).collect();
    let expected: [(usize, &[f32]); 5] = [(0, &[1.0]), (0, &[2.0, 3.0]), (1, &[4.0]), (2, &[]), (2, &[5.0])];
    assert_eq!(windows, expected);
}

#[test]
#[should_panic(expected = "windows move on")]
fn windows_never_move_back() {
    axis(3, &[(1, &[1.0]), (0, &[1.0, 1.0])]);
}

#[test]
#[should_panic(expected = "windows move on")]
fn windows_end_with_the_inputs() {
    axis(3, &[(2, &[1.0, 1.0])]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_transposed_matrix(steps in prop::collection::vec((0usize..4, 0usize..4), 1..9)) {
        let (mut windows, mut first, mut end) = (Vec::new(), 0, 0);
        for (index, (forwards, longer)) in steps.into_iter().enumerate() {
            first += forwards;
            end = (end + longer).max(first);
            let weights: Vec<f32> = (first..end).map(|input| (10 * index + input + 1) as f32).collect();
            windows.push((first, weights));
        }
        let windows: Vec<_> = windows.iter().map(|(first, weights)| (*first, weights.as_slice())).collect();
        let axis = axis(end + 1, &windows);
        let expected = read(axis.matrix(&device()).transpose());
        assert_close(&read(axis.transposed().matrix(&device())), &expected, 0.0);
        assert_close(&read(axis.transposed().transposed().matrix(&device())), &read(axis.matrix(&device())), 0.0);
    }
}
