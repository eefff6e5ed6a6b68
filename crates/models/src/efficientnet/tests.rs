use burn::module::{Module, Param};
use burn::tensor::Tensor;
use libellus_backend::testing::device;
use libellus_layers::{ConvNorm, InvertedResidual};

use super::{EfficientNet, EfficientNetConfig, Layer, TORCHVISION};
use crate::testing::Golden;

/// The first convolution.
fn stem(model: &EfficientNet) -> &ConvNorm {
    match &model.features[0] {
        Layer::ConvNorm(layer) => layer,
        other => panic!("not a convolution: {other:?}"),
    }
}

fn stage(model: &EfficientNet, index: usize) -> &[InvertedResidual] {
    match &model.features[index] {
        Layer::Stage(blocks) => blocks,
        other => panic!("not a stage: {other:?}"),
    }
}

#[test]
fn agrees_with_torchvision() {
    let golden = Golden::open("efficientnet");
    let config = EfficientNetConfig::tiny();
    let plain = device();
    let model = golden.load(config.init(&plain).expect("valid"), &TORCHVISION);
    let images = golden.tensor::<4>("images", &plain);
    let mut maps = images.clone();
    for (index, layer) in model.features.iter().enumerate() {
        maps = layer.forward(maps);
        if [1, 2].contains(&index) {
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
    let block = &stage(&model, 2)[1];
    golden.check("train.features.2.1.block.3.1.running_mean", block.project.norm.running_mean.value());
    golden.check("train.features.2.1.block.3.1.running_var", block.project.norm.running_var.value());
    let gradients = (logits * golden.tensor("coefficients", &device)).sum().backward();
    let gradient = |weight: &Param<Tensor<4>>| weight.grad(&gradients).expect("required");
    golden.check("gradient.images", images.grad(&gradients).expect("required"));
    golden.check("gradient.features.0.0.weight", gradient(&stem(&model).conv.weight));
    let squeeze = block.squeeze.as_ref().expect("every block has one");
    golden.check("gradient.features.2.1.block.2.fc1.weight", gradient(&squeeze.fc1.weight));
    golden.check("gradient.classifier.1.weight", model.classifier.weight.grad(&gradients).expect("required"));
}

#[test]
fn parameters_are_the_published() {
    let device = device();
    for (config, published) in [
        (EfficientNetConfig::efficientnet_b0(1000), 5_288_548),
        (EfficientNetConfig::efficientnet_b1(1000), 7_794_184),
        (EfficientNetConfig::efficientnet_b2(1000), 9_109_994),
        (EfficientNetConfig::efficientnet_b3(1000), 12_233_232),
        (EfficientNetConfig::efficientnet_b4(1000), 19_341_616),
    ] {
        assert_eq!(config.init(&device).expect("valid").num_params(), published, "{config:?}");
    }
}

/// As torchvision's `sd_prob` for the first, an inner and the last of B0's sixteen blocks.
#[test]
fn deeper_blocks_are_dropped_more_often() {
    let model = EfficientNetConfig::efficientnet_b0(7).init(&device()).expect("valid");
    assert_eq!(stage(&model, 1)[0].drop_path.probability, 0.0);
    assert_eq!(stage(&model, 4)[1].drop_path.probability, 0.2 * 6.0 / 16.0);
    assert_eq!(stage(&model, 7)[0].drop_path.probability, 0.2 * 15.0 / 16.0);
}

#[test]
fn any_size_of_image_will_do() {
    let device = device();
    let model = EfficientNetConfig::tiny().init(&device).expect("valid");
    for [height, width] in [[1, 1], [7, 3], [67, 31]] {
        assert_eq!(model.forward(Tensor::zeros([2, 2, height, width], &device)).dims(), [2, 5]);
    }
    assert_eq!(model.forward_maps(Tensor::zeros([1, 2, 67, 31], &device)).dims(), [1, 17, 17, 8]);
}

#[test]
fn what_is_wrong_is_named() {
    let error =
        |config: EfficientNetConfig| config.init(&device()).expect_err("a wrong configuration").to_string();
    let mut config = EfficientNetConfig::tiny();
    config.stages[1].kernel = 4;
    assert_eq!(error(config), "`kernel` must be odd, not 4: an even one changes the size of the maps");
    assert_eq!(
        error(EfficientNetConfig { last_width: 0, ..EfficientNetConfig::tiny() }),
        "`last_width` must be between 1 and 131072, not 0"
    );
    assert_eq!(
        error(EfficientNetConfig { drop_path: 1.5, ..EfficientNetConfig::tiny() }),
        "`drop_path` must be at least 0 and less than 1, not 1.5"
    );
}
