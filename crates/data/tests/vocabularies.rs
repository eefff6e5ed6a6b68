//! Patterns and vocabularies of tiktoken and of GGUF files: `golden/vocabularies.py` made the ids.

use std::collections::BTreeMap;

use libellus_data::{BytePattern, GgufVocabulary, TextError, Tokenizer};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Golden {
    texts: Vec<String>,
    byte_level: ByteLevel,
    pieces: Pieces,
}

#[derive(Deserialize)]
struct ByteLevel {
    tokens: Vec<String>,
    merges: Vec<String>,
    ids: BTreeMap<String, Vec<Vec<u32>>>,
}

#[derive(Deserialize)]
struct Pieces {
    tokens: Vec<String>,
    scores: Vec<f64>,
    types: Vec<i64>,
    texts: Vec<String>,
    ids: Vec<Vec<u32>>,
    decoded: Vec<String>,
}

const NORMAL: i64 = 1;
const CONTROL: i64 = 3;
const USER: i64 = 4;

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/vocabularies.json")).expect("the golden file is whole")
}

fn pairs(merges: &[String]) -> Vec<(String, String)> {
    merges
        .iter()
        .map(|merge| merge.split_once(' ').expect("two parts of a merge"))
        .map(|(left, right)| (left.to_owned(), right.to_owned()))
        .collect()
}

/// The golden vocabulary as a GGUF file has it, with a special token and another added one.
fn byte_level_gguf(golden: &ByteLevel, pre: &str) -> GgufVocabulary {
    let mut tokens = golden.tokens.clone();
    let mut types = vec![NORMAL; tokens.len()];
    tokens.extend(["<|endoftext|>".to_owned(), "<tool>".to_owned(), "[PAD702]".to_owned()]);
    types.extend([CONTROL, USER, 5]);
    GgufVocabulary {
        model: "gpt2".into(),
        pre: Some(pre.into()),
        tokens,
        merges: golden.merges.clone(),
        types,
        ..GgufVocabulary::default()
    }
}

#[test]
fn patterns_cut_texts_as_tiktoken_does() {
    let Golden { texts, byte_level, .. } = golden();
    for (name, pattern) in [
        ("gpt2", BytePattern::Gpt2),
        ("gpt2_digits", BytePattern::Gpt2Digits),
        ("cl100k", BytePattern::Cl100k),
        ("o200k", BytePattern::O200k),
        ("llama3", BytePattern::Llama3),
        ("qwen", BytePattern::Qwen),
    ] {
        let tokenizer =
            Tokenizer::byte_level_bpe(&byte_level.tokens, &pairs(&byte_level.merges), &[], &pattern).unwrap();
        let mut different = 0;
        for ((text, expected), gpt2) in texts.iter().zip(&byte_level.ids[name]).zip(&byte_level.ids["gpt2"]) {
            assert_eq!(&tokenizer.encode(text).unwrap(), expected, "{name}: {text:?}");
            different += usize::from(expected != gpt2);
        }
        assert_eq!(name == "gpt2", different == 0, "{name} is told from GPT-2's pattern");
    }
}

#[test]
fn a_gguf_file_has_the_tokeniser_of_its_tokenizer_json() {
    let Golden { texts, byte_level, .. } = golden();
    for (pre, ids, file) in [
        (
            "gpt-2",
            "gpt2",
            json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true }),
        ),
        (
            "default",
            "gpt2",
            json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true }),
        ),
        (
            "smollm",
            "gpt2_digits",
            json!({ "type": "Sequence", "pretokenizers": [
            { "type": "Digits", "individual_digits": true },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        ] }),
        ),
        ("llama-bpe", "llama3", json!(null)),
        ("qwen2", "qwen", json!(null)),
    ] {
        let gguf = byte_level_gguf(&byte_level, pre);
        let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
        for (text, expected) in texts.iter().zip(&byte_level.ids[ids]) {
            // The ids are those of the text without added tokens.
            if !text.contains("<|endoftext|>") {
                assert_eq!(&tokenizer.encode(text).unwrap(), expected, "{pre}: {text:?}");
            }
        }
        let count = byte_level.tokens.len() as u32;
        let ids = tokenizer.encode("<tool><|endoftext|>").unwrap();
        assert_eq!(ids, [count + 1, count]);
        assert_eq!(tokenizer.decode(&ids).unwrap(), "<tool>");
        assert_eq!(tokenizer.vocab_size(), gguf.tokens.len());
        assert_eq!(tokenizer.end_of_text(), Some(count));
        if !file.is_null() {
            let vocab: serde_json::Map<_, _> =
                byte_level.tokens.iter().cloned().zip((0..).map(serde_json::Value::from)).collect();
            let description = json!({
                "version": "1.0",
                "added_tokens": [{ "id": count, "content": "<|endoftext|>", "special": true, "single_word": false,
                    "lstrip": false, "rstrip": false, "normalized": false }],
                "pre_tokenizer": file,
                "decoder": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
                "model": { "type": "BPE", "vocab": vocab, "merges": byte_level.merges },
            });
            let from_json = Tokenizer::from_json(&description.to_string()).unwrap();
            for text in &texts {
                assert_eq!(
                    tokenizer.encode(text).unwrap(),
                    from_json.encode(text).unwrap(),
                    "{pre}: {text:?}"
                );
            }
        }
    }
}

#[test]
fn sentence_pieces_are_those_of_sentencepiece() {
    let Pieces { tokens, scores, types, texts, ids, decoded } = golden().pieces;
    let special = tokens.iter().position(|token| token == "[INST]").unwrap() as u32;
    let gguf = GgufVocabulary {
        model: "llama".into(),
        tokens,
        scores,
        types,
        space_prefix: true,
        ..Default::default()
    };
    let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
    assert_eq!(tokenizer.id("[INST]"), Some(special));
    for ((text, expected), decoded) in texts.iter().zip(ids).zip(decoded) {
        assert_eq!(tokenizer.encode(text).unwrap(), expected, "{text:?}");
        assert_eq!(tokenizer.decode(&expected).unwrap(), decoded, "{text:?}");
    }
    let again = Tokenizer::from_json(&tokenizer.to_json()).unwrap();
    assert_eq!(again.encode(&texts[0]).unwrap(), tokenizer.encode(&texts[0]).unwrap());
    let bare = Tokenizer::from_gguf(&GgufVocabulary { space_prefix: false, ..gguf }).unwrap();
    assert_eq!(bare.encode(" it was").unwrap(), tokenizer.encode("it was").unwrap());
    assert_eq!(bare.decode(&bare.encode(" it was").unwrap()).unwrap(), " it was");
}

#[test]
fn what_a_gguf_file_lacks_is_named() {
    let Golden { byte_level, pieces, .. } = golden();
    let good = byte_level_gguf(&byte_level, "gpt-2");
    let error = |change: fn(&mut GgufVocabulary)| {
        let mut gguf = good.clone();
        change(&mut gguf);
        Tokenizer::from_gguf(&gguf).unwrap_err()
    };
    assert_eq!(
        error(|gguf| gguf.pre = Some("deepseek-v3".into())).to_string(),
        "its tokenizer.ggml.pre is \"deepseek-v3\", which is not known: use the model's tokenizer.json instead"
    );
    assert_eq!(
        error(|gguf| gguf.model = "bert".into()).to_string(),
        "its tokenizer.ggml.model is \"bert\", which is not known: use the model's tokenizer.json instead"
    );
    assert_eq!(error(|gguf| gguf.tokens.clear()).to_string(), "its tokenizer.ggml.tokens is missing");
    assert_eq!(
        error(|gguf| gguf.types.truncate(2)).to_string(),
        format!("its tokenizer.ggml.token_type has 2 values for {} tokens", good.tokens.len())
    );
    assert_eq!(
        error(|gguf| gguf.types[7] = 99).to_string(),
        "its tokenizer.ggml.token_type has 99, which is none"
    );
    assert_eq!(
        error(|gguf| gguf.merges[0] = "ab".into()).to_string(),
        "its tokenizer.ggml.merges has \"ab\", which is not two tokens"
    );
    assert!(matches!(error(|gguf| gguf.merges[0] = "QQQ ZZZ".into()), TextError::Json { .. }));
    assert!(matches!(
        error(|gguf| gguf.tokens[3] = gguf.tokens[2].clone()),
        TextError::DuplicateToken { id: 3, .. }
    ));
    assert!(matches!(error(|gguf| gguf.tokens[3] = "???".into()), TextError::NotMergeable { .. }));
    let mut gguf = GgufVocabulary { model: "llama".into(), tokens: pieces.tokens, ..Default::default() };
    assert!(
        Tokenizer::from_gguf(&gguf)
            .unwrap_err()
            .to_string()
            .starts_with("its tokenizer.ggml.scores has 0 values")
    );
    gguf.scores = pieces.scores;
    gguf.bos_token_id = Some(9999);
    assert_eq!(
        Tokenizer::from_gguf(&gguf).unwrap_err().to_string(),
        format!("its tokenizer.ggml.bos_token_id is 9999, which is none of {} tokens", gguf.tokens.len())
    );
    gguf.bos_token_id = Some(1);
    let begun = Tokenizer::from_gguf(&gguf).unwrap();
    assert_eq!(begun.begin_of_text(), [1]);
    assert_eq!(begun.encode_special("a").unwrap(), [&[1], &begun.encode("a").unwrap()[..]].concat());
    gguf.add_bos_token = Some(false);
    assert!(Tokenizer::from_gguf(&gguf).unwrap().begin_of_text().is_empty());
    gguf.tokens[400] = "x".repeat(513);
    assert_eq!(
        Tokenizer::from_gguf(&gguf).unwrap_err().to_string(),
        "its tokenizer.ggml.tokens has one of 513 bytes, more than 512"
    );
}
