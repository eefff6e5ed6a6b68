//! Properties of language models of any architecture.

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use serde_json::{Value, json};

use crate::rnn::RecurrentCell;
use crate::{
    Gpt2Config, LanguageModel, LanguageModelConfig, LanguageState, LlamaConfig, ModelConfig, Precision,
    PrepareInference, RnnLmConfig, preset, presets,
};

/// What is the same sum, perhaps taken in another order: a few units of f32's rounding, of the largest value.
const REORDERED: f64 = 3e-6;

const BATCH: usize = 3;
const LENGTH: usize = 7;

/// A tiny model of each kind.
fn tiny() -> [LanguageModelConfig; 5] {
    let gru =
        RnnLmConfig { d_model: 7, cell: RecurrentCell::Gru, tie_embeddings: true, ..RnnLmConfig::tiny() };
    [
        Gpt2Config::tiny().into(),
        LlamaConfig::tiny().into(),
        LlamaConfig { tie_embeddings: false, ..LlamaConfig::tiny() }.into(),
        RnnLmConfig::tiny().into(),
        gru.into(),
    ]
}

fn init(config: &LanguageModelConfig) -> LanguageModel {
    device().seed(11);
    config.init(&device()).expect("valid")
}

/// Tokens that look random.
fn tokens(batch: usize, length: usize) -> Tensor<2, Int> {
    let scattered = (1..=(batch * length) as u32).map(|index| index.wrapping_mul(2_654_435_761) >> 7);
    let values: Vec<i64> = scattered.map(|bits| i64::from(bits % 29)).collect();
    Tensor::from_data(TensorData::new(values, [batch, length]), &device())
}

/// The features of `tokens`, read in parts of these lengths.
fn in_parts(
    model: &LanguageModel,
    tokens: &Tensor<2, Int>,
    parts: &[usize],
    state: &mut LanguageState,
) -> Tensor<3> {
    let mut at = 0;
    let features = parts.iter().map(|&part| {
        let new = tokens.clone().narrow(1, at, part);
        at += part;
        model.read(new, state)
    });
    Tensor::cat(features.collect(), 1)
}

#[track_caller]
fn assert_same(actual: Tensor<3>, expected: Tensor<3>) {
    assert_close(&read(actual), &read(expected), REORDERED);
}

#[test]
fn reading_in_parts_is_reading_at_once() {
    for config in tiny() {
        let model = init(&config);
        let tokens = tokens(BATCH, LENGTH);
        let expected = model.forward(tokens.clone());
        assert_eq!(expected.dims(), [BATCH, LENGTH, 29]);
        for parts in [&[7][..], &[1; 7], &[3, 1, 2, 1]] {
            let mut state = model.new_state(BATCH, 11);
            assert!(state.is_empty());
            let features = in_parts(&model, &tokens, parts, &mut state);
            assert_same(model.logits(features), expected.clone());
            let remaining = config.context().map(|_| 4);
            assert_eq!((state.batch(), state.len(), state.remaining()), (BATCH, LENGTH, remaining));
        }
    }
}

#[test]
fn chosen_sequences_go_on_where_they_were() {
    for config in tiny() {
        let model = init(&config);
        let prompts = tokens(BATCH, LENGTH);
        let mut state = model.new_state(BATCH, 11);
        model.read(prompts.clone(), &mut state);
        // In another order, one of them twice and one not at all.
        let chosen = [2, 1, 2, 2];
        state.select(&chosen);
        let next = tokens(chosen.len(), 2);
        let features = in_parts(&model, &next, &[1, 1], &mut state);
        assert_eq!((state.batch(), state.len()), (4, 9));
        for (row, from) in chosen.into_iter().enumerate() {
            let alone =
                Tensor::cat(vec![prompts.clone().narrow(0, from, 1), next.clone().narrow(0, row, 1)], 1);
            let expected = model.forward(alone).narrow(1, LENGTH, 2);
            assert_same(model.logits(features.clone().narrow(0, row, 1)), expected);
        }
    }
}

#[test]
fn sequences_can_be_chosen_before_the_first_token() {
    for config in tiny() {
        let model = init(&config);
        let mut state = model.new_state(1, 11);
        state.select(&[0, 0]);
        let features = model.read(tokens(2, LENGTH), &mut state);
        assert_same(model.logits(features), model.forward(tokens(2, LENGTH)));
    }
}

#[test]
#[should_panic(expected = "rows [0, 3] of a state of 3 sequences")]
fn a_sequence_that_is_not_there_is_refused() {
    init(&RnnLmConfig::tiny().into()).new_state(BATCH, 11).select(&[0, 3]);
}

#[test]
#[should_panic(expected = "tokens of other sequences than the state's")]
fn a_state_of_other_sequences_is_refused() {
    let model = init(&RnnLmConfig::tiny().into());
    model.read(tokens(2, LENGTH), &mut model.new_state(BATCH, 11));
}

#[test]
#[should_panic(expected = "the state is that of another kind of model")]
fn a_state_of_another_model_is_refused() {
    let mut state = init(&Gpt2Config::tiny().into()).new_state(BATCH, 11);
    init(&RnnLmConfig::tiny().into()).read(tokens(BATCH, LENGTH), &mut state);
}

#[test]
fn the_model_has_the_sizes_of_its_configuration() {
    for config in tiny() {
        let model = init(&config);
        assert_eq!((model.vocab_size(), model.context()), (config.vocab_size(), config.context()));
    }
    let contexts = tiny().map(|config| config.context());
    assert_eq!(contexts, [Some(17), Some(17), Some(17), None, None]);
}

#[test]
fn vocabulary_and_dropout_can_be_set() {
    for config in tiny() {
        let mut changed = config.clone();
        changed.set_vocab_size(31);
        changed.set_dropout(0.5);
        let model = changed.init(&device()).expect("valid");
        assert_eq!([changed.vocab_size(), model.vocab_size()], [31, 31]);
        let training = changed.init(&device().autodiff()).expect("valid");
        let tokens = tokens(BATCH, LENGTH);
        let dropping = tokens.clone().to_device(&device().autodiff());
        assert_ne!(read(training.forward(dropping.clone())), read(training.forward(dropping)));
        let model = training.valid();
        assert_eq!(read(model.forward(tokens.clone())), read(model.forward(tokens)));

        changed.set_dropout(1.0);
        let error = changed.validate().expect_err("everything is dropped").to_string();
        assert_eq!(error, "`dropout` must be at least 0 and less than 1, not 1");
    }
}

/// Half a step of 1/127 of the largest of up to 64 numbers, or of 1/256 of each, in every linear layer and embedding.
#[test]
fn a_prepared_model_computes_the_same_but_for_its_precision() {
    for config in tiny() {
        let model = init(&config);
        let tokens = tokens(BATCH, LENGTH);
        let expected = read(model.forward(tokens.clone()));
        for (precision, tolerance) in
            [(Precision::F32, REORDERED), (Precision::Bf16, 0.05), (Precision::Q8, 0.05)]
        {
            let prepared = model.clone().prepare_generation_in(precision);
            let mut state = prepared.new_state(BATCH, LENGTH);
            let features = in_parts(&prepared, &tokens, &[3, 1, 3], &mut state);
            let logits = read(prepared.logits(features));
            assert_close(&logits, &expected, tolerance);
            if precision != Precision::F32 {
                assert_ne!(logits, expected, "{config:?} is not rounded to {precision:?}");
            }
        }
    }
}

#[test]
fn configurations_are_strict_data() {
    for config in tiny() {
        let text = serde_json::to_string(&config).expect("plain data");
        assert_eq!(
            serde_json::from_str::<LanguageModelConfig>(&text).expect("what was just written"),
            config
        );
        let mut value: Value = serde_json::from_str(&text).expect("JSON");
        // A configuration of any architecture reads and writes the same.
        assert_eq!(ModelConfig::from_value(value.clone()), Ok(config.clone().into()));
        assert_eq!(ModelConfig::from(config.clone()).to_value(), value);
        value["heads"] = 3.into();
        let error = serde_json::from_value::<LanguageModelConfig>(value).expect_err("an unknown key");
        assert!(error.to_string().contains("unknown field `heads`"), "{error}");
    }
    let error = serde_json::from_value::<LanguageModelConfig>(json!({ "architecture": "bert" }))
        .expect_err("another architecture");
    let expected = "unknown variant `bert`, expected one of `gpt2`, `llama`, `rnn_lm`";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn hugging_faces_configurations_are_taken() {
    let taken = |value: Value| LanguageModelConfig::try_from(ModelConfig::from_value(value).expect("known"));
    let gpt2 = json!({
        "model_type": "gpt2", "vocab_size": 29, "n_positions": 17, "n_embd": 15, "n_layer": 2, "n_head": 3,
        "n_inner": 23, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "transformers_version": "4.0"
    });
    assert_eq!(taken(gpt2), Ok(Gpt2Config::tiny().into()));
    let llama = json!({
        "model_type": "llama", "vocab_size": 29, "max_position_embeddings": 17, "num_hidden_layers": 2,
        "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 4, "hidden_size": 18,
        "intermediate_size": 13, "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 100.0,
        "tie_word_embeddings": true
    });
    assert_eq!(taken(llama), Ok(LlamaConfig::tiny().into()));

    let resnet = preset("resnet50").expect("a preset").config();
    let error = taken(resnet.to_value()).expect_err("no language model").to_string();
    assert_eq!(error, "`resnet` is no language model; those are gpt2, llama, rnn_lm");
}

#[test]
fn presets_of_language_models_are_taken() {
    for preset in presets() {
        let config = preset.config();
        let value = config.to_value();
        let architecture = value["architecture"].as_str().expect("a name");
        let is_one = LanguageModelConfig::ARCHITECTURES.contains(&architecture);
        let taken = LanguageModelConfig::try_from(config.clone());
        assert_eq!(taken.map(ModelConfig::from).ok(), is_one.then_some(config), "{}", preset.name);
    }
}

#[test]
fn layouts_are_those_of_the_architecture() {
    let names = |config: LanguageModelConfig| {
        config.layouts().iter().map(|layout| layout.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        tiny().map(names),
        ["huggingface nanogpt gguf", "huggingface gguf", "huggingface gguf", "pytorch", "pytorch"]
    );
}
