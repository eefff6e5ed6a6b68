use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use libellus_layers::Activation;
use libellus_weights::{Checkpoint, Layout, LoadOptions, load, recognize, save};
use serde_json::json;

use super::{Bert, BertConfig, BertInput, HUGGING_FACE, HUGGING_FACE_OLD, sentence_embedding};
use crate::testing::{Golden, parameter_gradients};
use crate::{Architecture, Tensors};

fn checkpoint(name: &str) -> Checkpoint {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    Checkpoint::open(folder.join(format!("{name}.safetensors"))).expect("a golden file")
}

fn init(config: &BertConfig, device: &Device) -> Bert {
    config.init(device).expect("a valid configuration")
}

fn golden_input(golden: &Golden, device: &Device) -> BertInput {
    let ints = |key| golden.tensor::<2>(key, device).int();
    BertInput {
        tokens: ints("tokens"),
        mask: Some(ints("mask").equal_elem(1)),
        token_types: Some(ints("token_types")),
    }
}

fn tokens(rows: &[&[i64]], device: &Device) -> Tensor<2, Int> {
    let values: Vec<i64> = rows.concat();
    Tensor::from_data(TensorData::new(values, [rows.len(), rows[0].len()]), device)
}

/// True for the first `lengths[b]` of `length` tokens.
fn mask(lengths: &[usize], length: usize, device: &Device) -> Tensor<2, Bool> {
    let flags: Vec<bool> =
        lengths.iter().flat_map(|&real| (0..length).map(move |index| index < real)).collect();
    Tensor::from_data(TensorData::new(flags, [lengths.len(), length]), device)
}

#[test]
fn agrees_with_hugging_face() {
    let golden = Golden::open("bert");
    let plain = device();
    let model = golden.load(init(&BertConfig::tiny(), &plain), &HUGGING_FACE);
    let input = golden_input(&golden, &plain);
    let output = model.forward(input.clone());
    golden.check("eval.hidden", output.hidden.clone());
    golden.check("eval.pooled", output.pooled.expect("it has a pooler"));
    golden.check("eval.embedding", sentence_embedding(output.hidden, input.mask.expect("it has one")));
    golden.check("eval.without_mask", model.forward(BertInput::new(input.tokens)).hidden);

    let device = plain.autodiff();
    let model = golden.load(init(&BertConfig::tiny(), &device), &HUGGING_FACE);
    let output = model.forward(golden_input(&golden, &device));
    let gradients = ((output.hidden * golden.tensor("coefficients.hidden", &device)).sum()
        + (output.pooled.expect("it has a pooler") * golden.tensor("coefficients.pooled", &device)).sum())
    .backward();
    let gradient = |weights: Tensor<2>| weights.grad(&gradients).expect("required");
    golden.check("gradient.word_embeddings", gradient(model.token_embed.weight.val()));
    golden.check("gradient.token_type_embeddings", gradient(model.type_embed.weight.val()));
    golden.check("gradient.layer.0.qkv", gradient(model.blocks[0].attn.qkv.weight.val()));
    golden.check("gradient.layer.1.intermediate", gradient(model.blocks[1].mlp.fc1.weight.val()));
}

/// The same encoder below pre-training heads, under today's names and under those of the first files, and without its
/// pooler.
#[test]
fn heads_and_prefixes_are_no_obstacle() {
    let golden = Golden::open("bert");
    for (file, layout) in [("bert_pretraining", &HUGGING_FACE), ("bert_old", &HUGGING_FACE_OLD)] {
        for pooler in [true, false] {
            let config = BertConfig { pooler, ..BertConfig::tiny() };
            let (model, file) = (init(&config, &device()), checkpoint(file));
            let layouts = config.layouts();
            assert_eq!(recognize(&model, &file, &layouts, &LoadOptions::default()).ok(), Some(layout));
            let model = load(model, &file, layout, &LoadOptions::default()).expect("the same encoder");
            let output = model.forward(golden_input(&golden, &device()));
            golden.check("eval.hidden", output.hidden);
            assert_eq!(output.pooled.is_some(), pooler);
        }
    }
    load(
        init(&BertConfig::tiny(), &device()),
        &checkpoint("bert_old"),
        &HUGGING_FACE,
        &LoadOptions::default(),
    )
    .expect_err("other names");
}

#[test]
fn parameters_are_the_published() {
    let device = device();
    for (config, published) in [
        (BertConfig::bert_base_uncased(), 109_482_240),
        (BertConfig::bert_large_uncased(), 335_141_888),
        (BertConfig::all_minilm_l6_v2(), 22_713_216),
        (BertConfig::all_minilm_l12_v2(), 33_360_000),
    ] {
        assert_eq!(init(&config, &device).num_params(), published, "{config:?}");
    }
}

#[test]
fn a_padded_batch_gives_what_its_sequences_give_alone() {
    let device = device();
    let model = init(&BertConfig::tiny(), &device);
    let batch = tokens(&[&[3, 1, 4, 1, 5], &[9, 2, 6, 0, 0], &[7, 0, 0, 0, 0]], &device);
    let lengths = [5, 3, 1];
    let input = BertInput { mask: Some(mask(&lengths, 5, &device)), ..BertInput::new(batch.clone()) };
    let together = model.forward(input);
    for (index, length) in lengths.into_iter().enumerate() {
        let row = batch.clone().narrow(0, index, 1).narrow(1, 0, length);
        let alone = model.forward(BertInput::new(row));
        let found = together.hidden.clone().narrow(0, index, 1).narrow(1, 0, length);
        // The same sums but for terms that are zero: a few units of f32's rounding.
        assert_close(&read(found), &read(alone.hidden), 2e-6);
        let pooled = together.pooled.clone().expect("it has a pooler").narrow(0, index, 1);
        assert_close(&read(pooled), &read(alone.pooled.expect("it has a pooler")), 2e-6);
    }
}

#[test]
fn an_embedding_is_the_direction_of_the_mean_without_padding() {
    let device = device();
    let hidden = Tensor::<3>::from_floats(
        [[[1.0, 5.0], [5.0, 3.0], [f32::NAN, 7.0]], [[0.0, 2.0], [0.0, 4.0], [0.0, 6.0]], [[1.0; 2]; 3]],
        &device,
    );
    let embedding = sentence_embedding(hidden, mask(&[2, 3, 0], 3, &device));
    assert_close(&read(embedding), &[[0.6f32, 0.8], [0.0, 1.0], [0.0, 0.0]].into(), 1e-6);
}

#[test]
fn every_parameter_gets_a_finite_gradient_that_is_not_zero() {
    let device = device().autodiff();
    let model = init(&BertConfig::tiny(), &device);
    let input = BertInput {
        tokens: tokens(&[&[3, 1, 4], &[1, 5, 9]], &device),
        mask: Some(mask(&[3, 2], 3, &device)),
        token_types: Some(tokens(&[&[0, 0, 1], &[0, 1, 1]], &device)),
    };
    let output = model.forward(input);
    // Squares, because a sum over a normalised vector is constant.
    let loss = output.hidden.square().narrow(2, 0, 3).sum() + output.pooled.expect("it has a pooler").sum();
    let gradients = loss.backward();
    for gradient in parameter_gradients(&model, &gradients) {
        let values = gradient.values.unwrap_or_else(|| panic!("{} has no gradient", gradient.name));
        assert!(values.iter::<f32>().all(f32::is_finite), "{}", gradient.name);
        assert!(values.iter::<f32>().any(|value| value != 0.0), "{}", gradient.name);
    }
}

#[test]
fn both_dropouts_act_in_training_only() {
    let device = device().autodiff();
    for config in [
        BertConfig { dropout: 0.5, ..BertConfig::tiny() },
        BertConfig { attention_dropout: 0.5, ..BertConfig::tiny() },
    ] {
        let model = init(&config, &device);
        let input = BertInput::new(tokens(&[&[3, 1, 4, 1, 5]], &device));
        let run = || read(model.forward(input.clone()).hidden);
        assert_ne!(run(), run(), "{config:?}");
        let (model, input) = (
            model.valid(),
            BertInput::new(tokens(&[&[3, 1, 4, 1, 5]], &libellus_backend::testing::device())),
        );
        let run = || read(model.forward(input.clone()).hidden);
        assert_eq!(run(), run(), "{config:?}");
    }
}

#[test]
fn a_saved_and_loaded_model_gives_the_same() {
    let device = device();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    for layout in BertConfig::tiny().layouts().into_iter().chain([Layout::NATIVE]) {
        let model = init(&BertConfig::tiny(), &device);
        save(&model, &path, &layout, &BTreeMap::new()).expect("a writable folder");
        let written = Checkpoint::open(&path).expect("what was just written");
        let loaded = load(init(&BertConfig::tiny(), &device), &written, &layout, &LoadOptions::default())
            .expect("the same architecture");
        let run = |model: &Bert| read(model.forward(BertInput::new(tokens(&[&[3, 1, 4]], &device))).hidden);
        assert_eq!(run(&loaded), run(&model), "{}", layout.name);
    }
}

#[test]
fn runs_on_named_tensors() {
    let config = BertConfig::tiny();
    let model = init(&config, &device());
    let inputs = |rows: &[&[i64]]| Tensors::new().with("tokens", tokens(rows, &device()));
    let outputs = config.run(&model, &inputs(&[&[3, 1, 4], &[1, 5, 9]])).expect("valid tokens");
    assert_eq!(outputs.get("hidden").expect("an output").shape().as_slice(), [2, 3, 10]);
    assert_eq!(outputs.get("pooled").expect("an output").shape().as_slice(), [2, 10]);

    let padded = inputs(&[&[3, 1, 0]]).with("mask", tokens(&[&[1, 1, 0]], &device()));
    let masked = config.run(&model, &padded).expect("a valid mask");
    let hidden = masked.float::<3>("hidden", &device()).expect("an output").narrow(1, 0, 2);
    let short = config.run(&model, &inputs(&[&[3, 1]])).expect("valid tokens");
    assert_close(&read(hidden), short.get("hidden").expect("an output"), 2e-6);

    let error = |inputs: Tensors| config.run(&model, &inputs).expect_err("wrong inputs").to_string();
    assert_eq!(
        error(inputs(&[&[3, 23]])),
        "element 1 of input `tokens` is 23; it must be at least 0 and less than 23"
    );
    assert_eq!(
        error(inputs(&[&[0; 12]])),
        "dimension 1 of input `tokens` must be between 1 and 11, not shape [1, 12]"
    );
    assert_eq!(
        error(inputs(&[&[0; 3]]).with("mask", tokens(&[&[1, 1]], &device()))),
        "dimension 1 of input `mask` must be 3, not shape [1, 2]"
    );
}

#[test]
fn a_config_of_hugging_face_is_read() {
    let read = |value| BertConfig::from_hugging_face(&value).expect("a BERT");
    let minilm = json!({
        "architectures": ["BertModel"], "attention_probs_dropout_prob": 0.1, "gradient_checkpointing": false,
        "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 384, "initializer_range": 0.02,
        "intermediate_size": 1536, "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "model_type": "bert",
        "num_attention_heads": 12, "num_hidden_layers": 6, "pad_token_id": 0,
        "position_embedding_type": "absolute", "type_vocab_size": 2, "use_cache": true, "vocab_size": 30522
    });
    assert_eq!(read(minilm.clone()), Ok(BertConfig::all_minilm_l6_v2()));

    let with = |key: &str, value: serde_json::Value| {
        let mut config = minilm.clone();
        config[key] = value;
        read(config)
    };
    let masked_lm = with("architectures", json!(["BertForMaskedLM"])).expect("a BERT without pooler");
    assert!(!masked_lm.pooler);
    assert_eq!(with("hidden_act", json!("gelu_new")).expect("known").activation, Activation::GeluTanh);
    let error = |key: &str, value| with(key, value).expect_err("not supported").to_string();
    assert_eq!(
        error("position_embedding_type", json!("relative_key")),
        "`position_embedding_type` = \"relative_key\" isn't supported; only absolute is"
    );
    assert!(error("hidden_act", json!("mish")).starts_with("`hidden_act` = \"mish\" isn't supported"));
    assert_eq!(error("is_decoder", json!(true)), "`is_decoder` = true isn't supported; only false is");
    assert!(error("hidden_size", json!("wide")).contains("`hidden_size`: invalid type: string \"wide\""));
    assert!(error("vocab_size", json!(null)).contains("missing field `vocab_size`"));
    assert_eq!(BertConfig::from_hugging_face(&json!({ "model_type": "gpt2" })), None);
}

#[test]
fn what_is_wrong_is_named() {
    let error = |config: BertConfig| config.init(&device()).expect_err("a wrong configuration").to_string();
    assert_eq!(
        error(BertConfig { n_heads: 3, ..BertConfig::tiny() }),
        "`d_model` (10) must be a multiple of `n_heads` (3)"
    );
    assert_eq!(
        error(BertConfig { vocab_size: 0, ..BertConfig::tiny() }),
        "`vocab_size` must be between 1 and 4194304, not 0"
    );
    assert_eq!(
        error(BertConfig { epsilon: 0.0, ..BertConfig::tiny() }),
        "`epsilon` must be a positive number, not 0"
    );
}
