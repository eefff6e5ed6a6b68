use burn::module::Module;
use burn::tensor::Tensor;
use libellus_backend::testing::device;
use libellus_layers::Activation;

use super::{LeNet5Config, PYTORCH, Pooling};
use crate::ConfigError;
use crate::testing::Golden;

fn assert_agrees_with_pytorch(name: &str, config: &LeNet5Config) {
    let golden = Golden::open(name);
    let plain = device();
    let model = golden.load(config.init(&plain).expect("valid"), &PYTORCH);
    let images = golden.tensor::<4>("images", &plain);
    golden.check("eval.logits", model.forward(images.clone()));
    golden.check("eval.conv1", model.conv1.forward(images.clone()));
    golden.check("eval.fc1", model.fc1.forward(model.forward_maps(images).flatten::<2>(1, 3)));

    let device = plain.autodiff();
    let model = golden.load(config.init(&device).expect("valid"), &PYTORCH);
    let images = golden.tensor::<4>("images", &device).require_grad();
    let logits = model.forward(images.clone());
    golden.check("train.logits", logits.clone());
    let gradients = (logits * golden.tensor("coefficients", &device)).sum().backward();
    golden.check("gradient.images", images.grad(&gradients).expect("required"));
    golden.check("gradient.conv1.weight", model.conv1.weight.grad(&gradients).expect("required"));
    golden.check("gradient.fc3.weight", model.fc3.weight.grad(&gradients).expect("required"));
}

#[test]
fn with_tanh_and_averages_agrees_with_pytorch() {
    assert_agrees_with_pytorch("lenet5_tanh", &LeNet5Config::tiny());
}

#[test]
fn with_relu_and_maxima_agrees_with_pytorch() {
    let config = LeNet5Config { activation: Activation::Relu, pooling: Pooling::Max, ..LeNet5Config::tiny() };
    assert_agrees_with_pytorch("lenet5_relu", &config);
}

#[test]
fn images_in_a_field_of_32_pixels_need_no_padding() {
    let device = device();
    for (side, parameters) in [(28, 61_706), (32, 61_706)] {
        let config = LeNet5Config { input_size: [side; 2], ..LeNet5Config::mnist(10) };
        let model = config.init(&device).expect("valid");
        assert_eq!(model.num_params(), parameters);
        assert_eq!(model.forward(Tensor::zeros([2, 1, side, side], &device)).dims(), [2, 10]);
    }
}

#[test]
fn what_is_wrong_is_named() {
    let config = LeNet5Config { input_size: [11, 13], ..LeNet5Config::tiny() };
    assert_eq!(config.validate(), Err(ConfigError::InputTooSmall { height: 11, width: 13, min: 12 }));
    assert_eq!(LeNet5Config { input_size: [12, 12], ..LeNet5Config::tiny() }.validate(), Ok(()));
    assert_eq!(
        LeNet5Config { in_channels: 0, ..LeNet5Config::tiny() }
            .validate()
            .expect_err("no channels")
            .to_string(),
        "`in_channels` must be between 1 and 131072, not 0"
    );
}
