use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read, reference};

use super::*;
use crate::{Conv2d, conv_before_norm};

fn ramp(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let count = shape.iter().product::<usize>() as u32;
    let values: Vec<f32> =
        (0..count).map(|index| f64::from(index.wrapping_mul(7919) % 101) as f32 / 50.0 - 1.0).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[test]
fn shortcuts_of_equal_shapes_are_identities() {
    let device = device();
    for change in [ShapeChange::Project, ShapeChange::Subsample] {
        let shortcut = Shortcut::new(3, 3, 1, change, &device);
        assert!(matches!(shortcut, Shortcut::Identity(_)));
        assert_eq!(shortcut.num_params(), 0);
    }
}

#[test]
fn subsampling_keeps_every_second_pixel_between_channels_of_zeros() {
    let device = device();
    let input =
        Tensor::<4>::from_data(TensorData::new((0..15).map(|x| x as f32).collect(), [1, 1, 3, 5]), &device);
    let output = Shortcut::new(1, 4, 2, ShapeChange::Subsample, &device).forward(input);
    assert_eq!(output.dims(), [1, 4, 2, 3]);
    let mut expected = vec![0.0f32; 24];
    // One channel of zeros before and two behind.
    expected[6..12].copy_from_slice(&[0.0, 2.0, 4.0, 10.0, 12.0, 14.0]);
    assert_eq!(read(output), TensorData::new(expected, [1, 4, 2, 3]));
}

#[test]
#[should_panic(expected = "can't lead from 5 to 3 channels")]
fn subsampling_to_fewer_channels_is_refused() {
    Subsample::new(5, 3, 2);
}

#[test]
fn the_sum_is_activated() {
    let device = device();
    let residual = ResidualConfig::new(2, 2).init(&device);
    let input = Tensor::<4>::from_data(TensorData::new(vec![1.0f32, -3.0], [1, 2, 1, 1]), &device);
    let output = residual.forward(input, |x| x * 0.5);
    assert_eq!(read(output), TensorData::new(vec![1.5f32, 0.0], [1, 2, 1, 1]));
}

#[test]
#[should_panic(expected = "must have one shape")]
fn a_branch_of_another_shape_is_refused() {
    let device = device();
    let residual = ResidualConfig::new(2, 3).init(&device);
    residual.forward(Tensor::zeros([1, 2, 5, 5], &device), |x| x);
}

/// A dropped branch leaves the rectified shortcut.
#[test]
fn a_dropped_branch_leaves_the_shortcut() {
    let device = device().autodiff();
    device.seed(3);
    let residual = ResidualConfig::new(1, 1).with_drop_path(0.5).init(&device);
    let output = residual.forward(Tensor::ones([41, 1, 1, 1], &device), |x| x);
    let values: Vec<f32> = read(output).iter().collect();
    assert!(values.iter().all(|&value| value == 1.0 || value == 3.0));
    assert!(values.contains(&1.0) && values.contains(&3.0));
}

#[test]
fn blocks_round_sizes_up() {
    let device = device();
    for change in [ShapeChange::Project, ShapeChange::Subsample] {
        let block = BasicBlockConfig::new(3, 5).with_stride(2).with_shape_change(change).init(&device);
        assert_eq!(block.forward(Tensor::zeros([2, 3, 7, 4], &device)).dims(), [2, 5, 4, 2]);
    }
}

#[test]
fn convolutions_are_drawn_with_he_variance() {
    let device = device();
    device.seed(5);
    let conv: Conv2d = conv_before_norm(17, 31, 3, 1).init(&device);
    let values: Vec<f64> = read(conv.weight.val()).iter().collect();
    let variance = values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
    // 4743 values: the relative standard deviation of the variance is sqrt(2 / 4743) = 2%; five of them.
    assert!((variance / (2.0 / (9.0 * 31.0)) - 1.0).abs() < 0.1, "{variance}");
    assert!(conv.bias.is_none());
}

/// Output and input gradient of a block in training, then its output in evaluation.
fn run(block: &BasicBlock, device: &Device) -> [TensorData; 3] {
    let input = ramp([3, 2, 5, 7], device).require_grad();
    let output = block.forward(input.clone());
    let weights = ramp(output.dims(), device);
    let gradients = (output.clone() * weights).sum().backward();
    let gradient = input.grad(&gradients).expect("the input requires it");
    let evaluated = block.valid().forward(input.without_autodiff());
    [read(output), read(gradient), read(evaluated)]
}

#[test]
fn the_device_under_test_agrees_with_the_reference() {
    for change in [ShapeChange::Project, ShapeChange::Subsample] {
        let [tested, trusted] = [device().autodiff(), reference().autodiff()];
        let config = BasicBlockConfig::new(2, 5).with_stride(2).with_shape_change(change);
        let block = config.init(&trusted);
        let copy = config.init(&tested).load_record(block.clone().into_record());
        for (actual, expected) in run(&copy, &tested).iter().zip(&run(&block, &trusted)) {
            // Sums of at most 45 terms in another order, twice; the batch norms' divisions add a few roundings.
            assert_close(actual, expected, 1e-5);
        }
    }
}
