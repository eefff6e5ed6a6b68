use burn::module::Module;
use burn::tensor::Tensor;
use libellus_backend::testing::device;

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
