use burn::module::Module;
use burn::tensor::Tensor;
use libellus_backend::testing::{assert_close, device, read};

use super::{Convolutions, Norm, PYTORCH_UNET, UNetConfig, UpSample, Upsampling};
use crate::testing::{Golden, images, parameter_gradients};
use crate::{Architecture, Tensors};

fn valid() -> UNetConfig {
    UNetConfig { convolutions: Convolutions::Valid, batch_norm: false, ..UNetConfig::tiny() }
}

fn bilinear() -> UNetConfig {
    UNetConfig { width: 4, upsampling: Upsampling::Bilinear, ..UNetConfig::tiny() }
}

fn assert_agrees_with_pytorch(name: &str, config: UNetConfig) {
    let golden = Golden::open(name);
    let plain = device();
    let model = golden.load(config.init(&plain).expect("valid"), &PYTORCH_UNET);
    let images = golden.tensor::<4>("images", &plain);
    let first = model.inc.forward(images.clone());
    let second = model.down[0].forward(model.pool.forward(first.clone()));
    golden.check("eval.down1", second.clone());
    let third = model.down[1].forward(model.pool.forward(second.clone()));
    golden.check("eval.down2", third.clone());
    golden.check("eval.up1", model.up[0].forward(third, second));
    golden.check("eval.logits", model.forward(images));

    let device = plain.autodiff();
    let model = golden.load(config.init(&device).expect("valid"), &PYTORCH_UNET);
    let images = golden.tensor::<4>("images", &device).require_grad();
    let logits = model.forward(images.clone());
    golden.check("train.logits", logits.clone());
    if let Norm::Batch(norm) = &model.inc.norm1 {
        golden.check("train.inc.double_conv.1.running_mean", norm.running_mean.value());
        golden.check("train.inc.double_conv.1.running_var", norm.running_var.value());
    }
    let gradients = (logits * golden.tensor("coefficients", &device)).sum().backward();
    golden.check("gradient.images", images.grad(&gradients).expect("required"));
    let first = &model.inc.conv1.weight;
    golden.check("gradient.inc.double_conv.0.weight", first.grad(&gradients).expect("required"));
    golden.check("gradient.outc.conv.weight", model.outc.weight.grad(&gradients).expect("required"));
    if let UpSample::Transposed(up) = &model.up[0].up {
        golden.check("gradient.up1.up.weight", up.weight.grad(&gradients).expect("required"));
    }
}

#[test]
fn with_padding_and_norms_agrees_with_pytorch() {
    assert_agrees_with_pytorch("unet_same", UNetConfig::tiny());
}

#[test]
fn without_padding_and_norms_agrees_with_pytorch() {
    assert_agrees_with_pytorch("unet_valid", valid());
}

#[test]
fn with_interpolation_agrees_with_pytorch() {
    assert_agrees_with_pytorch("unet_bilinear", bilinear());
}

/// The first two are published; the third is the reference's with `bilinear=True`.
#[test]
fn parameters_are_the_published() {
    let device = device();
    for (config, published) in [
        (UNetConfig::unet(2), 31_030_658),
        (UNetConfig::unet_bn(2), 31_037_698),
        (UNetConfig { upsampling: Upsampling::Bilinear, ..UNetConfig::unet_bn(2) }, 17_263_042),
    ] {
        assert_eq!(config.init(&device).expect("valid").num_params(), published, "{config:?}");
    }
}

#[test]
fn the_papers_network_has_the_papers_size() {
    assert_eq!(UNetConfig::unet(2).output_size([572, 572]), Some([388, 388]));
}

#[test]
fn logits_have_the_size_that_is_said() {
    let device = device();
    for config in [UNetConfig::tiny(), valid(), bilinear()] {
        let model = config.init(&device).expect("valid");
        let mut sizes = 0;
        for side in 4..71 {
            let Some([height, width]) = config.output_size([side, 61]) else { continue };
            let logits = model.forward(Tensor::zeros([1, 2, side, 61], &device));
            assert_eq!(logits.dims(), [1, 3, height, width], "{side} in {config:?}");
            sizes += 1;
        }
        assert!(sizes > 10);
    }
}

#[test]
fn the_smallest_images_leave_one_logit() {
    assert_eq!(UNetConfig::tiny().output_size([4, 4]), Some([4, 4]));
    assert_eq!(UNetConfig::tiny().output_size([3, 4]), None);
    // 35 -> 31 -> 15 -> 11 -> 5 -> 1 -> 2, too small for two convolutions.
    assert_eq!(valid().output_size([35, 99]), None);
    // 44 -> 40 -> 20 -> 16 -> 8 -> 4 -> 8 -> 4 -> 8 -> 4.
    assert_eq!(valid().output_size([44, 45]), Some([4, 4]));
}

#[test]
fn images_that_are_too_small_or_of_other_channels_are_refused() {
    let device = device();
    let config = valid();
    let model = config.init(&device).expect("valid");
    let run = |shape| config.run(&model, &Tensors::new().with("images", Tensor::<4>::zeros(shape, &device)));
    assert_eq!(config.min_side(), 44);
    let outputs = run([2, 2, 44, 45]).expect("they fit");
    assert_eq!(outputs.float::<4>("logits", &device).expect("the output").dims(), [2, 3, 4, 4]);
    assert_eq!(
        run([2, 2, 43, 45]).expect_err("too small").to_string(),
        "dimension 2 of input `images` must be at least 44, not shape [2, 2, 43, 45]"
    );
    assert_eq!(
        run([2, 1, 44, 45]).expect_err("one channel is missing").to_string(),
        "dimension 1 of input `images` must be 2, not shape [2, 1, 44, 45]"
    );
}

#[test]
fn a_batch_gives_what_its_images_give_alone() {
    let device = device();
    device.seed(11);
    let model = UNetConfig::tiny().init(&device).expect("valid");
    let images = images([3, 2, 13, 11], &device);
    let alone = (0..3).map(|index| model.forward(images.clone().narrow(0, index, 1))).collect();
    // The same sums, which may be taken in another order: a few units of f32's rounding.
    assert_close(&read(Tensor::cat(alone, 0)), &read(model.forward(images)), 2e-6);
}

#[test]
fn every_parameter_gets_a_finite_gradient_that_is_not_zero() {
    let device = device().autodiff();
    device.seed(11);
    for config in [UNetConfig::tiny(), valid(), bilinear()] {
        let model = config.init(&device).expect("valid");
        let logits = model.forward(images([2, 2, 47, 45], &device));
        let coefficients = images(logits.dims(), &device);
        let gradients = (logits * coefficients).sum().backward();
        for gradient in parameter_gradients(&model, &gradients) {
            let values = gradient.values.unwrap_or_else(|| panic!("{} has no gradient", gradient.name));
            assert!(values.iter::<f32>().all(f32::is_finite), "{} in {config:?}", gradient.name);
            assert!(values.iter::<f32>().any(|value| value != 0.0), "{} in {config:?}", gradient.name);
        }
    }
}

#[test]
fn nothing_is_dropped_in_evaluation() {
    let device = device().autodiff();
    device.seed(11);
    let model = UNetConfig { dropout: 0.5, ..UNetConfig::tiny() }.init(&device).expect("valid");
    let images = images([2, 2, 13, 11], &device);
    assert_ne!(read(model.forward(images.clone())), read(model.forward(images.clone())));
    let (model, images) = (model.valid(), images.without_autodiff());
    assert_eq!(read(model.forward(images.clone())), read(model.forward(images)));
}

#[test]
fn what_is_wrong_is_named() {
    let error = |config: UNetConfig| config.init(&device()).expect_err("a wrong configuration").to_string();
    assert_eq!(
        error(UNetConfig { depth: 0, ..UNetConfig::tiny() }),
        "`depth` must be between 1 and 8, not 0"
    );
    assert_eq!(
        error(UNetConfig { width: 513, ..UNetConfig::tiny() }),
        "`width` must be between 1 and 512, not 513"
    );
}

#[test]
fn the_key_table_goes_on_counting_below_the_fourth_level() {
    assert_eq!(PYTORCH_UNET.theirs("down.7.conv2.weight"), "down8.maxpool_conv.1.double_conv.3.weight");
    let deep = UNetConfig { depth: 8, width: 1, ..UNetConfig::tiny() }.init(&device()).expect("valid");
    let names = libellus_weights::parameter_ids(&deep, "**").len();
    assert!(names > 8 * 4);
}
