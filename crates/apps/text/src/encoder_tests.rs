//! What is trained on top of a BERT, with a tiny one as it would be published.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use libellus_backend::testing::device;
use libellus_data::{Scheme, Tokenizer};
use libellus_models::{BertConfig, ModelConfig, Precision};
use libellus_train::{Interrupt, Place};
use libellus_weights::save;

use crate::classify::{self, TextClassifyOptions, TrainedTextClassifier};
use crate::contrast::{self, ContrastOptions, Objective};
use crate::{Embedder, TextError};

const LETTERS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A folder as on Hugging Face, of a model that nobody has trained.
fn bert(folder: &Path) -> PathBuf {
    let device = device();
    device.seed(5);
    let config = BertConfig::tiny();
    let layout = ModelConfig::Bert(config.clone()).layouts().remove(0);
    let model = config.init(&device).expect("a tiny model").materialize();
    let weights = folder.join("bert");
    std::fs::create_dir_all(&weights).expect("a writable folder");
    save(&model, &weights.join("model.safetensors"), &layout, &BTreeMap::new()).expect("a writable folder");
    let text = serde_json::json!({
        "model_type": "bert", "vocab_size": 23, "max_position_embeddings": 11, "hidden_size": 10,
        "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 17,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    });
    std::fs::write(weights.join("config.json"), text.to_string()).expect("a writable folder");
    let letters = LETTERS.concat() + &LETTERS.concat().to_uppercase();
    let tokenizer = Tokenizer::train(Scheme::Char, [Ok(letters)]).expect("letters");
    std::fs::write(weights.join("tokenizer.json"), tokenizer.to_json()).expect("a writable folder");
    weights
}

/// Small letters belong to capital ones, and to no others.
fn rows(folder: &Path, with_negatives: bool) -> PathBuf {
    let row = |n: usize| {
        let texts = |letter: &str| letter.repeat(1 + n / 6 % 4);
        let [own, other] = [LETTERS[n % 6], LETTERS[(n + 1 + n / 6 % 5) % 6]].map(str::to_uppercase);
        let mut row = serde_json::json!({ "anchor": texts(LETTERS[n % 6]), "positive": texts(&own) });
        if with_negatives {
            row["negative"] = texts(&other).into();
        }
        row.to_string() + "\n"
    };
    let path = folder.join("rows.jsonl");
    std::fs::write(&path, (0..120).map(row).collect::<String>()).expect("a writable folder");
    path
}

#[test]
fn texts_that_belong_together_come_nearer() {
    for loss in [Objective::InfoNce, Objective::Triplet] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = ContrastOptions {
            weights: Some(bert(folder.path())),
            data: Some(rows(folder.path(), loss == Objective::Triplet)),
            loss: Some(loss),
            lr: Some(0.01),
            epochs: Some(6.0),
            batch_size: Some(12),
            ..ContrastOptions::default()
        };
        let run = folder.path().join("run");
        let place = Place::New(Some(run.clone()));
        let outcome =
            contrast::train(&options, &place, "test", &Interrupt::default(), &mut ()).expect("it trains");
        let metrics = outcome.summary.expect("it was not interrupted").metrics;
        assert!(metrics["loss"] < 0.6 * metrics["loss_before"], "{metrics:?}");

        let embedder = Embedder::open_run(&run, &device(), Precision::F32).expect("it was saved");
        let small = embedder.embed(&LETTERS, 4, &mut |_| {}).expect("known letters");
        let capitals = LETTERS.map(str::to_uppercase);
        let capitals: Vec<&str> = capitals.iter().map(String::as_str).collect();
        let capitals = embedder.embed(&capitals, 4, &mut |_| {}).expect("known letters");
        let own = small.rows().enumerate().filter(|(index, row)| capitals.nearest(row, 1)[0].index == *index);
        assert!(own.count() >= 5, "{loss:?}");
    }
}

#[test]
fn what_is_wrong_with_rows_is_said_in_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = ContrastOptions {
        weights: Some(bert(folder.path())),
        data: Some(rows(folder.path(), false)),
        ..ContrastOptions::default()
    };
    type Change<'a> = &'a dyn Fn(&mut ContrastOptions);
    let error = |change: Change<'_>| -> TextError {
        let mut options = options.clone();
        change(&mut options);
        let place = Place::New(Some(folder.path().join("new")));
        contrast::train(&options, &place, "test", &Interrupt::default(), &mut ()).expect_err("wrong options")
    };
    let cases: [(Change<'_>, &str); 6] = [
        (&|options| options.loss = Some(Objective::Triplet), "--loss triplet"),
        (&|options| options.temperature = Some(0.0), "`temperature`"),
        (&|options| options.margin = Some(1.0), "--margin"),
        (&|options| options.batch_size = Some(1), "--batch-size 1"),
        (&|options| options.longest = Some(99), "--longest 99"),
        (&|options| options.negative_column = Some("far".to_owned()), "\"far\""),
    ];
    for (change, expected) in cases {
        let text = error(change).to_string();
        assert!(text.contains(expected) && text.lines().count() == 1, "{text}");
    }
    assert!(!folder.path().join("new").exists(), "a run that can't begin leaves nothing");
}

#[test]
fn a_bert_learns_classes_and_a_frozen_one_stays() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let weights = bert(folder.path());
    let row = |n: usize| {
        let letters: String = (0..5).map(|place| LETTERS[(n + n / 6 * place) % 6]).collect();
        let (text, label) =
            if n.is_multiple_of(2) { (letters, "small") } else { (letters.to_uppercase(), "capital") };
        format!("{text},{label}\n")
    };
    let data = folder.path().join("letters.csv");
    std::fs::write(&data, format!("text,label\n{}", (0..120).map(row).collect::<String>()))
        .expect("writable");
    let embedded = |model: &classify::TextClassifier| -> Vec<f32> {
        let tokens = burn::tensor::Tensor::from_ints([[1, 7, 3]], &device());
        let mask = burn::tensor::Tensor::full([1, 3], true, &device());
        model.forward_features(tokens, mask).into_data().iter::<f32>().collect()
    };
    let mut features = Vec::new();
    for (name, freeze) in [("tuned", false), ("frozen", true)] {
        let options = TextClassifyOptions {
            data: Some(data.clone()),
            weights: Some(weights.clone()),
            lr: Some(0.01),
            epochs: Some(4.0),
            batch_size: Some(8),
            freeze_backbone: Some(freeze),
            ..TextClassifyOptions::default()
        };
        let run = folder.path().join(name);
        let place = Place::New(Some(run.clone()));
        let outcome =
            classify::train(&options, &place, "test", &Interrupt::default(), &mut ()).expect("it trains");
        let metrics = outcome.summary.expect("it was not interrupted").metrics;
        assert!(freeze || metrics["accuracy"] > 0.9, "{metrics:?}");
        let trained = TrainedTextClassifier::open(&run, &device(), Precision::F32).expect("it was saved");
        features.push(embedded(&trained.model));
    }
    let base = Embedder::open(&weights, None, None, &device(), Precision::F32).expect("it was written");
    let input =
        libellus_models::bert::BertInput::new(burn::tensor::Tensor::from_ints([[1, 7, 3]], &device()));
    let hidden = base.model().forward_features(input);
    let mask = burn::tensor::Tensor::full([1, 3], true, &device());
    let expected: Vec<f32> =
        libellus_models::bert::masked_mean(hidden, mask).into_data().iter::<f32>().collect();
    assert_eq!(features[1], expected);
    assert_ne!(features[0], expected);
}
