use burn::module::Module;
use burn::tensor::Tensor;
use libellus_backend::testing::device;

use super::{Layer, TORCHVISION, VggConfig};
use crate::testing::Golden;

fn assert_agrees_with_torchvision(name: &str, config: VggConfig) {
    let golden = Golden::open(name);
    let plain = device();
    let model = golden.load(config.init(&plain).expect("valid"), &TORCHVISION);
    let images = golden.tensor::<4>("images", &plain);
    let maps = model.forward_maps(images.clone());
    golden.check("eval.features", maps.clone());
    golden.check("eval.avgpool", model.avgpool.forward(maps));
    golden.check("eval.logits", model.forward(images));

    let device = plain.autodiff();
    let model = golden.load(config.init(&device).expect("valid"), &TORCHVISION);
    let images = golden.tensor::<4>("images", &device).require_grad();
    let logits = model.forward(images.clone());
    golden.check("train.logits", logits.clone());
    if let Layer::Norm(norm) = &model.features[1] {
        golden.check("train.features.1.running_mean", norm.running_mean.value());
        golden.check("train.features.1.running_var", norm.running_var.value());
    }
    let gradients = (logits * golden.tensor("coefficients", &device)).sum().backward();
    golden.check("gradient.images", images.grad(&gradients).expect("required"));
    let Layer::Conv(first) = &model.features[0] else { panic!("not a convolution: {:?}", model.features[0]) };
    golden.check("gradient.features.0.weight", first.weight.grad(&gradients).expect("required"));
    golden.check("gradient.classifier.3.weight", model.fc2.weight.grad(&gradients).expect("required"));
    golden.check("gradient.classifier.6.weight", model.head.weight.grad(&gradients).expect("required"));
}

#[test]
fn agrees_with_torchvision() {
    assert_agrees_with_torchvision("vgg_plain", VggConfig::tiny());
}

#[test]
fn with_batch_norms_agrees_with_torchvision() {
    assert_agrees_with_torchvision("vgg_bn", VggConfig { batch_norm: true, ..VggConfig::tiny() });
}

#[test]
fn parameters_are_the_published() {
    let device = device();
    for (config, published) in [
        (VggConfig::vgg11(1000), 132_863_336),
        (VggConfig::vgg11_bn(1000), 132_868_840),
        (VggConfig::vgg13(1000), 133_047_848),
        (VggConfig::vgg13_bn(1000), 133_053_736),
        (VggConfig::vgg16(1000), 138_357_544),
        (VggConfig::vgg16_bn(1000), 138_365_992),
        (VggConfig::vgg19(1000), 143_667_240),
        (VggConfig::vgg19_bn(1000), 143_678_248),
    ] {
        assert_eq!(config.init(&device).expect("valid").num_params(), published, "{config:?}");
    }
}

#[test]
fn any_size_from_32_pixels_will_do() {
    let device = device();
    let model = VggConfig::tiny().init(&device).expect("valid");
    for [height, width] in [[32, 32], [33, 95], [257, 41]] {
        assert_eq!(model.forward(Tensor::zeros([2, 2, height, width], &device)).dims(), [2, 5]);
    }
    assert_eq!(model.forward_maps(Tensor::zeros([1, 2, 95, 257], &device)).dims(), [1, 16, 2, 8]);
}

#[test]
#[should_panic(expected = "at least 32x32 pixels, not 31x64")]
fn smaller_images_are_refused() {
    let device = device();
    VggConfig::tiny().init(&device).expect("valid").forward(Tensor::zeros([1, 2, 31, 64], &device));
}

#[test]
fn what_is_wrong_is_named() {
    let error = |config: VggConfig| config.init(&device()).expect_err("a wrong configuration").to_string();
    assert_eq!(
        error(VggConfig { depths: [1, 1, 17, 1, 1], ..VggConfig::tiny() }),
        "`depths` must be between 1 and 16, not 17"
    );
    assert_eq!(
        error(VggConfig { dropout: 1.0, ..VggConfig::tiny() }),
        "`dropout` must be at least 0 and less than 1, not 1"
    );
}
