mod corpora;
mod files;

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{words::Words, *};

fn train(scheme: Scheme, text: &str) -> Tokenizer {
    Tokenizer::train(scheme, [Ok(text.to_owned())]).unwrap()
}

const SONNET: &str = "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n\nRough winds do \
                      shake the darling buds of May, and summer's lease hath all too short a date;\r\n\r\n  Sometime too \
                      hot the eye of heaven shines, 1609 (one thousand six hundred nine)... don't we'll I'VE\u{301}\n";

/// Text with what pieces are decided by: white space of all kinds, apostrophes, special tokens, marks, wide characters.
fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just(" "),
        Just("  "),
        Just("\n"),
        Just("\r\n"),
        Just("\t"),
        Just("\u{a0}"),
        Just("\u{85}"),
        Just("'"),
        Just("'re"),
        Just("'s"),
        Just("a"),
        Just("The"),
        Just("12"),
        Just("²"),
        Just("."),
        Just("!?"),
        Just("<|endoftext|>"),
        Just("<"),
        Just("<unk>"),
        Just("/"),
        Just("e\u{301}"),
        Just("春"),
        Just("👩\u{200d}👧"),
        Just("\0"),
        Just("שלום"),
    ];
    prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

#[test]
fn schemes_are_written_as_they_are_read() {
    for (text, scheme) in [
        ("char", Scheme::Char),
        ("word", Scheme::Word),
        ("sentence", Scheme::Sentence),
        ("paragraph", Scheme::Paragraph),
        ("bpe:4096", Scheme::Bpe(4096)),
        ("bpe:257", Scheme::Bpe(257)),
    ] {
        assert_eq!(text.parse::<Scheme>().unwrap(), scheme);
        assert_eq!(scheme.to_string(), text);
        let json = format!("{text:?}");
        assert_eq!(serde_json::from_str::<Scheme>(&json).unwrap(), scheme);
        assert_eq!(serde_json::to_string(&scheme).unwrap(), json);
    }
    assert_eq!("bpe".parse::<Scheme>().unwrap(), Scheme::Bpe(4096));
    assert!(matches!("bpe:256".parse::<Scheme>(), Err(TextError::VocabularySize { value: 256, least: 257 })));
    assert!(matches!("bpe:x".parse::<Scheme>(), Err(TextError::Scheme { .. })));
    assert!(matches!("Char".parse::<Scheme>(), Err(TextError::Scheme { .. })));
}

#[test]
fn characters_are_numbered_by_code_point_and_a_missing_one_is_named() {
    let tokenizer = train(Scheme::Char, "hello é\n");
    let vocabulary: Vec<String> = (0..8).map_while(|id| tokenizer.token(id)).collect();
    assert_eq!(vocabulary, ["\n", " ", "e", "h", "l", "o", "é"]);
    assert_eq!(tokenizer.vocab_size(), 7);
    assert_eq!(tokenizer.encode("hé\n").unwrap(), [3, 6, 0]);
    assert_eq!(tokenizer.decode(&[3, 6, 0]).unwrap(), "hé\n");
    assert_eq!(tokenizer.end_of_text(), None);
    let error = tokenizer.encode("éx").unwrap_err();
    assert_eq!(error.to_string(), "character 'x' at byte 2 is not in the tokeniser's vocabulary");
    let error = tokenizer.encode_batch(&["hx"], &BatchOptions::default()).unwrap_err();
    assert!(matches!(error, TextError::UnknownCharacter { character: 'x', position: 1 }));
}

#[test]
fn pieces_of_each_scheme() {
    let pieces = |scheme, text| {
        let mut pieces = Vec::new();
        Words::of_scheme(scheme).split(text, |piece| pieces.push(piece));
        pieces
    };
    assert_eq!(
        pieces(Scheme::Word, "It's  3e\u{301}, no?\n"),
        ["It", "'", "s", "  ", "3e\u{301}", ",", " ", "no", "?", "\n"]
    );
    assert_eq!(
        pieces(Scheme::Sentence, "Pi is 3.14! Yes?! ... and\nso on"),
        ["Pi is 3.14! ", "Yes?! ", "... ", "and\nso on"]
    );
    assert_eq!(pieces(Scheme::Paragraph, "a\nb\n\n \nc\r\n\r\nd\n"), ["a\nb\n\n \n", "c\r\n\r\n", "d\n"]);
    assert_eq!(
        pieces(Scheme::Bpe(300), "we're  at\n\nthe end  "),
        ["we", "'re", " ", " at", "\n", "\n", "the", " end", "  "]
    );
}

#[test]
fn words_are_numbered_by_frequency_after_the_unknown_one() {
    let tokenizer = train(Scheme::Word, "b a b c b a");
    let vocabulary: Vec<String> = (0..8).map_while(|id| tokenizer.token(id)).collect();
    assert_eq!(vocabulary, ["<unk>", " ", "b", "a", "c"]);
    assert_eq!(tokenizer.encode("a zzz b").unwrap(), [3, 1, 0, 1, 2]);
}

#[test]
fn training_twice_gives_the_same_and_no_text_gives_an_error() {
    for scheme in [Scheme::Char, Scheme::Word, Scheme::Sentence, Scheme::Paragraph, Scheme::Bpe(320)] {
        assert_eq!(train(scheme, SONNET).to_json(), train(scheme, SONNET).to_json(), "{scheme}");
        assert!(matches!(Tokenizer::train(scheme, [Ok(String::new())]), Err(TextError::NothingToTrainOn)));
        let failing = [Ok("a".to_owned()), Err(TextError::NoPadToken), Ok("b".to_owned())];
        assert!(matches!(Tokenizer::train(scheme, failing), Err(TextError::NoPadToken)));
    }
    let error = Tokenizer::train(Scheme::Bpe(256), [Ok("a".to_owned())]).unwrap_err();
    assert!(matches!(error, TextError::VocabularySize { value: 256, least: 257 }));
}

#[test]
fn bpe_has_its_size_all_bytes_and_the_end_of_text() {
    let tokenizer = train(Scheme::Bpe(320), SONNET);
    assert_eq!(tokenizer.vocab_size(), 320);
    let end = tokenizer.end_of_text().unwrap();
    assert_eq!(tokenizer.token(end).unwrap(), "<|endoftext|>");
    assert_eq!(tokenizer.encode("<|endoftext|>").unwrap(), [end]);
    assert_eq!(tokenizer.decode(&[end]).unwrap(), "");
    assert_eq!(tokenizer.decode_special(&[end]).unwrap(), "<|endoftext|>");
    assert!(tokenizer.encode("summer's").unwrap().len() < 8);
    assert!(matches!(tokenizer.decode(&[320]), Err(TextError::UnknownId { id: 320, vocab_size: 320 })));
}

#[test]
fn a_saved_tokenizer_is_the_same() {
    for scheme in [Scheme::Char, Scheme::Word, Scheme::Sentence, Scheme::Paragraph, Scheme::Bpe(320)] {
        let tokenizer = train(scheme, SONNET);
        let again = Tokenizer::from_json(&tokenizer.to_json()).unwrap();
        assert_eq!(again.to_json(), tokenizer.to_json());
        assert_eq!(again.encode(SONNET).unwrap(), tokenizer.encode(SONNET).unwrap());
        assert_eq!(again.decode(&again.encode(SONNET).unwrap()).unwrap(), SONNET);
        assert_eq!(again.vocab_size(), tokenizer.vocab_size());
    }
    assert!(matches!(Tokenizer::from_json("{}"), Err(TextError::Json { .. })));
}

#[test]
fn the_end_of_a_batch_is_cut_and_filled() {
    let tokenizer = train(Scheme::Word, "a b c d <pad>");
    let options = BatchOptions { max_len: Some(3), padding: Padding::Longest, ..BatchOptions::default() };
    // No token to pad with, and one.
    assert!(matches!(tokenizer.encode_batch(&["a", "a b"], &options), Err(TextError::NoPadToken)));
    assert_eq!(tokenizer.encode_batch(&["a b c", "a b c"], &options).unwrap()[0].ids.len(), 3);
    let tokenizer = train(Scheme::Bpe(257), "a");
    let end = tokenizer.end_of_text().unwrap();
    let [a, b] = ["a", "b"].map(|token| tokenizer.id(token).unwrap());
    let batch = tokenizer.encode_batch(&["abab", "b", ""], &options).unwrap();
    assert_eq!(batch[0].ids, [a, b, a]);
    assert_eq!(
        batch[1],
        Encoding {
            ids: vec![b, end, end],
            offsets: vec![0..1, 0..0, 0..0],
            attention_mask: vec![true, false, false]
        }
    );
    assert_eq!(batch[2].attention_mask, [false; 3]);
}

#[test]
fn a_stream_waits_for_whole_characters() {
    let tokenizer = train(Scheme::Bpe(257), "a");
    let ids = tokenizer.encode("a春é").unwrap();
    let mut stream = tokenizer.stream();
    let pieces: Vec<Option<String>> = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(pieces, [some("a"), None, None, some("春"), None, some("é")]);
    assert_eq!(stream.finish().unwrap(), "");
    let mut stream = tokenizer.stream();
    assert_eq!(stream.push(ids[1]).unwrap(), None);
    assert_eq!(stream.push(ids[0]).unwrap(), some("\u{fffd}a"));
    assert_eq!(stream.push(ids[1]).unwrap(), None);
    assert_eq!(stream.finish().unwrap(), "\u{fffd}");
    assert!(tokenizer.stream().push(257).is_err());
}

/// Tokenisers of the sonnet, trained once for all cases.
fn trained(scheme: Scheme) -> &'static Tokenizer {
    static TRAINED: LazyLock<[(Scheme, Tokenizer); 4]> = LazyLock::new(|| {
        [Scheme::Bpe(300), Scheme::Word, Scheme::Sentence, Scheme::Paragraph]
            .map(|scheme| (scheme, train(scheme, SONNET)))
    });
    &TRAINED.iter().find(|(trained, _)| *trained == scheme).unwrap().1
}

/// All of them, and the sonnet's merges with each pattern, with special tokens around a text, and without some of the bytes.
fn all_kinds() -> &'static [(String, Tokenizer)] {
    static KINDS: LazyLock<Vec<(String, Tokenizer)>> = LazyLock::new(|| {
        let schemes = [Scheme::Bpe(300), Scheme::Word, Scheme::Sentence, Scheme::Paragraph];
        let mut kinds: Vec<(String, Tokenizer)> =
            schemes.map(|scheme| (scheme.to_string(), trained(scheme).clone())).into();
        let whole: Value = serde_json::from_str(&trained(Scheme::Bpe(300)).to_json()).unwrap();
        let with = |change: &dyn Fn(&mut Value)| {
            let mut changed = whole.clone();
            change(&mut changed);
            Tokenizer::from_json(&changed.to_string()).unwrap()
        };
        for pattern in [
            BytePattern::Gpt2Digits,
            BytePattern::Cl100k,
            BytePattern::O200k,
            BytePattern::Llama3,
            BytePattern::Qwen,
        ] {
            let tokenizer = with(&|json| {
                json["pre_tokenizer"] = pattern.pre_tokenizer();
                json["normalizer"] = pattern.normalizer();
                json["model"]["ignore_merges"] = pattern.keeps_tokens_whole().into();
            });
            kinds.push((format!("{pattern:?}"), tokenizer));
        }
        let around = with(&|json| {
            json["post_processor"] = json!({
                "type": "Sequence",
                "processors": [
                    { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true },
                    { "type": "BertProcessing", "sep": ["<|endoftext|>", 0], "cls": ["!", 1] },
                ],
            });
        });
        kinds.push(("around".to_owned(), around.clone()));
        let mut trimming: Value = serde_json::from_str(&around.to_json()).unwrap();
        trimming["post_processor"]["processors"][0]["trim_offsets"] = true.into();
        let trimming = Tokenizer::from_json(&trimming.to_string()).unwrap();
        assert_eq!([around.begin_of_text(), trimming.begin_of_text()], [[1]; 2]);
        kinds.push(("trimming".to_owned(), trimming));
        let lacking = with(&|json| {
            let vocab = json["model"]["vocab"].as_object_mut().unwrap();
            // Bytes of U+0301 and of 春, and NUL.
            vocab.retain(|token, _| !["\u{12b}", "æ", "Ā"].contains(&&token[..]));
        });
        kinds.push(("lacking".to_owned(), lacking));
        assert!(kinds.iter().all(|(_, tokenizer)| tokenizer.words.is_some() && tokenizer.around.is_some()));
        kinds
    });
    &KINDS
}

proptest! {
    /// The short way to the ids and places against that of `tokenizers`.
    #[test]
    fn ids_and_places_are_those_of_the_long_way(texts in prop::collection::vec(any_text(), 1..4), max_len in 2..40_usize) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for (name, tokenizer) in all_kinds() {
            let options = BatchOptions { max_len: Some(max_len), ..BatchOptions::default() };
            let [whole, cut] = [BatchOptions::default(), options].map(|options| tokenizer.encode_batch(&texts, &options).unwrap());
            for ((text, whole), cut) in texts.iter().zip(whole).zip(cut) {
                let long = |max_len| tokenizer.encode_whole(text, None, SpecialTokens::Add, max_len).unwrap();
                prop_assert_eq!(&whole, &long(None), "{}", name);
                prop_assert_eq!(cut, long(Some(max_len)), "{}", name);
                prop_assert_eq!(&tokenizer.encode_special(text).unwrap(), &whole.ids, "{}", name);
                let bare = tokenizer.inner.encode(*text, false).unwrap();
                prop_assert_eq!(tokenizer.encode(text).unwrap(), bare.get_ids(), "{}", name);
            }
        }
    }

    #[test]
    fn bytes_come_back(text in any::<String>(), odd in any_text()) {
        let tokenizer = trained(Scheme::Bpe(300));
        for text in [text, odd] {
            let ids = tokenizer.encode(&text).unwrap();
            prop_assert_eq!(tokenizer.decode_special(&ids).unwrap(), text);
        }
    }

    #[test]
    fn cutting_makes_no_difference(text in any_text(), from in 0..200_usize) {
        for (name, tokenizer) in all_kinds() {
            let whole = tokenizer.encode(&text).unwrap();
            // At the last place, and at all before it.
            let mut end = text.len();
            while let Some(cut) = tokenizer.last_cut(&text[..end], 0) {
                let mut parts = tokenizer.encode(&text[..cut]).unwrap();
                parts.extend(tokenizer.encode(&text[cut..]).unwrap());
                prop_assert_eq!(&parts, &whole, "{} at {}", name, cut);
                prop_assert!(cut < end);
                end = cut;
            }
            if let Some(cut) = tokenizer.last_cut(&text, from) {
                prop_assert_eq!(Some(cut), tokenizer.last_cut(&text, 0));
            }
        }
    }

    #[test]
    fn a_stream_is_what_decoding_is(ids in prop::collection::vec(0..300_u32, 0..40)) {
        let tokenizer = trained(Scheme::Bpe(300));
        let mut stream = tokenizer.stream();
        let mut text = String::new();
        for &id in &ids {
            text.extend(stream.push(id).unwrap());
        }
        text += &stream.finish().unwrap();
        prop_assert_eq!(text, tokenizer.decode(&ids).unwrap());
    }
}
