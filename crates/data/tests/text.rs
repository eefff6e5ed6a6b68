//! Tokenisers against Python's `tokenizers`: `golden/text.py` made the numbers.

use libellus_data::{BatchOptions, Padding, Scheme, SpecialTokens, Tokenizer};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/text.json")).expect("the golden file is whole")
}

fn list<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
    serde_json::from_value(value.clone()).expect("the golden file has lists of this type")
}

const KINDS: [&str; 3] = ["byte_level", "word_piece", "byte_fallback"];

#[test]
fn texts_are_encoded_and_decoded_as_in_python() {
    let golden = golden();
    let texts: Vec<String> = list(&golden["inputs"]);
    let plain = BatchOptions { special: SpecialTokens::Omit, ..BatchOptions::default() };
    for kind in KINDS {
        let tokenizer = Tokenizer::from_json(&golden[kind]["tokenizer"].to_string()).unwrap();
        for (text, expected) in texts.iter().zip(golden[kind]["texts"].as_array().unwrap()) {
            let ids: Vec<u32> = list(&expected["ids"]);
            assert_eq!(tokenizer.encode(text).unwrap(), ids, "{kind}: {text:?}");
            assert_eq!(
                tokenizer.encode_special(text).unwrap(),
                list::<u32>(&expected["special"]),
                "{kind}: {text:?}"
            );
            assert_eq!(tokenizer.decode(&ids).unwrap(), expected["decoded"], "{kind}: {text:?}");
            assert_eq!(
                tokenizer.decode_special(&ids).unwrap(),
                expected["decoded_special"],
                "{kind}: {text:?}"
            );
            let encoding = &tokenizer.encode_batch(&[text], &plain).unwrap()[0];
            let offsets: Vec<(usize, usize)> =
                encoding.offsets.iter().map(|range| (range.start, range.end)).collect();
            assert_eq!(encoding.ids, ids);
            assert_eq!(offsets, list::<(usize, usize)>(&expected["offsets"]), "{kind}: {text:?}");
        }
    }
}

#[test]
fn batches_are_cut_and_filled_as_in_python() {
    let golden = golden();
    let texts: Vec<String> = list(&golden["inputs"]);
    let texts: Vec<&str> = texts[3..10].iter().map(String::as_str).collect();
    for kind in KINDS {
        let mut description = golden[kind]["tokenizer"].clone();
        for batch in golden[kind]["batches"].as_array().unwrap() {
            let length = batch["length"].as_u64().map(|length| length as usize);
            let max_len = batch["max_len"].as_u64().map(|length| length as usize);
            // The token to pad with is part of the description where there is padding in it.
            if kind == "byte_fallback" {
                description["padding"] = serde_json::json!({
                    "strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": null,
                    "pad_id": 2, "pad_type_id": 0, "pad_token": "</s>",
                });
            }
            let tokenizer = Tokenizer::from_json(&description.to_string()).unwrap();
            let options = BatchOptions {
                special: if batch["special"] == true { SpecialTokens::Add } else { SpecialTokens::Omit },
                max_len,
                padding: length.map_or(Padding::Longest, Padding::To),
            };
            let rows = tokenizer.encode_batch(&texts, &options).unwrap();
            for (row, expected) in rows.iter().zip(batch["rows"].as_array().unwrap()) {
                let offsets: Vec<(usize, usize)> =
                    row.offsets.iter().map(|range| (range.start, range.end)).collect();
                let mask: Vec<u32> = row.attention_mask.iter().map(|&mask| mask.into()).collect();
                assert_eq!(row.ids, list::<u32>(&expected["ids"]), "{kind}: {options:?}");
                assert_eq!(offsets, list::<(usize, usize)>(&expected["offsets"]), "{kind}: {options:?}");
                assert_eq!(mask, list::<u32>(&expected["mask"]), "{kind}: {options:?}");
            }
        }
    }
}

#[test]
fn streams_give_what_python_decodes() {
    let golden = golden();
    for kind in KINDS {
        let tokenizer = Tokenizer::from_json(&golden[kind]["tokenizer"].to_string()).unwrap();
        for expected in golden[kind]["texts"].as_array().unwrap() {
            let mut stream = tokenizer.stream();
            let mut text = String::new();
            for id in list::<u32>(&expected["ids"]) {
                text.extend(stream.push(id).unwrap());
            }
            text += &stream.finish().unwrap();
            assert_eq!(text, expected["decoded"], "{kind}");
        }
    }
}

#[test]
fn bpe_is_trained_as_in_python() {
    let golden = golden();
    let corpus: Vec<String> = list(&golden["corpus"]);
    let trained = Tokenizer::train(Scheme::Bpe(600), corpus.into_iter().map(Ok)).unwrap();
    let trained: Value = serde_json::from_str(&trained.to_json()).unwrap();
    let expected = &golden["byte_level"]["tokenizer"]["model"];
    assert_eq!(trained["model"]["merges"], expected["merges"]);
    assert_eq!(trained["model"]["vocab"], expected["vocab"]);
}
