use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use libellus_backend::testing::{device, read};
use libellus_layers::Activation;
use libellus_layers::trace::{Event, record, shapes};
use libellus_weights::{Checkpoint, Layout, LoadOptions, load, recognize, save};
use serde_json::json;

use super::{Gpt2, Gpt2Config, HUGGING_FACE, NANOGPT};
use crate::testing::{Golden, assert_gguf_agrees, gguf_file, golden_path};
use crate::{Architecture, CausalLm, ModelConfig};

fn nano() -> Gpt2Config {
    Gpt2Config { activation: Activation::Gelu, bias: false, ..Gpt2Config::tiny() }
}

/// Outputs at several depths, and gradients.
fn assert_agrees(golden: &Golden, config: &Gpt2Config, layout: &Layout) {
    let plain = device();
    let model = golden.load(config.init(&plain).expect("valid"), layout);
    let tokens = golden.ints::<2>("tokens", &plain);
    let (logits, events) = record(|| model.forward(tokens.clone()));
    golden.check("eval.logits", logits);
    golden.check_taps(&events, &["h.0", "h.1", "ln_f"]);

    let device = plain.autodiff();
    let model = golden.load(config.init(&device).expect("valid"), layout);
    let logits = model.forward(tokens.to_device(&device));
    let gradients = (logits * golden.tensor("coefficients", &device)).sum().backward();
    golden.check("gradient.wte.weight", model.wte.weight.grad(&gradients).expect("required"));
    golden.check("gradient.wpe.weight", model.wpe.weight.grad(&gradients).expect("required"));
    let [first, second] = [&model.h[0], &model.h[1]];
    golden.check(
        "gradient.h.0.attn.c_attn.weight",
        first.attn.c_attn.weight.grad(&gradients).expect("required"),
    );
    golden.check(
        "gradient.h.1.mlp.c_proj.weight",
        second.mlp.c_proj.weight.grad(&gradients).expect("required"),
    );
    golden.check("gradient.h.1.ln_2.weight", second.ln_2.gamma.grad(&gradients).expect("required"));
}

#[test]
fn agrees_with_transformers() {
    assert_agrees(&Golden::open("gpt2"), &Gpt2Config::tiny(), &HUGGING_FACE);
}

#[test]
fn agrees_with_nanogpt() {
    assert_agrees(&Golden::open("gpt2_nano"), &nano(), &NANOGPT);
}

#[test]
fn padded_sequences_agree_with_transformers() {
    let golden = Golden::open("gpt2");
    let model = golden.load(Gpt2Config::tiny().init(&device()).expect("valid"), &HUGGING_FACE);
    let mask = golden.ints::<2>("mask", &device());
    let features = model.forward_features(golden.ints("tokens", &device()), Some(mask.clone().bool()));
    golden.check("padded.logits", model.logits(features) * mask.float().unsqueeze_dim::<3>(2));
}

fn checkpoint(name: &str) -> Checkpoint {
    Checkpoint::open(golden_path(&format!("{name}.safetensors"))).expect("a golden file")
}

fn fresh(config: &Gpt2Config) -> Gpt2 {
    config.init(&device()).expect("valid")
}

#[test]
fn a_language_model_file_has_a_prefix_and_the_output_once_more() {
    let tokens = Golden::open("gpt2").ints::<2>("tokens", &device());
    let logits = |name| {
        let model =
            load(fresh(&Gpt2Config::tiny()), &checkpoint(name), &HUGGING_FACE, &LoadOptions::default());
        read(model.expect("the key table fits").forward(tokens.clone()))
    };
    assert_eq!(logits("gpt2"), logits("gpt2_lm"));
}

#[test]
fn a_gguf_file_says_what_it_holds() {
    let mut metadata = vec![
        ("general.architecture", json!("gpt2")),
        ("gpt2.context_length", json!(17)),
        ("gpt2.embedding_length", json!(15)),
        ("gpt2.block_count", json!(2)),
        ("gpt2.feed_forward_length", json!(23)),
        ("gpt2.attention.head_count", json!(3)),
        ("gpt2.attention.layer_norm_epsilon", json!(1e-5)),
    ];
    assert_gguf_agrees("gpt2", &metadata, Gpt2Config::tiny());
    metadata.retain(|(key, _)| *key != "gpt2.block_count");
    let error = ModelConfig::from_gguf(&gguf_file("gpt2_gguf", &metadata, &[])).expect("a GGUF file");
    let error = error.expect_err("a number is missing").to_string();
    assert_eq!(error, "the configuration of `gpt2` is wrong: missing field `block_count`");
}

/// Their names are the same, and so are the shapes of square matrices; those of the others are not.
#[test]
fn neither_layout_is_mistaken_for_the_other() {
    let options = LoadOptions::default();
    for (name, config, layout, other) in [
        ("gpt2", Gpt2Config::tiny(), HUGGING_FACE, NANOGPT),
        ("gpt2_lm", Gpt2Config::tiny(), HUGGING_FACE, NANOGPT),
        ("gpt2_nano", nano(), NANOGPT, HUGGING_FACE),
    ] {
        let checkpoint = checkpoint(name);
        assert!(load(fresh(&config), &checkpoint, &layout, &options).is_ok());
        let error = load(fresh(&config), &checkpoint, &other, &options).expect_err("the other layout");
        assert!(error.to_string().contains("attn.c_attn.weight"), "{error}");
        let layouts = config.layouts();
        let found = recognize(&fresh(&config), &checkpoint, &layouts, &options).expect("a known layout");
        assert_eq!(found.name, layout.name);
    }
}

/// Even where every matrix is square but that of queries, keys and values.
#[test]
fn square_matrices_do_not_hide_the_layout() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let config = Gpt2Config { d_ff: 15, vocab_size: 15, context: 15, ..Gpt2Config::tiny() };
    for (layout, other) in [(HUGGING_FACE, NANOGPT), (NANOGPT, HUGGING_FACE)] {
        save(&fresh(&config), &path, &layout, &BTreeMap::new()).expect("a writable folder");
        let checkpoint = Checkpoint::open(&path).expect("what was just written");
        assert!(load(fresh(&config), &checkpoint, &layout, &LoadOptions::default()).is_ok());
        assert!(load(fresh(&config), &checkpoint, &other, &LoadOptions::default()).is_err());
    }
}

#[test]
fn an_output_of_its_own_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let original = checkpoint("gpt2_lm");
    for name in original.names() {
        let data = original.tensor(name).expect("a tensor");
        let mut bytes = data.as_bytes().to_vec();
        if name == "lm_head.weight" {
            bytes[2] ^= 1;
        }
        tensors.push((name.to_owned(), data.shape().as_slice().to_vec(), bytes));
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (name.as_str(), view.expect("a tensor"))
    });
    std::fs::write(&path, safetensors::serialize(views, None).expect("tensors")).expect("a writable folder");
    let changed = Checkpoint::open(&path).expect("what was just written");
    let error = load(fresh(&Gpt2Config::tiny()), &changed, &HUGGING_FACE, &LoadOptions::default())
        .expect_err("two different embeddings");
    assert!(error.to_string().contains("lm_head.weight"), "{error}");
}

#[test]
fn parameters_are_the_published() {
    let device = device();
    for (config, published) in [
        (Gpt2Config::gpt2(), 124_439_808),
        (Gpt2Config::gpt2_medium(), 354_823_168),
        (Gpt2Config::gpt2_large(), 774_030_080),
        (Gpt2Config::gpt2_xl(), 1_557_611_200),
        // nanoGPT prints 10.65 M and 0.80 M, without the embedding of positions.
        (Gpt2Config::nano(65, 256), 10_646_784 + 256 * 384),
        (Gpt2Config::nano_cpu(65, 64), 795_904 + 64 * 128),
    ] {
        assert_eq!(config.init(&device).expect("valid").num_params(), published, "{config:?}");
    }
}

#[test]
fn initial_weights_are_gpt2s() {
    device().seed(5);
    let config = Gpt2Config { d_model: 120, d_ff: 240, n_layers: 8, ..Gpt2Config::tiny() };
    let model = fresh(&config);
    let std = |weight: &burn::module::Param<Tensor<2>>| {
        let values: Vec<f64> = read(weight.val()).iter::<f64>().collect();
        (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt()
    };
    // The estimate from 14,400 or more values has a relative standard deviation of 0.6%; five of them to either side.
    for (weight, expected) in [
        (&model.h[3].attn.c_attn.weight, 0.02),
        (&model.h[3].attn.c_proj.weight, 0.005),
        (&model.h[3].mlp.c_fc.weight, 0.02),
        (&model.h[3].mlp.c_proj.weight, 0.005),
    ] {
        assert!((std(weight) / expected - 1.0).abs() < 0.03, "{} instead of {expected}", std(weight));
    }
    // 3,480 and 2,040 values.
    for weight in [&model.wte.weight, &model.wpe.weight] {
        assert!((std(weight) / 0.02 - 1.0).abs() < 0.08, "{}", std(weight));
    }
    let bias = model.h[3].mlp.c_fc.bias.as_ref().expect("biases are on");
    assert!(read(bias.val()).iter::<f32>().all(|value| value == 0.0));
}

#[test]
fn costs_follow_from_shapes_alone() {
    let config = Gpt2Config::gpt2_xl();
    let model = fresh(&config);
    let (outputs, events) = shapes(|| config.run(&model, &config.example().expect("small"))).expect("small");
    assert!(outputs.is_ok());
    let taps = events.iter().filter(|event| matches!(event, Event::Tap { .. })).count();
    assert_eq!(taps, 48 + 2);
    assert!(!model.wte.weight.is_initialized());
}

#[test]
fn what_is_wrong_is_named() {
    let error = |config: Gpt2Config| config.init(&device()).expect_err("a wrong configuration").to_string();
    assert_eq!(
        error(Gpt2Config { n_heads: 4, ..Gpt2Config::tiny() }),
        "`d_model` (15) must be a multiple of `n_heads` (4)"
    );
    assert_eq!(
        error(Gpt2Config { n_heads: 0, ..Gpt2Config::tiny() }),
        "`n_heads` must be between 1 and 15, not 0"
    );
    assert_eq!(
        error(Gpt2Config { epsilon: 0.0, ..Gpt2Config::tiny() }),
        "`epsilon` must be a positive number, not 0"
    );
    assert_eq!(
        error(Gpt2Config { dropout: 1.0, ..Gpt2Config::tiny() }),
        "`dropout` must be at least 0 and less than 1, not 1"
    );
    assert_eq!(
        error(Gpt2Config { context: 1 << 40, ..Gpt2Config::tiny() }),
        "`context` must be between 1 and 1048576, not 1099511627776"
    );
}

/// The `config.json` of the published GPT-2, and what can be changed in it.
#[test]
fn hugging_faces_configuration_is_read() {
    let published = json!({
        "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
        "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12,
        "n_layer": 12, "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": null,
        "summary_first_dropout": 0.1, "summary_proj_to_labels": true, "summary_type": "cls_index",
        "summary_use_proj": true, "task_specific_params": { "text-generation": { "do_sample": true } },
        "vocab_size": 50257
    });
    let read = |changes: serde_json::Value| {
        let mut config = published.clone();
        let keys = config.as_object_mut().expect("an object");
        keys.extend(changes.as_object().expect("an object").clone());
        keys.retain(|_, value| value != "removed");
        Gpt2Config::from_hugging_face(&config)
    };
    assert_eq!(read(json!({})), Some(Ok(Gpt2Config::gpt2())));
    let inner = Gpt2Config { d_ff: 2048, ..Gpt2Config::gpt2() };
    assert_eq!(read(json!({ "n_inner": 2048 })), Some(Ok(inner)));
    assert_eq!(read(json!({ "n_inner": null })), Some(Ok(Gpt2Config::gpt2())));
    assert_eq!(read(json!({ "model_type": "gptj" })), None);

    let error = |changes| read(changes).expect("a GPT-2").expect_err("unsupported").to_string();
    for (changes, key) in [
        (json!({ "activation_function": "relu" }), "activation_function"),
        (json!({ "scale_attn_by_inverse_layer_idx": true }), "scale_attn_by_inverse_layer_idx"),
        (json!({ "scale_attn_weights": false }), "scale_attn_weights"),
        (json!({ "add_cross_attention": true }), "add_cross_attention"),
        (json!({ "tie_word_embeddings": false }), "tie_word_embeddings"),
        (json!({ "attn_pdrop": 0.2 }), "attn_pdrop"),
        (json!({ "n_layer": "removed" }), "n_layer"),
        (json!({ "n_embd": -768 }), "n_embd"),
        (json!({ "n_head": 7 }), "n_heads"),
    ] {
        let error = error(changes);
        assert!(error.contains(&format!("`{key}`")), "{key}: {error}");
    }
}

#[test]
#[should_panic(expected = "18 tokens exceed the context of 17")]
fn a_long_text_is_refused() {
    fresh(&Gpt2Config::tiny()).forward(Tensor::<2, Int>::zeros([1, 18], &device()));
}
