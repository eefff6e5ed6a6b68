use burn::module::Module;
use burn::tensor::Tensor;
use libellus_backend::testing::device;

use super::{Layer, MobileNetV2, MobileNetV2Config, TORCHVISION};
use crate::testing::Golden;

/// The first convolution.
fn stem(model: &MobileNetV2) -> &libellus_layers::ConvNorm {
    match &model.features[0] {
        Layer::ConvNorm(layer) => layer,
        other => panic!("not a convolution: {other:?}"),
    }
}

fn block(model: &MobileNetV2, index: usize) -> &libellus_layers::InvertedResidual {
    match &model.features[index] {
        Layer::Block(block) => block,
        other => panic!("not a block: {other:?}"),
    }
}

#[test]
fn agrees_with_torchvision() {
    let golden = Golden::open("mobilenet_v2");
    let config = MobileNetV2Config::tiny();
    let plain = device();
    let model = golden.load(config.init(&plain).expect("valid"), &TORCHVISION);
    let images = golden.tensor::<4>("images", &plain);
    let mut maps = images.clone();
    for (index, layer) in model.features.iter().enumerate() {
        maps = layer.forward(maps);
        if [1, 3].contains(&index) {
            golden.check(&format!("eval.features.{index}"), maps.clone());
        }
    }
    golden.check("eval.features", maps);
    golden.check("eval.logits", model.forward(images));

    let device = plain.autodiff();
    let model = golden.load(config.init(&device).expect("valid"), &TORCHVISION);
    let images = golden.tensor::<4>("images", &device).require_grad();
    let logits = model.forward(images.clone());
    golden.check("train.logits", logits.clone());
    let norm = &block(&model, 1).project.norm;
    golden.check("train.features.1.conv.2.running_mean", norm.running_mean.value());
    golden.check("train.features.1.conv.2.running_var", norm.running_var.value());
    let gradients = (logits * golden.tensor("coefficients", &device)).sum().backward();
    let gradient = |weight: &burn::module::Param<Tensor<4>>| weight.grad(&gradients).expect("required");
    golden.check("gradient.images", images.grad(&gradients).expect("required"));
    golden.check("gradient.features.0.0.weight", gradient(&stem(&model).conv.weight));
    golden.check("gradient.features.2.conv.1.0.weight", gradient(&block(&model, 2).depthwise.conv.weight));
    golden.check("gradient.classifier.1.weight", model.classifier.weight.grad(&gradients).expect("required"));
}

#[test]
fn parameters_are_the_published() {
    let config = MobileNetV2Config::mobilenet_v2(1000);
    assert_eq!(config.init(&device()).expect("valid").num_params(), 3_504_872);
}

#[test]
fn any_size_of_image_will_do() {
    let device = device();
    let model = MobileNetV2Config::tiny().init(&device).expect("valid");
    for [height, width] in [[1, 1], [7, 3], [67, 31]] {
        assert_eq!(model.forward(Tensor::zeros([2, 2, height, width], &device)).dims(), [2, 5]);
    }
    assert_eq!(model.forward_maps(Tensor::zeros([1, 2, 67, 31], &device)).dims(), [1, 13, 17, 8]);
}

#[test]
fn what_is_wrong_is_named() {
    let error =
        |config: MobileNetV2Config| config.init(&device()).expect_err("a wrong configuration").to_string();
    assert_eq!(
        error(MobileNetV2Config { stages: vec![], ..MobileNetV2Config::tiny() }),
        "`stages` must be between 1 and 64, not 0"
    );
    let mut config = MobileNetV2Config::tiny();
    config.stages[1].stride = 0;
    assert_eq!(error(config), "`stride` must be between 1 and 16, not 0");
    assert_eq!(
        error(MobileNetV2Config { expansion: 0, ..MobileNetV2Config::tiny() }),
        "`expansion` must be between 1 and 32, not 0"
    );
}
