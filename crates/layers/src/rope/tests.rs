use burn::tensor::{Int, Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};

use super::{Rope, RopeScaling};

fn positions<const T: usize>(positions: [[i64; T]; 1]) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::from(positions), &device())
}

#[test]
fn halves_are_rotated_against_each_other() {
    // With theta = 4, the frequencies of four elements are 1 and 1/2: after three tokens, angles of 3 and 1.5.
    let rotation = Rope::new(4, 4.0).at(positions([[0, 3]]));
    let heads = Tensor::<4>::from_data([[[[1.0, 2.0, 5.0, 7.0], [1.0, 2.0, 5.0, 7.0]]]], &device());
    let [fast, slow] = [3.0f64.sin_cos(), 1.5f64.sin_cos()];
    let expected = [
        [1.0, 2.0, 5.0, 7.0],
        [
            1.0 * fast.1 - 5.0 * fast.0,
            2.0 * slow.1 - 7.0 * slow.0,
            5.0 * fast.1 + 1.0 * fast.0,
            7.0 * slow.1 + 2.0 * slow.0,
        ],
    ];
    // f32's rounding of the angle and of three operations.
    assert_close(&read(rotation.apply(heads)), &TensorData::from([[expected]]), 5e-7);
}

#[test]
fn products_depend_on_distances_alone() {
    let rope = Rope::new(6, 10_000.0);
    let query = Tensor::<4>::from_data([[[[0.3, -0.7, 0.2, 0.9, -0.4, 0.1]]]], &device());
    let key = Tensor::<4>::from_data([[[[-0.5, 0.6, 0.8, -0.2, 0.7, -0.3]]]], &device());
    let product = |query_at, key_at| {
        let query = rope.at(positions([[query_at]])).apply(query.clone());
        read((query * rope.at(positions([[key_at]])).apply(key.clone())).sum())
    };
    // The product is of order 1, the rotations are rounded to 6e-8 each.
    for shift in [1, 13, 101] {
        let (shifted, expected) = (product(5 + shift, 2 + shift), product(5, 2));
        let difference = shifted.iter::<f64>().zip(expected.iter::<f64>()).map(|(a, b)| (a - b).abs());
        assert!(difference.fold(0.0, f64::max) < 1e-5);
    }
}

/// Llama 3.2: the values of `ROPE_INIT_FUNCTIONS["llama3"]` in transformers 5.23 for some of the 32 frequencies. That
/// computes in f32, so the last digits differ.
#[test]
fn low_frequencies_are_slowed_down() {
    let scaling =
        RopeScaling { factor: 32.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_context: 8192 };
    let rope = Rope::scaled(64, 500_000.0, &scaling);
    for (index, expected) in LLAMA3 {
        let actual = f64::from(rope.frequencies[index]);
        assert!((actual / expected - 1.0).abs() < 1e-6, "{index}: {actual} instead of {expected}");
    }
    // High frequencies stay.
    assert_eq!(rope.frequencies[..14], Rope::new(64, 500_000.0).frequencies[..14]);
}

const LLAMA3: [(usize, f64); 7] = [
    (1, 6.636_012_793e-1),
    (14, 3.211_446_106e-3),
    (15, 1.290_548_011e-3),
    (16, 4.295_567_051e-4),
    (17, 9.708_286_234e-5),
    (18, 1.946_163_866e-5),
    (31, 9.418_306_490e-8),
];

#[test]
#[should_panic(expected = "odd width 5")]
fn an_odd_head_has_no_pairs() {
    Rope::new(5, 10_000.0);
}
