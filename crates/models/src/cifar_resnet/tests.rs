use burn::module::Module;
use burn::tensor::Tensor;
use libellus_backend::testing::{device, read};
use libellus_layers::{ShapeChange, Shortcut};

use super::{CifarResNetConfig, IDELBAYEV};
use crate::testing::Golden;

#[test]
fn agrees_with_pytorch() {
    let golden = Golden::open("cifar_resnet");
    let config = CifarResNetConfig::tiny();
    let plain = device();
    let model = golden.load(config.init(&plain).expect("valid"), &IDELBAYEV);
    let images = golden.tensor::<4>("images", &plain);
    golden.check("eval.layer3", model.forward_maps(images.clone()));
    golden.check("eval.logits", model.forward(images));

    let device = plain.autodiff();
    let model = golden.load(config.init(&device).expect("valid"), &IDELBAYEV);
    let images = golden.tensor::<4>("images", &device).require_grad();
    let logits = model.forward(images.clone());
    golden.check("train.logits", logits.clone());
    let last = &model.layer3[1].bn2;
    golden.check("train.layer3.1.bn2.running_mean", last.running_mean.value());
    golden.check("train.layer3.1.bn2.running_var", last.running_var.value());
    let gradients = (logits * golden.tensor("coefficients", &device)).sum().backward();
    golden.check("gradient.images", images.grad(&gradients).expect("required"));
    golden.check("gradient.conv1.weight", model.conv1.weight.grad(&gradients).expect("required"));
    golden.check("gradient.linear.weight", model.fc.weight.grad(&gradients).expect("required"));
}

/// Option A of *pytorch_resnet_cifar10* pads by a quarter of the new channels at both sides.
#[test]
fn shortcuts_of_published_networks_pad_as_the_original() {
    let device = device();
    for width in [32, 64] {
        let shortcut = Shortcut::new(width / 2, width, 2, ShapeChange::Subsample, &device);
        let output = read(shortcut.forward(Tensor::ones([1, width / 2, 1, 1], &device)));
        let values: Vec<f32> = output.iter().collect();
        let quarter = vec![0.0; width / 4];
        assert_eq!(values, [quarter.clone(), vec![1.0; width / 2], quarter].concat());
    }
}

/// As its `state_dict` names them.
#[test]
fn names_are_those_of_the_original() {
    for (ours, theirs) in [
        ("conv1.weight", "conv1.weight"),
        ("bn1.gamma", "bn1.weight"),
        ("layer2.0.conv1.weight", "layer2.0.conv1.weight"),
        ("layer3.2.bn2.beta", "layer3.2.bn2.bias"),
        ("layer3.2.bn2.running_var", "layer3.2.bn2.running_var"),
        ("fc.weight", "linear.weight"),
        ("fc.bias", "linear.bias"),
    ] {
        assert_eq!(IDELBAYEV.theirs(ours), theirs);
    }
}

#[test]
fn parameters_are_the_published() {
    let device = device();
    for (config, published) in [
        (CifarResNetConfig::resnet20(10), 269_722),
        (CifarResNetConfig::resnet32(10), 464_154),
        (CifarResNetConfig::resnet44(10), 658_586),
        (CifarResNetConfig::resnet56(10), 853_018),
        (CifarResNetConfig::resnet8_digits(10), 75_002),
        (CifarResNetConfig::resnet8_mnist(10), 75_002),
    ] {
        assert_eq!(config.init(&device).expect("valid").num_params(), published, "{config:?}");
    }
}

#[test]
fn any_size_of_image_will_do() {
    let device = device();
    let model = CifarResNetConfig::tiny().init(&device).expect("valid");
    for [height, width] in [[1, 1], [7, 3], [31, 29]] {
        assert_eq!(model.forward(Tensor::zeros([2, 2, height, width], &device)).dims(), [2, 5]);
    }
    assert_eq!(model.forward_maps(Tensor::zeros([1, 2, 31, 29], &device)).dims(), [1, 12, 8, 8]);
}

#[test]
fn what_is_wrong_is_named() {
    let error =
        |config: CifarResNetConfig| config.init(&device()).expect_err("a wrong configuration").to_string();
    for depth in [0, 2, 18, 21, 1208] {
        assert_eq!(
            error(CifarResNetConfig { depth, ..CifarResNetConfig::tiny() }),
            format!(
                "`depth` must be 6n + 2 (8, 14, 20, 32, 44, 56, ...), not {depth}: three stages of n blocks of two layers"
            )
        );
    }
    assert_eq!(
        error(CifarResNetConfig { stem_stride: 0, ..CifarResNetConfig::tiny() }),
        "`stem_stride` must be between 1 and 16, not 0"
    );
}
