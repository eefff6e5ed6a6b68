//! Properties that every architecture has.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read, reference};
use libellus_layers::trace::{Event, shapes};
use libellus_weights::{Checkpoint, Layout, LoadOptions, load, save};

use crate::VitConfig;
use crate::testing::{images, parameter_gradients, scalar};
use crate::vit::VitPooling;
use crate::{
    CifarResNetConfig, Classifier, ClassifierConfig, ClassifierPreset, ConfigError, ConvNeXtConfig,
    EfficientNetConfig, InputSpec, LeNet5Config, MlpConfig, MobileNetV2Config, ResNetConfig, VggConfig,
    preset, resnet::BlockKind,
};

/// A tiny model of each architecture, nothing in it left to chance.
fn tiny() -> Vec<ClassifierConfig> {
    let bottleneck = ResNetConfig { block: BlockKind::Bottleneck, ..ResNetConfig::tiny() };
    vec![
        ClassifierConfig::Mlp(MlpConfig { dropout: 0.0, ..MlpConfig::tiny() }),
        ClassifierConfig::LeNet5(LeNet5Config::tiny()),
        ClassifierConfig::ResNet(ResNetConfig::tiny()),
        ClassifierConfig::ResNet(bottleneck),
        ClassifierConfig::CifarResNet(CifarResNetConfig::tiny()),
        ClassifierConfig::Vgg(VggConfig::tiny()),
        ClassifierConfig::MobileNetV2(MobileNetV2Config::tiny()),
        ClassifierConfig::EfficientNet(EfficientNetConfig::tiny()),
        ClassifierConfig::ConvNeXt(ConvNeXtConfig::tiny()),
        ClassifierConfig::Vit(VitConfig::tiny()),
        ClassifierConfig::Vit(VitConfig { pooling: VitPooling::Mean, ..VitConfig::tiny() }),
    ]
}

/// The same with units, or whole blocks, dropped in training.
fn dropping() -> Vec<ClassifierConfig> {
    vec![
        ClassifierConfig::Mlp(MlpConfig { dropout: 0.5, ..MlpConfig::tiny() }),
        ClassifierConfig::ResNet(ResNetConfig { drop_path: 0.9, ..ResNetConfig::tiny() }),
        ClassifierConfig::CifarResNet(CifarResNetConfig { drop_path: 0.9, ..CifarResNetConfig::tiny() }),
        ClassifierConfig::Vgg(VggConfig { dropout: 0.5, ..VggConfig::tiny() }),
        ClassifierConfig::MobileNetV2(MobileNetV2Config { dropout: 0.5, ..MobileNetV2Config::tiny() }),
        ClassifierConfig::EfficientNet(EfficientNetConfig { drop_path: 0.9, ..EfficientNetConfig::tiny() }),
        ClassifierConfig::ConvNeXt(ConvNeXtConfig { drop_path: 0.9, ..ConvNeXtConfig::tiny() }),
        ClassifierConfig::Vit(VitConfig { drop_path: 0.9, ..VitConfig::tiny() }),
        ClassifierConfig::Vit(VitConfig { dropout: 0.5, ..VitConfig::tiny() }),
    ]
}

fn classifier(name: &str) -> &'static ClassifierPreset {
    preset(name).expect("a preset").classifier().expect("a classifier")
}

fn has_batch_norms(config: &ClassifierConfig) -> bool {
    match config {
        ClassifierConfig::Mlp(_)
        | ClassifierConfig::LeNet5(_)
        | ClassifierConfig::ConvNeXt(_)
        | ClassifierConfig::Vit(_) => false,
        ClassifierConfig::Vgg(config) => config.batch_norm,
        _ => true,
    }
}

fn init(config: &ClassifierConfig, device: &Device) -> Classifier {
    device.seed(11);
    config.init(device).expect("a valid configuration")
}

fn batch(config: &ClassifierConfig, size: usize, device: &Device) -> Tensor<4> {
    let [height, width] = config.input_size().unwrap_or([37, 41]);
    images([size, config.in_channels(), height, width], device)
}

#[test]
fn logits_and_features_have_their_shapes() {
    let device = device();
    for config in tiny() {
        let model = init(&config, &device);
        let images = batch(&config, 3, &device);
        assert_eq!(model.forward(images.clone()).dims(), [3, config.num_classes()], "{config:?}");
        assert_eq!(model.forward_features(images).dims()[0], 3, "{config:?}");
    }
}

#[test]
fn a_batch_gives_what_its_images_give_alone() {
    let device = device();
    for config in tiny() {
        let model = init(&config, &device);
        let images = batch(&config, 5, &device);
        let together = read(model.forward(images.clone()));
        let alone = (0..5).map(|index| model.forward(images.clone().narrow(0, index, 1))).collect();
        // The same sums, which may be taken in another order: a few units of f32's rounding.
        assert_close(&read(Tensor::cat(alone, 0)), &together, 2e-6);
    }
}

#[test]
fn every_parameter_gets_a_finite_gradient_that_is_not_zero() {
    let device = device().autodiff();
    for config in tiny() {
        let model = init(&config, &device);
        let gradients = scalar(model.forward(batch(&config, 3, &device))).backward();
        let found = parameter_gradients(&model, &gradients);
        assert!(!found.is_empty());
        for gradient in found {
            let values =
                gradient.values.unwrap_or_else(|| panic!("{} has no gradient in {config:?}", gradient.name));
            assert!(values.iter::<f32>().all(f32::is_finite), "{} in {config:?}", gradient.name);
            assert!(values.iter::<f32>().any(|value| value != 0.0), "{} in {config:?}", gradient.name);
        }
    }
}

#[test]
fn training_updates_the_running_statistics_and_evaluation_does_not() {
    let device = device().autodiff();
    for config in tiny() {
        if !has_batch_norms(&config) {
            continue;
        }
        let model = init(&config, &device);
        let images = batch(&config, 3, &device);
        let evaluate = |model: &Classifier| read(model.valid().forward(images.clone().without_autodiff()));
        let before = evaluate(&model);
        assert_eq!(before, evaluate(&model));
        let _ = model.forward(images.clone());
        assert_ne!(before, evaluate(&model), "{config:?}");
    }
}

#[test]
fn dropping_is_set_where_there_is_something_to_drop() {
    for config in tiny() {
        let fields = serde_json::to_value(&config).expect("plain data");
        let value = |config: ClassifierConfig, field: &str| {
            serde_json::to_value(config).expect("plain data")[field].as_f64()
        };
        for (field, set) in
            [("dropout", config.clone().with_dropout(0.5)), ("drop_path", config.clone().with_drop_path(0.5))]
        {
            let expected = fields.get(field).map(|_| 0.5);
            assert_eq!(set.and_then(|config| value(config, field)), expected, "{field} of {config:?}");
        }
    }
}

#[test]
fn nothing_is_dropped_in_evaluation() {
    let device = device().autodiff();
    for config in dropping() {
        let model = init(&config, &device);
        let images = batch(&config, 7, &device);
        let training: Vec<_> = (0..2).map(|_| read(model.forward(images.clone()))).collect();
        assert_ne!(training[0], training[1], "{config:?}");
        let model = model.valid();
        let images = images.without_autodiff();
        assert_eq!(read(model.forward(images.clone())), read(model.forward(images)), "{config:?}");
    }
}

#[test]
fn a_saved_and_loaded_model_gives_the_same() {
    let device = device();
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (config, layout) in tiny().into_iter().flat_map(|config| {
        let layouts = config.layouts().into_iter().chain([Layout::NATIVE]);
        layouts.map(move |layout| (config.clone(), layout)).collect::<Vec<_>>()
    }) {
        let path = folder.path().join("model.safetensors");
        let model = init(&config, &device.clone().autodiff());
        // Statistics that differ from those of a fresh model.
        let _ = model.forward(batch(&config, 3, &device.clone().autodiff()));
        save(&model, &path, &layout, &BTreeMap::new()).expect("a writable folder");
        let images = batch(&config, 3, &device);
        let expected = read(model.valid().forward(images.clone()));

        device.seed(12);
        let fresh = config.init(&device).expect("a valid configuration");
        let checkpoint = Checkpoint::open(&path).expect("what was just written");
        let loaded =
            load(fresh, &checkpoint, &layout, &LoadOptions::default()).expect("the same architecture");
        assert_eq!(read(loaded.forward(images)), expected, "{config:?} as {}", layout.name);
    }
}

#[test]
fn the_head_pattern_fits_the_last_layer_alone() {
    let device = device();
    let folder = tempfile::tempdir().expect("a temporary folder");
    for config in tiny() {
        let path = folder.path().join("model.safetensors");
        let model = init(&config, &device);
        save(&model, &path, &Layout::NATIVE, &BTreeMap::new()).expect("a writable folder");
        let checkpoint = Checkpoint::open(&path).expect("what was just written");
        let head: Vec<_> =
            checkpoint.names().filter(|name| libellus_weights::matches(model.head_pattern(), name)).collect();
        assert_eq!(head.len(), 2, "{head:?}");

        let wider = config.clone().with_num_classes(config.num_classes() + 2);
        let options = LoadOptions { ignore: vec![model.head_pattern().to_owned()] };
        let transferred = load(init(&wider, &device), &checkpoint, &Layout::NATIVE, &options)
            .expect("everything but the head fits");
        let images = batch(&config, 3, &device);
        assert_eq!(
            read(transferred.forward_features(images.clone())),
            read(model.forward_features(images)),
            "{config:?}"
        );
    }
}

/// Logits in training and after it, and all gradients.
fn train_and_evaluate(model: &Classifier, images: Tensor<4>) -> Vec<(String, TensorData)> {
    let images = images.require_grad();
    let logits = model.forward(images.clone());
    let mut results = vec![("logits".to_owned(), read(logits.clone()))];
    let gradients = scalar(logits).backward();
    results.push(("images".to_owned(), read(images.grad(&gradients).expect("the images require it"))));
    for gradient in parameter_gradients(model, &gradients) {
        results.push((gradient.name, gradient.values.expect("every parameter has one")));
    }
    results.push(("evaluated".to_owned(), read(model.valid().forward(images.without_autodiff()))));
    results
}

/// Makes every parameter f64.
struct ToF64;

impl ModuleMapper for ToF64 {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let options = (&tensor.device(), DType::F64);
            Tensor::from_data(read(tensor.clone()), options).set_require_grad(tensor.is_require_grad())
        })
    }
}

#[test]
fn the_device_under_test_agrees_with_the_reference() {
    let [tested, trusted] = [device().autodiff(), reference().autodiff()];
    for config in tiny() {
        // A seed with which no rectifier's input is so near to zero that rounding decides on which side it is.
        trusted.seed(15);
        let model = config.init(&trusted).expect("a valid configuration").materialize();
        let copy = init(&config, &tested).load_record(model.clone().into_record());
        // In f64, so that what remains is the rounding of the device under test alone.
        let images = Tensor::from_data(read(batch(&config, 3, &trusted)), (&trusted, DType::F64));
        let expected = train_and_evaluate(&model.map(&mut ToF64), images);
        let actual = train_and_evaluate(&copy, batch(&config, 3, &tested));
        let largest = |values: &TensorData| {
            values.iter::<f32>().fold(0.0f32, |largest, value| largest.max(value.abs()))
        };
        let scale = expected.iter().map(|(_, values)| largest(values)).fold(0.0, f32::max);
        for ((name, expected), (_, actual)) in expected.iter().zip(&actual) {
            let own = largest(expected);
            assert!(own > 0.0, "{name} in {config:?}");
            // Sums in another order through a dozen layers, forward and back, with batch norms over as few as six values.
            // A gradient that is nothing but terms that cancel, as that of a shift before a batch norm, has the rounding
            // of those terms: it is compared at a thousandth of the largest.
            let tolerance = 1e-4 * (1e-3 * scale / own).max(1.0);
            // Shown if the comparison fails.
            println!("{name} of {config:?}");
            assert_close(actual, expected, tolerance.into());
        }
    }
}

/// torchvision's `_ops` for one image of the size that the weights were evaluated on, in billions of multiplications
/// and additions to three digits.
#[test]
fn costs_are_the_published() {
    for (name, published) in [
        ("resnet18", 1.814),
        ("resnet34", 3.664),
        ("resnet50", 4.089),
        ("resnet101", 7.801),
        ("resnet152", 11.514),
        ("resnext50_32x4d", 4.230),
        ("wide_resnet50_2", 11.398),
        ("vgg11", 7.609),
        ("vgg13", 11.308),
        ("vgg16_bn", 15.470),
        ("vgg19", 19.632),
        ("mobilenet_v2", 0.301),
        ("efficientnet_b0", 0.386),
        ("efficientnet_b1", 0.687),
        ("efficientnet_b2", 1.088),
        ("efficientnet_b3", 1.827),
        ("efficientnet_b4", 4.394),
        ("convnext_tiny", 4.456),
        ("convnext_small", 8.684),
        ("convnext_base", 15.355),
    ] {
        let config = preset(name).expect("a preset").config();
        let model = config.init(&device()).expect("a valid preset");
        let (outputs, events) =
            shapes(|| config.run(&model, &config.example().expect("small"))).expect("small");
        outputs.expect("its own example");
        let layers = events.iter().filter_map(|event| match event {
            Event::Layer(layer) => Some(layer.macs),
            _ => None,
        });
        let billions = layers.sum::<u64>() as f64 / 1e9;
        assert!((billions - published).abs() < 0.000_6, "{name}: {billions} instead of {published}");
    }
}

#[test]
fn configurations_are_strict_data() {
    for config in tiny() {
        let text = toml::to_string(&config).expect("plain data");
        assert_eq!(toml::from_str::<ClassifierConfig>(&text).expect("what was just written"), config);
        let error =
            toml::from_str::<ClassifierConfig>(&format!("heads = 3\n{text}")).expect_err("an unknown key");
        assert!(error.to_string().contains("unknown field `heads`"), "{error}");
    }
    let error =
        toml::from_str::<ClassifierConfig>("architecture = \"resnext\"").expect_err("an unknown name");
    assert!(
        error.to_string().contains("unknown variant `resnext`, expected one of `mlp`, `lenet5`"),
        "{error}"
    );
    let text = "architecture = \"cifar_resnet\"\nnum_classes = 10\nin_channels = 3\ndepth = 20\nwidth = -16\nstem_stride = 1";
    let error = toml::from_str::<ClassifierConfig>(text).expect_err("a negative width");
    assert!(error.to_string().contains("`width`: invalid value: integer `-16`"), "{error}");
}

#[test]
fn what_can_be_left_out_is_left_out() {
    let text =
        "architecture = \"mlp\"\nnum_classes = 10\nin_channels = 1\ninput_size = [8, 8]\nhidden = [128, 128]";
    let config: ClassifierConfig = toml::from_str(text).expect("all that is required");
    assert_eq!(config, classifier("mlp").config());
}

#[test]
fn images_must_fit() {
    let digits = classifier("mlp");
    let config = digits.config();
    let larger = digits.input.clone().with_size(28, 28);
    let error = config.check_input(&larger).expect_err("another size");
    assert_eq!(
        error.to_string(),
        "the model takes images of 1x8x8, the input is 1x28x28 (channels x height x width)"
    );
    assert_eq!(config.with_input_size(28, 28).check_input(&larger), Ok(()));

    let resnet = classifier("resnet20");
    let config = resnet.config();
    assert_eq!(config.check_input(&resnet.input.clone().with_size(61, 17)), Ok(()));
    let grey = InputSpec::with_channels(resnet.input.clone(), 1);
    assert!(matches!(config.check_input(&grey), Err(ConfigError::InputMismatch { .. })));
    let vgg = classifier("vgg11");
    let error = vgg.config().check_input(&vgg.input.clone().with_size(31, 64)).expect_err("too small");
    assert_eq!(error.to_string(), "the model takes images of at least 32x32 pixels, the input is 31x64");
    assert!(grey.mean.len() == 1 && (grey.mean[0] - 0.4734).abs() < 1e-4);
}
