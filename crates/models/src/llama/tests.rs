use burn::module::Module;
use burn::tensor::{Int, Tensor};
use libellus_backend::testing::device;
use libellus_layers::trace::record;
use libellus_weights::{Checkpoint, Layout, LoadOptions, load, recognize};
use serde_json::{Value, json};

use super::{Llama, LlamaConfig, LlamaRopeScaling};
use crate::testing::{Golden, assert_gguf_agrees, gguf_file, golden_path};
use crate::{Architecture, CausalLm, ModelConfig};

/// The configuration of `llama_scaled`.
fn scaled() -> LlamaConfig {
    LlamaConfig {
        attention_bias: true,
        tie_embeddings: false,
        rope_scaling: Some(LlamaRopeScaling {
            factor: 8.0,
            low_freq_factor: 0.5,
            high_freq_factor: 2.0,
            original_context: 13,
        }),
        ..LlamaConfig::tiny()
    }
}

fn fresh(config: &LlamaConfig) -> Llama {
    config.init(&device()).expect("valid")
}

fn checkpoint(name: &str) -> Checkpoint {
    Checkpoint::open(golden_path(&format!("{name}.safetensors"))).expect("a golden file")
}

/// The model with the weights of a golden file, whatever its layout.
fn loaded(config: &LlamaConfig, name: &str, layout: &Layout) -> Llama {
    load(fresh(config), &checkpoint(name), layout, &LoadOptions::default()).expect("the key table fits")
}

fn assert_agrees(name: &str, config: &LlamaConfig) {
    let golden = Golden::open(name);
    let plain = device();
    let tokens = golden.ints::<2>("tokens", &plain);
    let mask = golden.ints::<2>("mask", &plain);
    for (file, layout) in
        [(name.to_owned(), config.hugging_face_layout()), (format!("{name}_gguf"), config.gguf_layout())]
    {
        let model = loaded(config, &file, &layout);
        let (logits, events) = record(|| model.forward(tokens.clone()));
        golden.check("eval.logits", logits);
        golden.check_taps(&events, &["layers.0", "layers.1", "norm"]);
        let features = model.forward_features(tokens.clone(), Some(mask.clone().bool()));
        let real = mask.clone().float().unsqueeze_dim::<3>(2);
        golden.check("padded.logits", model.logits(features) * real);
    }

    let device = plain.autodiff();
    let model = golden.load(config.init(&device).expect("valid"), &config.hugging_face_layout());
    let logits = model.forward(tokens.to_device(&device));
    let gradients = (logits * golden.tensor("coefficients", &device)).sum().backward();
    golden
        .check("gradient.embed_tokens.weight", model.embed_tokens.weight.grad(&gradients).expect("required"));
    let key = &model.layers[0].self_attn.k_proj.weight;
    golden.check("gradient.layers.0.self_attn.k_proj.weight", key.grad(&gradients).expect("required"));
    let gate = &model.layers[1].mlp.gate_proj.weight;
    golden.check("gradient.layers.1.mlp.gate_proj.weight", gate.grad(&gradients).expect("required"));
}

#[test]
fn agrees_with_transformers_and_llama_cpps_order() {
    assert_agrees("llama", &LlamaConfig::tiny());
}

#[test]
fn with_scaled_rotation_and_biases_agrees_with_transformers_and_llama_cpps_order() {
    assert_agrees("llama_scaled", &scaled());
}

#[test]
fn layouts_are_told_apart() {
    for (name, config) in [("llama", LlamaConfig::tiny()), ("llama_scaled", scaled())] {
        for (file, layout) in [(name.to_owned(), "huggingface"), (format!("{name}_gguf"), "gguf")] {
            let (model, layouts) = (fresh(&config), config.layouts());
            let found = recognize(&model, &checkpoint(&file), &layouts, &LoadOptions::default());
            assert_eq!(found.expect("a known layout").name, layout);
        }
    }
}

#[test]
fn a_file_without_an_output_does_not_fit_a_model_with_one() {
    let untied = LlamaConfig { tie_embeddings: false, ..LlamaConfig::tiny() };
    let layout = untied.hugging_face_layout();
    let error = load(fresh(&untied), &checkpoint("llama"), &layout, &LoadOptions::default())
        .expect_err("no output in the file");
    assert!(error.to_string().contains("lm_head.weight"), "{error}");
}

#[test]
fn parameters_are_the_published() {
    let device = device();
    for (config, published) in [
        (LlamaConfig::tiny_llama_1_1b(), 1_100_048_384),
        (LlamaConfig::llama_3_2_1b(), 1_235_814_400),
        (LlamaConfig::smol_lm2_135m(), 134_515_008),
        (LlamaConfig::smol_lm2_360m(), 361_821_120),
    ] {
        assert_eq!(config.init(&device).expect("valid").num_params(), published, "{config:?}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let error = |config: LlamaConfig| config.init(&device()).expect_err("a wrong configuration").to_string();
    assert_eq!(
        error(LlamaConfig { n_kv_heads: 4, ..LlamaConfig::tiny() }),
        "`n_heads` (6) must be a multiple of `n_kv_heads` (4)"
    );
    assert_eq!(error(LlamaConfig { head_dim: 5, ..LlamaConfig::tiny() }), "`head_dim` must be even, not 5");
    assert_eq!(
        error(LlamaConfig { rope_theta: f64::NAN, ..LlamaConfig::tiny() }),
        "`rope_theta` must be a positive number, not NaN"
    );
    let scaling = scaled().rope_scaling.expect("it is scaled");
    let with = |scaling| LlamaConfig { rope_scaling: Some(scaling), ..LlamaConfig::tiny() };
    assert_eq!(
        error(with(LlamaRopeScaling { factor: 0.0, ..scaling })),
        "`rope_scaling.factor` must be a positive number, not 0"
    );
    assert_eq!(
        error(with(LlamaRopeScaling { high_freq_factor: 0.5, ..scaling })),
        "`rope_scaling.high_freq_factor - rope_scaling.low_freq_factor` must be a positive number, not 0"
    );
}

/// The `config.json` of Llama 3.2 1B.
fn published() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 128000, "eos_token_id": 128001, "head_dim": 64, "hidden_act": "silu",
        "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 8192,
        "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
        "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8, "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_scaling": {
            "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"
        },
        "rope_theta": 500000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
        "transformers_version": "4.45.0.dev0", "use_cache": true, "vocab_size": 128256
    })
}

fn read(changes: Value) -> Option<Result<LlamaConfig, crate::ConfigError>> {
    let mut config = published();
    let keys = config.as_object_mut().expect("an object");
    keys.extend(changes.as_object().expect("an object").clone());
    keys.retain(|_, value| value != "removed");
    LlamaConfig::from_hugging_face(&config)
}

#[test]
fn hugging_faces_configuration_is_read() {
    assert_eq!(read(json!({})), Some(Ok(LlamaConfig::llama_3_2_1b())));
    // Without the width of a head, it follows from the others.
    assert_eq!(read(json!({ "head_dim": "removed" })), Some(Ok(LlamaConfig::llama_3_2_1b())));
    let plain = LlamaConfig { rope_scaling: None, ..LlamaConfig::llama_3_2_1b() };
    assert_eq!(read(json!({ "rope_scaling": null })), Some(Ok(plain.clone())));
    let default = json!({ "rope_scaling": "removed", "rope_theta": "removed",
        "rope_parameters": { "rope_type": "default", "rope_theta": 500000.0 } });
    assert_eq!(read(default), Some(Ok(plain)));
    // As transformers 5 writes it.
    let mut parameters = published()["rope_scaling"].clone();
    parameters["rope_theta"] = 500_000.0.into();
    let five = json!({ "rope_scaling": "removed", "rope_theta": "removed", "rope_parameters": parameters });
    assert_eq!(read(five), Some(Ok(LlamaConfig::llama_3_2_1b())));
    assert_eq!(read(json!({ "model_type": "mistral" })), None);
}

#[test]
fn what_is_not_supported_in_hugging_faces_configuration_is_named() {
    for (changes, key) in [
        (json!({ "hidden_act": "gelu" }), "hidden_act"),
        (json!({ "mlp_bias": true }), "mlp_bias"),
        (json!({ "partial_rotary_factor": 0.5 }), "partial_rotary_factor"),
        (json!({ "rope_scaling": { "type": "linear", "factor": 2.0 } }), "type"),
        (json!({ "rope_scaling": { "rope_type": "yarn", "factor": 2.0 } }), "rope_type"),
        (json!({ "rope_scaling": { "rope_type": "llama3", "factor": 2.0 } }), "low_freq_factor"),
        (json!({ "vocab_size": "removed" }), "vocab_size"),
        (json!({ "num_attention_heads": 0, "head_dim": null }), "num_attention_heads"),
        (json!({ "num_key_value_heads": 5 }), "n_kv_heads"),
        (json!({ "hidden_size": "wide" }), "hidden_size"),
    ] {
        let error = read(changes).expect("a Llama").expect_err("unsupported").to_string();
        assert!(error.contains(&format!("`{key}`")), "{key}: {error}");
    }
}

/// The metadata of `LlamaConfig::tiny()` as llama.cpp's converter writes them.
fn tiny_metadata() -> Vec<(&'static str, Value)> {
    vec![
        ("general.architecture", json!("llama")),
        ("llama.context_length", json!(17)),
        ("llama.embedding_length", json!(18)),
        ("llama.block_count", json!(2)),
        ("llama.feed_forward_length", json!(13)),
        ("llama.attention.head_count", json!(6)),
        ("llama.attention.head_count_kv", json!(2)),
        ("llama.attention.key_length", json!(4)),
        ("llama.attention.value_length", json!(4)),
        ("llama.rope.dimension_count", json!(4)),
        ("llama.rope.freq_base", json!(100.0)),
        ("llama.attention.layer_norm_rms_epsilon", json!(1e-5)),
    ]
}

fn of_gguf(checkpoint: &Checkpoint) -> Result<LlamaConfig, crate::ConfigError> {
    match ModelConfig::from_gguf(checkpoint).expect("a GGUF file")? {
        ModelConfig::Llama(config) => Ok(config),
        other => panic!("{other:?} is no Llama"),
    }
}

#[test]
fn a_gguf_file_says_what_it_holds() {
    let file = gguf_file("llama", &tiny_metadata(), &[]);
    // Its tensors are those of a model in Hugging Face's order, which have other names.
    assert!(
        of_gguf(&file)
            .expect_err("other names")
            .to_string()
            .contains("tensor `token_embd.weight` is missing")
    );

    assert_gguf_agrees("llama", &tiny_metadata(), LlamaConfig::tiny());
    assert!(ModelConfig::from_gguf(&checkpoint("llama")).is_none());
}

#[test]
fn a_gguf_file_says_what_an_output_and_biases_it_has() {
    let file = gguf_file("llama_scaled_gguf", &tiny_metadata(), &[]);
    let config = of_gguf(&file).expect("a Llama");
    assert_eq!(config, LlamaConfig { rope_scaling: None, ..scaled() });
}

#[test]
fn llama_3s_scaling_is_told_from_its_factors() {
    let scaling = LlamaConfig::llama_3_2_1b().rope_scaling.expect("it is scaled");
    // Of a head of four elements, one pair turns often and one hardly.
    let mut metadata = tiny_metadata();
    metadata.retain(|(name, _)| *name != "llama.rope.freq_base");
    metadata.push(("llama.rope.freq_base", json!(500_000_000.0)));
    let config = of_gguf(&gguf_file("llama_gguf", &metadata, &[("rope_freqs.weight", vec![1.0, 32.0])]))
        .expect("a Llama 3");
    assert_eq!(config.rope_scaling, Some(scaling));
    for factors in [vec![1.0, 32.0, 32.0], vec![32.0, 32.0], vec![f32::NAN, 32.0]] {
        let error = of_gguf(&gguf_file("llama_gguf", &metadata, &[("rope_freqs.weight", factors)]))
            .expect_err("other factors");
        assert!(error.to_string().contains("rope_freqs.weight"), "{error}");
    }
}

#[test]
fn what_is_not_supported_in_a_gguf_file_is_named() {
    for (key, value, says) in [
        (
            "general.architecture",
            json!("mamba"),
            "models with `general.architecture` `mamba` aren't supported",
        ),
        ("llama.block_count", json!(null), "missing field `block_count`"),
        ("llama.block_count", json!(0), "`n_layers`"),
        ("llama.block_count", json!("many"), "`block_count`: invalid type: string \"many\""),
        ("llama.attention.head_count", json!(0), "`n_heads`"),
        ("llama.attention.head_count_kv", json!(4), "`n_kv_heads`"),
        ("llama.attention.value_length", json!(8), "`attention.value_length` = 8"),
        ("llama.rope.dimension_count", json!(2), "`rope.dimension_count` = 2"),
        ("llama.rope.scaling.type", json!("yarn"), "`rope.scaling.type` = \"yarn\""),
        ("llama.rope.scaling.factor", json!(2.5), "`rope.scaling.factor` = 2.5"),
        ("llama.rope.scale_linear", json!(4.5), "`rope.scale_linear` = 4.5"),
        ("llama.expert_count", json!(8), "`expert_count` = 8"),
    ] {
        let mut metadata = tiny_metadata();
        metadata.retain(|(name, _)| *name != key);
        if !value.is_null() {
            metadata.push((key, value));
        }
        let error = of_gguf(&gguf_file("llama_gguf", &metadata, &[])).expect_err(key).to_string();
        assert!(error.contains(says), "{key}: {error}");
    }
    let mut metadata = tiny_metadata();
    metadata.retain(|(key, _)| !key.ends_with("key_length") && !key.ends_with("head_count"));
    metadata.push(("llama.attention.head_count", json!(0)));
    let error = of_gguf(&gguf_file("llama_gguf", &metadata, &[])).expect_err("no head").to_string();
    assert!(error.contains("attention.head_count"), "{error}");
}

#[test]
#[should_panic(expected = "18 tokens exceed the context of 17")]
fn a_long_text_is_refused() {
    fresh(&LlamaConfig::tiny()).forward(Tensor::<2, Int>::zeros([1, 18], &device()));
}
