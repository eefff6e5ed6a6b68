use burn::module::Module;
use burn::tensor::Tensor;
use libellus_backend::testing::device;

use super::{ConvNeXtConfig, TORCHVISION};
use crate::testing::Golden;

#[test]
fn agrees_with_torchvision() {
    let golden = Golden::open("convnext");
    let config = ConvNeXtConfig::tiny();
    let plain = device();
    let model = golden.load(config.init(&plain).expect("valid"), &TORCHVISION);
    let images = golden.tensor::<4>("images", &plain);
    golden.check("eval.features.0", model.stem.forward(images.clone()));
    let [_, second, _, fourth] = model.forward_maps(images.clone());
    golden.check("eval.features.3", second);
    golden.check("eval.features.7", fourth);
    golden.check("eval.logits", model.forward(images));

    let device = plain.autodiff();
    let model = golden.load(config.init(&device).expect("valid"), &TORCHVISION);
    let images = golden.tensor::<4>("images", &device).require_grad();
    let logits = model.forward(images.clone());
    golden.check("train.logits", logits.clone());
    let gradients = (logits * golden.tensor("coefficients", &device)).sum().backward();
    golden.check("gradient.images", images.grad(&gradients).expect("required"));
    let stem = &model.stem.conv.weight;
    golden.check("gradient.features.0.0.weight", stem.grad(&gradients).expect("required"));
    let block = &model.stages[1].blocks[1];
    golden.check("gradient.features.3.1.layer_scale", block.layer_scale.grad(&gradients).expect("required"));
    golden.check(
        "gradient.features.3.1.block.3.weight",
        block.expand.weight.grad(&gradients).expect("required"),
    );
    golden.check("gradient.classifier.2.weight", model.head.weight.grad(&gradients).expect("required"));
}

#[test]
fn parameters_are_the_published() {
    let device = device();
    for (config, published) in [
        (ConvNeXtConfig::convnext_tiny(1000), 28_589_128),
        (ConvNeXtConfig::convnext_small(1000), 50_223_688),
        (ConvNeXtConfig::convnext_base(1000), 88_591_464),
    ] {
        assert_eq!(config.init(&device).expect("valid").num_params(), published, "{config:?}");
    }
}

#[test]
fn deeper_blocks_are_dropped_more_often() {
    let model = ConvNeXtConfig::convnext_tiny(7).init(&device()).expect("valid");
    let probability = |stage: usize, block: usize| model.stages[stage].blocks[block].drop_path.probability;
    assert_eq!([probability(0, 0), probability(3, 2)], [0.0, 0.1]);
    assert_eq!(probability(1, 1), 0.1 * 4.0 / 17.0);
}

#[test]
fn any_size_from_32_pixels_will_do() {
    let device = device();
    let model = ConvNeXtConfig::tiny().init(&device).expect("valid");
    for [height, width] in [[32, 32], [33, 67]] {
        assert_eq!(model.forward(Tensor::zeros([2, 2, height, width], &device)).dims(), [2, 5]);
    }
    let maps = model.forward_maps(Tensor::zeros([1, 2, 67, 97], &device)).map(|maps| maps.dims());
    assert_eq!(maps, [[1, 3, 16, 24], [1, 6, 8, 12], [1, 12, 4, 6], [1, 24, 2, 3]]);
}

#[test]
#[should_panic(expected = "at least 32x32 pixels, not 31x64")]
fn smaller_images_are_refused() {
    let device = device();
    ConvNeXtConfig::tiny().init(&device).expect("valid").forward(Tensor::zeros([1, 2, 31, 64], &device));
}

#[test]
fn what_is_wrong_is_named() {
    let error =
        |config: ConvNeXtConfig| config.init(&device()).expect_err("a wrong configuration").to_string();
    assert_eq!(
        error(ConvNeXtConfig { depths: [3, 3, 0, 3], ..ConvNeXtConfig::tiny() }),
        "`depths` must be between 1 and 256, not 0"
    );
    assert_eq!(
        error(ConvNeXtConfig { layer_scale: f64::NAN, ..ConvNeXtConfig::tiny() }),
        "`layer_scale` must be a finite number, not NaN"
    );
}
