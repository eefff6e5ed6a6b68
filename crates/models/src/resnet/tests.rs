use burn::module::Module;
use burn::tensor::Tensor;
use libellus_backend::testing::{device, read};
use libellus_layers::GammaInit;

use super::{BlockKind, ResNetConfig, TORCHVISION};
use crate::testing::{Golden, images};

fn assert_agrees_with_torchvision(name: &str, config: ResNetConfig) {
    let golden = Golden::open(name);
    let plain = device();
    let model = golden.load(config.init(&plain).expect("valid"), &TORCHVISION);
    let images = golden.tensor::<4>("images", &plain);
    let maps = model.forward_maps(images.clone());
    golden.check("eval.layer2", maps.layer2);
    golden.check("eval.layer4", maps.layer4);
    golden.check("eval.logits", model.forward(images));

    let device = plain.autodiff();
    let model = golden.load(config.init(&device).expect("valid"), &TORCHVISION);
    let images = golden.tensor::<4>("images", &device).require_grad();
    let logits = model.forward(images.clone());
    golden.check("train.logits", logits.clone());
    golden.check("train.bn1.running_mean", model.bn1.running_mean.value());
    golden.check("train.bn1.running_var", model.bn1.running_var.value());
    let projection = model.layer4[0].projection();
    golden.check("train.layer4.0.downsample.1.running_mean", projection.norm.running_mean.value());
    golden.check("train.layer4.0.downsample.1.running_var", projection.norm.running_var.value());
    let gradients = (logits * golden.tensor("coefficients", &device)).sum().backward();
    golden.check("gradient.images", images.grad(&gradients).expect("required"));
    golden.check("gradient.conv1.weight", model.conv1.weight.grad(&gradients).expect("required"));
    golden.check("gradient.fc.weight", model.fc.weight.grad(&gradients).expect("required"));
}

#[test]
fn with_basic_blocks_agrees_with_torchvision() {
    assert_agrees_with_torchvision("resnet_basic", ResNetConfig::tiny());
}

#[test]
fn with_bottlenecks_agrees_with_torchvision() {
    assert_agrees_with_torchvision(
        "resnet_bottleneck",
        ResNetConfig { block: BlockKind::Bottleneck, ..ResNetConfig::tiny() },
    );
}

#[test]
fn with_groups_agrees_with_torchvision() {
    assert_agrees_with_torchvision(
        "resnet_grouped",
        ResNetConfig {
            block: BlockKind::Bottleneck,
            width: 2,
            groups: 3,
            width_per_group: 32,
            ..ResNetConfig::tiny()
        },
    );
}

#[test]
fn parameters_are_the_published() {
    let device = device();
    for (config, published) in [
        (ResNetConfig::resnet18(1000), 11_689_512),
        (ResNetConfig::resnet34(1000), 21_797_672),
        (ResNetConfig::resnet50(1000), 25_557_032),
        (ResNetConfig::resnet101(1000), 44_549_160),
        (ResNetConfig::resnet152(1000), 60_192_808),
        (ResNetConfig::resnext50_32x4d(1000), 25_028_904),
        (ResNetConfig::wide_resnet50_2(1000), 68_883_240),
    ] {
        assert_eq!(config.init(&device).expect("valid").num_params(), published, "{config:?}");
    }
}

#[test]
fn any_size_of_image_will_do() {
    let device = device();
    let model = ResNetConfig::tiny().init(&device).expect("valid");
    for [height, width] in [[1, 1], [7, 3], [67, 31]] {
        assert_eq!(model.forward(Tensor::zeros([2, 2, height, width], &device)).dims(), [2, 5]);
    }
    let maps = model.forward_maps(Tensor::zeros([1, 2, 67, 31], &device));
    assert_eq!(maps.layer1.dims(), [1, 3, 17, 8]);
    assert_eq!(maps.layer2.dims(), [1, 6, 9, 4]);
    assert_eq!(maps.layer3.dims(), [1, 12, 5, 2]);
    assert_eq!(maps.layer4.dims(), [1, 24, 3, 1]);
}

/// With all last scales at zero, a block whose shortcut is the identity passes on what it gets, which no rectifier
/// changes any more.
#[test]
fn zero_scales_make_blocks_their_shortcuts() {
    let device = device().autodiff();
    for block in [BlockKind::Basic, BlockKind::Bottleneck] {
        let config = ResNetConfig { block, last_gamma: GammaInit::Zero, ..ResNetConfig::tiny() };
        let model = config.init(&device).expect("valid");
        let channels = model.layer2[1].channels_in();
        let maps = images([3, channels, 5, 7], &device).abs();
        assert_eq!(read(model.layer2[1].forward(maps.clone())), read(maps));
    }
}

#[test]
fn what_is_wrong_is_named() {
    let error = |config: ResNetConfig| config.init(&device()).expect_err("a wrong configuration").to_string();
    assert_eq!(
        error(ResNetConfig { depths: [2, 0, 2, 2], ..ResNetConfig::tiny() }),
        "`depths` must be between 1 and 256, not 0"
    );
    assert_eq!(
        error(ResNetConfig { groups: 2, ..ResNetConfig::tiny() }),
        "`groups` and `width_per_group` are for bottleneck blocks: basic ones have neither"
    );
    // Three channels for every 64 of a width of 3 are none.
    assert_eq!(
        error(ResNetConfig { block: BlockKind::Bottleneck, width_per_group: 3, ..ResNetConfig::tiny() }),
        "`width_per_group` must be between 1 and 131072, not 0"
    );
    assert_eq!(
        error(ResNetConfig { width: 1_000_000, ..ResNetConfig::tiny() }),
        "`width` must be between 1 and 4096, not 1000000"
    );
    assert_eq!(
        error(ResNetConfig { drop_path: -0.1, ..ResNetConfig::tiny() }),
        "`drop_path` must be at least 0 and less than 1, not -0.1"
    );
}

impl super::Block {
    fn projection(&self) -> &libellus_layers::Projection {
        let residual = match self {
            Self::Basic(block) => &block.residual,
            Self::Bottleneck(block) => &block.residual,
        };
        match &residual.shortcut {
            libellus_layers::Shortcut::Projection(projection) => projection,
            other => panic!("not a projection: {other:?}"),
        }
    }

    fn channels_in(&self) -> usize {
        match self {
            Self::Basic(block) => block.conv1.weight.dims()[1],
            Self::Bottleneck(block) => block.conv1.weight.dims()[1],
        }
    }
}
