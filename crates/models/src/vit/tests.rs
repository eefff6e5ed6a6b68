use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use libellus_backend::testing::{assert_close, device, read};
use libellus_weights::{Checkpoint, Layout, LoadOptions, recognize};

use super::{HUGGING_FACE, TIMM, TORCHVISION, Vit, VitConfig, VitPooling, resample_positions};
use crate::ImageArchitecture;
use crate::testing::{Golden, images};

/// The reference's model, in evaluation and in training.
struct Pair {
    golden: Golden,
    evaluated: Vit,
    trained: Vit,
    trained_on: Device,
}

fn pair(name: &str, config: &VitConfig, layout: &Layout) -> Pair {
    let golden = Golden::open(name);
    let trained_on = device().autodiff();
    let evaluated = golden.load(config.init(&device()).expect("valid"), layout);
    let trained = golden.load(config.init(&trained_on).expect("valid"), layout);
    Pair { golden, evaluated, trained, trained_on }
}

impl Pair {
    /// Checks the logits, the tokens before the head under their name in the reference, and the gradients of the
    /// images and of the parameters that `parameters` names.
    fn check(self, tokens: Option<&str>, parameters: &[(&str, Gradient)]) {
        let Self { golden, evaluated, trained, trained_on } = self;
        let input = golden.tensor::<4>("images", &device());
        golden.check("eval.logits", evaluated.forward(input.clone()));
        if let Some(name) = tokens {
            golden.check(name, evaluated.forward_tokens(input));
        }
        let input = golden.tensor::<4>("images", &trained_on).require_grad();
        let logits = trained.forward(input.clone());
        golden.check("train.logits", logits.clone());
        let gradients = (logits * golden.tensor("coefficients", &trained_on)).sum().backward();
        golden.check("gradient.images", input.grad(&gradients).expect("required"));
        for (name, gradient) in parameters {
            match gradient {
                Gradient::Matrix(of) => {
                    golden.check(name, of(&trained).grad(&gradients).expect("required"));
                }
                Gradient::Embedding(of) => {
                    golden.check(name, of(&trained).grad(&gradients).expect("required"));
                }
            }
        }
    }
}

enum Gradient {
    Matrix(fn(&Vit) -> Tensor<2>),
    Embedding(fn(&Vit) -> Tensor<3>),
}

#[test]
fn agrees_with_timm() {
    pair("vit_timm", &VitConfig::tiny(), &TIMM).check(
        Some("eval.norm"),
        &[
            ("gradient.pos_embed", Gradient::Embedding(|model| model.pos_embed.val())),
            (
                "gradient.blocks.0.attn.qkv.weight",
                Gradient::Matrix(|model| model.blocks[0].attn.qkv.weight.val()),
            ),
            ("gradient.head.weight", Gradient::Matrix(|model| model.head.weight.val())),
        ],
    );
}

#[test]
fn with_mean_pooling_agrees_with_timm() {
    let config = VitConfig { pooling: VitPooling::Mean, ..VitConfig::tiny() };
    let pair = pair("vit_timm_mean", &config, &TIMM);
    let images = pair.golden.tensor::<4>("images", &device());
    pair.golden.check("eval.fc_norm", pair.evaluated.forward_features(images));
    pair.check(
        Some("eval.blocks.1"),
        &[
            ("gradient.cls_token", Gradient::Embedding(|model| model.cls_token.val())),
            (
                "gradient.blocks.1.mlp.fc1.weight",
                Gradient::Matrix(|model| model.blocks[1].mlp.fc1.weight.val()),
            ),
        ],
    );
}

#[test]
fn agrees_with_torchvision() {
    let config = VitConfig { image_size: [15, 15], ..VitConfig::tiny() };
    pair("vit_torchvision", &config, &TORCHVISION).check(
        Some("eval.encoder.ln"),
        &[
            ("gradient.class_token", Gradient::Embedding(|model| model.cls_token.val())),
            (
                "gradient.encoder.layers.encoder_layer_1.self_attention.in_proj_weight",
                Gradient::Matrix(|model| model.blocks[1].attn.qkv.weight.val()),
            ),
        ],
    );
}

#[test]
fn agrees_with_hugging_face() {
    pair("vit_huggingface", &VitConfig::tiny(), &HUGGING_FACE).check(
        Some("eval.vit.layernorm"),
        &[
            (
                "gradient.vit.embeddings.position_embeddings",
                Gradient::Embedding(|model| model.pos_embed.val()),
            ),
            ("gradient.classifier.weight", Gradient::Matrix(|model| model.head.weight.val())),
        ],
    );
}

#[test]
fn files_are_told_apart() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (file, image_size, layout) in [
        ("vit_timm", [9, 15], TIMM),
        ("vit_torchvision", [15, 15], TORCHVISION),
        ("vit_huggingface", [9, 15], HUGGING_FACE),
    ] {
        let config = VitConfig { image_size, ..VitConfig::tiny() };
        let model = config.init(&device()).expect("valid");
        let checkpoint = Checkpoint::open(folder.join(format!("{file}.safetensors"))).expect("a golden file");
        let layouts = config.layouts();
        assert_eq!(recognize(&model, &checkpoint, &layouts, &LoadOptions::default()).ok(), Some(&layout));
    }
}

#[test]
fn positions_are_resampled_as_in_timm() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let golden = Checkpoint::open(folder.join("vit_positions_expected.safetensors")).expect("a golden file");
    let tensor = |key: &str| golden.tensor(key).expect("a golden tensor");
    let positions = Tensor::<3>::from_data(tensor("positions"), &device());
    for to in [[5, 7], [2, 3], [3, 11], [1, 1], [13, 2]] {
        let resampled = resample_positions(positions.clone(), [3, 5], to);
        // Two sums of up to five terms in f32, where the reference is computed in f64.
        assert_close(&read(resampled), &tensor(&format!("to.{}x{}", to[0], to[1])), 1e-6);
    }
    assert_eq!(read(resample_positions(positions.clone(), [3, 5], [3, 5])), read(positions));
}

#[test]
fn parameters_are_the_published() {
    let device = device();
    for (config, published) in [
        (VitConfig::vit_tiny_patch16_224(1000), 5_717_416),
        (VitConfig::vit_small_patch16_224(1000), 22_050_664),
        (VitConfig::vit_small_patch32_224(1000), 22_878_952),
        (VitConfig::vit_base_patch16_224(1000), 86_567_656),
        (VitConfig::vit_base_patch32_224(1000), 88_224_232),
        (VitConfig::vit_large_patch16_224(1000), 304_326_632),
        (VitConfig::vit_large_patch32_224(1000), 306_535_400),
    ] {
        assert_eq!(config.init(&device).expect("valid").num_params(), published, "{config:?}");
        let mean = VitConfig { pooling: VitPooling::Mean, ..config };
        assert_eq!(mean.init(&device).expect("valid").num_params(), published, "{mean:?}");
        assert_eq!(mean.layouts(), [TIMM]);
    }
}

#[test]
fn a_resized_model_takes_images_of_its_new_size_and_goes_on_learning() {
    let device = device().autodiff();
    let model = VitConfig::tiny().init(&device).expect("valid");
    let id = model.pos_embed.id;
    let same = model.clone().resize([9, 15]).expect("its own size");
    let input = images([2, 2, 9, 15], &device);
    assert_eq!(read(same.forward(input.clone())), read(model.forward(input)));

    let resized = model.resize([21, 6]).expect("a possible size");
    assert_eq!(resized.pos_embed.id, id);
    let gradients = resized.forward(images([2, 2, 21, 6], &device)).sum().backward();
    let gradient = resized.pos_embed.val().grad(&gradients).expect("a parameter still");
    assert_eq!(gradient.dims(), [1, 1 + 7 * 2, 10]);

    let error = resized.resize([21, 7]).expect_err("no multiple of three");
    assert_eq!(error.to_string(), "`image_size` (7) must be a multiple of `patch_size` (3)");
}

#[test]
#[should_panic(expected = "images of another size than the model's")]
fn images_of_another_size_are_refused() {
    let device = device();
    let model = VitConfig::tiny().init(&device).expect("valid");
    model.forward(Tensor::zeros([1, 2, 15, 9], &device));
}

#[test]
fn what_is_wrong_is_named() {
    let error = |config: VitConfig| config.init(&device()).expect_err("a wrong configuration").to_string();
    assert_eq!(
        error(VitConfig { n_heads: 3, ..VitConfig::tiny() }),
        "`d_model` (10) must be a multiple of `n_heads` (3)"
    );
    assert_eq!(
        error(VitConfig { image_size: [9, 16], ..VitConfig::tiny() }),
        "`image_size` (16) must be a multiple of `patch_size` (3)"
    );
    assert_eq!(
        error(VitConfig { n_layers: 0, ..VitConfig::tiny() }),
        "`n_layers` must be between 1 and 256, not 0"
    );
    assert_eq!(
        error(VitConfig { dropout: 1.0, ..VitConfig::tiny() }),
        "`dropout` must be at least 0 and less than 1, not 1"
    );
}
