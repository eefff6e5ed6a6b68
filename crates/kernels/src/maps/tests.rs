use burn::tensor::Tensor;
use libellus_backend::testing::{assert_close, device, read};

use super::{concat_channels, scale_channels};
use crate::testing::fractions;

/// In the order that convolutions leave, and in that of other tensors.
fn both_orders(shape: [usize; 4], seed: usize) -> [Tensor<4>; 2] {
    let planes = fractions(shape, seed, &device());
    let [batch, channels, height, width] = shape;
    let pixels = fractions([batch, height, width, channels], seed + 1, &device());
    [planes, pixels.permute([0, 3, 1, 2])]
}

#[test]
fn channels_are_scaled() {
    for shape in [[2, 19, 5, 7], [1, 1, 3, 2], [3, 4, 1, 1], [1, 33, 40, 1]] {
        let factors = fractions([shape[0], shape[1], 1, 1], 3, &device());
        for input in both_orders(shape, 1) {
            let expected = read(input.clone() * factors.clone());
            // While somebody else looks at the input, and when nobody does.
            assert_close(&read(scale_channels(input.clone(), factors.clone())), &expected, 0.0);
            assert_close(&read(scale_channels(input, factors.clone())), &expected, 0.0);
        }
    }
}

#[test]
fn channels_side_by_side() {
    for [left, right] in [[3, 5], [16, 1], [40, 24]] {
        for (first, second) in
            both_orders([2, left, 9, 4], 1).into_iter().zip(both_orders([2, right, 9, 4], 5))
        {
            for maps in [vec![first.clone()], vec![first.clone(), second.clone()], vec![second, first]] {
                let expected = read(Tensor::cat(maps.clone(), 1));
                assert_close(&read(concat_channels(maps)), &expected, 0.0);
            }
        }
        // One of each order.
        let ([planes, _], [_, pixels]) = (both_orders([1, left, 2, 3], 1), both_orders([1, right, 2, 3], 5));
        let expected = read(Tensor::cat(vec![planes.clone(), pixels.clone()], 1));
        assert_close(&read(concat_channels(vec![planes, pixels])), &expected, 0.0);
    }
}

#[test]
fn sizes_that_differ_panic() {
    let maps = || vec![fractions([1, 2, 3, 4], 1, &device()), fractions([1, 2, 4, 4], 1, &device())];
    assert!(std::panic::catch_unwind(|| concat_channels(maps())).is_err());
    assert!(std::panic::catch_unwind(|| concat_channels(Vec::new())).is_err());
}

#[test]
fn gradients_pass() {
    let device = device().autodiff();
    let input = fractions([2, 3, 4, 5], 1, &device).require_grad();
    let factors = fractions([2, 3, 1, 1], 2, &device);
    let output = concat_channels(vec![scale_channels(input.clone(), factors.clone()), input.clone()]);
    let gradient = input.grad(&output.sum().backward()).expect("it is asked for");
    let expected = factors.inner().expand([2, 3, 4, 5]) + 1.0;
    assert_close(&read(gradient), &read(expected), 1e-6);
}
