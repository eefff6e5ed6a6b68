//! Tokenisers in their published files.

use std::{fs, path::Path};

use super::*;

#[test]
fn published_files_give_the_same_tokenizer() {
    let trained = train(Scheme::Bpe(330), SONNET);
    let json: serde_json::Value = serde_json::from_str(&trained.to_json()).unwrap();
    let merges: Vec<(String, String)> = serde_json::from_value(json["model"]["merges"].clone()).unwrap();
    // GPT-2's order: bytes, merges, the end of text.
    let bytes = byte_level::alphabet().iter().map(char::to_string);
    let mut vocab: Vec<String> =
        bytes.chain(merges.iter().map(|(left, right)| format!("{left}{right}"))).collect();
    let from_parts =
        Tokenizer::byte_level_bpe(&vocab, &merges, &["<|endoftext|>"], &BytePattern::Gpt2).unwrap();
    let expected = from_parts.encode(SONNET).unwrap();
    assert_eq!(from_parts.end_of_text(), Some(329));
    let tokens = |tokenizer: &Tokenizer, ids: &[u32]| -> Vec<String> {
        ids.iter().filter_map(|&id| tokenizer.token(id)).collect()
    };
    assert_eq!(tokens(&from_parts, &expected), tokens(&trained, &trained.encode(SONNET).unwrap()));

    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let check = |path: &Path| {
        let opened = Tokenizer::open(path).unwrap();
        assert_eq!(opened.encode(SONNET).unwrap(), expected, "{}", path.display());
        assert_eq!(opened.end_of_text(), Some(329));
        assert_eq!(opened.vocab_size(), 330);
    };
    let ranked: Vec<(Vec<u8>, u32)> =
        vocab.iter().map(|token| byte_level::bytes_of(token)).zip(0..).collect();
    let special = [("<|endoftext|>".to_owned(), 329)];
    let of_ranks = tiktoken::of_ranks(&ranked, &special, &BytePattern::Gpt2).unwrap();
    assert_eq!(of_ranks.encode(SONNET).unwrap(), expected);
    assert_eq!(of_ranks.vocab_size(), 330);

    vocab.push("<|endoftext|>".to_owned());
    let ids: serde_json::Map<_, _> =
        vocab.iter().cloned().zip((0..330).map(serde_json::Value::from)).collect();
    fs::write(at("encoder.json"), serde_json::to_string(&ids).unwrap()).unwrap();
    let error = Tokenizer::open(folder.path()).unwrap_err();
    assert!(
        matches!(error, TextError::MissingFile { ref missing, .. } if missing.ends_with("vocab.bpe")),
        "{error}"
    );
    let lines: String = merges.iter().map(|(left, right)| format!("{left} {right}\n")).collect();
    fs::write(at("vocab.bpe"), format!("#version: 0.2\n{lines}")).unwrap();
    check(folder.path());
    check(&at("vocab.bpe"));
    check(&at("encoder.json"));

    // The file beside them says how to cut, and what tokens come behind those of the vocabulary.
    let config = |added: u32| {
        let token =
            |content: &str, special: bool| serde_json::json!({ "content": content, "special": special });
        let added = serde_json::json!({
            "329": token("<|endoftext|>", true), "330": token("<|im_end|>", true), added.to_string(): token("<tool>", false),
        });
        let config =
            serde_json::json!({ "tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": added });
        fs::write(at("tokenizer_config.json"), config.to_string()).unwrap();
        Tokenizer::open(folder.path())
    };
    let other = config(331).unwrap();
    assert_eq!(other.encode("<|im_end|><tool>").unwrap(), [330, 331]);
    assert_eq!(other.decode(&[330, 331]).unwrap(), "<tool>");
    let qwen = Tokenizer::byte_level_bpe(&vocab, &merges, &["<|endoftext|>"], &BytePattern::Qwen).unwrap();
    let odd = "I'M 12345\n\n  e\u{301}\u{a0}x";
    assert_eq!(other.encode(odd).unwrap(), qwen.encode(odd).unwrap());
    assert_ne!(other.encode(odd).unwrap(), from_parts.encode(odd).unwrap());
    match config(340).unwrap_err() {
        TextError::Invalid { path, source } => {
            assert!(path.ends_with("tokenizer_config.json"));
            assert!(matches!(*source, TextError::AddedToken { id: 340, .. }));
        }
        error => panic!("{error}"),
    }
    fs::remove_file(at("tokenizer_config.json")).unwrap();
    fs::write(at("tokenizer.json"), from_parts.to_json()).unwrap();
    check(&at("tokenizer.json"));
    check(folder.path());

    // A pattern of one's own: the same one gives the same, another doesn't.
    let whole = BytePattern::Regex(r"[\s\S]+".to_owned());
    let one_word = Tokenizer::byte_level_bpe(&vocab, &merges, &["<|endoftext|>"], &whole).unwrap();
    assert_eq!(one_word.decode(&one_word.encode(SONNET).unwrap()).unwrap(), SONNET);
    assert!(Tokenizer::byte_level_bpe(&vocab, &merges, &[], &BytePattern::Regex("(".to_owned())).is_err());
}

#[test]
fn damaged_tokenizer_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let error = |path: &Path| {
        let error = Tokenizer::open(path).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {source}").replace(&format!("{}", folder.path().display()), "DIR")
    };
    assert!(error(folder.path()).starts_with("DIR is no tokeniser: it needs"));
    assert!(error(&folder.path().join("none.json")).starts_with("cannot read DIR/none.json"));
    assert!(error(&write("notes.txt", "x")).starts_with("DIR/notes.txt is no tokeniser: it needs"));
    assert_eq!(
        error(&write("tokenizer.json", "{")),
        "DIR/tokenizer.json is no valid tokeniser: the description of the tokeniser is malformed"
    );
    let not_next = "DIR/a.tiktoken is no valid tokeniser: line 2 is not a token in Base64 and the next rank";
    assert_eq!(error(&write("a.tiktoken", "IQ== 1\nIg== 1\n")), not_next);
    assert_eq!(error(&write("a.tiktoken", "IQ== 1\n*\n")), not_next);
    assert_eq!(
        error(&write("b.tiktoken", "IQ== 0\nISEh 1\n")),
        "DIR/b.tiktoken is no valid tokeniser: how a tiktoken vocabulary of 2 tokens cuts a text into words is not known: use \
         the model's tokenizer.json instead"
    );
    assert!(error(&write("tokenizer.model", "IQ== 0\n")).contains("vocabulary of 1 tokens"));
    let piece = "DIR/tokenizer.model is no valid tokeniser: models of SentencePiece are not read: use the model's \
                 tokenizer.json instead";
    assert_eq!(error(&write("tokenizer.model", "\n\u{b}\n\u{5}<unk>")), piece);
    write("merges.txt", "#version: 0.2\na b c\n");
    let vocabulary = write("vocab.json", "{\"!</w>\": 0}");
    assert!(error(&vocabulary).contains("merges.txt is no valid tokeniser: line 2 is not two tokens"));
    write("merges.txt", "");
    assert!(error(&vocabulary).contains("token \"!</w>\" (id 0) is not byte-level"));
    write("vocab.json", "{\"a\": 0}");
    assert!(error(&vocabulary).contains("not made of two earlier tokens"));
    write("tokenizer_config.json", "{\"tokenizer_class\": \"LlamaTokenizerFast\"}");
    assert_eq!(
        error(&vocabulary),
        "DIR/tokenizer_config.json is no valid tokeniser: how a LlamaTokenizerFast cuts a text into words is not known: use the \
         model's tokenizer.json instead"
    );
    let twice = ["a".to_owned(), "b".to_owned(), "a".to_owned()];
    let error = Tokenizer::byte_level_bpe(&twice, &[], &[], &BytePattern::Gpt2).unwrap_err();
    assert!(matches!(error, TextError::DuplicateToken { id: 2, .. }));
    let error = Tokenizer::byte_level_bpe(&twice[..2], &[("a".into(), "c".into())], &[], &BytePattern::Gpt2);
    assert!(matches!(error, Err(TextError::Json { .. })));
}

/// A file of tiktoken with so many tokens, all bytes and then tokens of two and of three bytes; `gap` is no rank.
fn ranks_file(count: usize, gap: Option<u32>) -> String {
    let bytes = (0..=255_u8).map(|byte| vec![byte]);
    let pairs = (0..=u16::MAX).map(|pair| pair.to_be_bytes().to_vec());
    let triples =
        (0..=u16::MAX).flat_map(|pair| [0, 1, 2].map(|last| [&pair.to_be_bytes()[..], &[last]].concat()));
    let ids = (0_u32..).filter(|id| Some(*id) != gap);
    let lines = bytes.chain(pairs).chain(triples).zip(ids).take(count).map(|(token, id)| {
        format!("{} {id}\n", base64::Engine::encode(&base64::prelude::BASE64_STANDARD, token))
    });
    lines.collect()
}

#[test]
fn published_ranks_are_known_by_their_number() {
    for (count, pattern, specials, token, id) in [
        (50_256, BytePattern::Gpt2, 1, "<|endoftext|>", 50_256),
        (50_280, BytePattern::Gpt2, 1, "<|endoftext|>", 50_256),
        (100_256, BytePattern::Cl100k, 5, "<|endofprompt|>", 100_276),
        (128_000, BytePattern::Llama3, 256, "<|eot_id|>", 128_009),
        (128_000, BytePattern::Llama3, 256, "<|reserved_special_token_2|>", 128_005),
        (128_000, BytePattern::Llama3, 256, "<|reserved_special_token_247|>", 128_255),
        (151_643, BytePattern::Qwen, 208, "<|im_end|>", 151_645),
        (151_643, BytePattern::Qwen, 208, "<|extra_204|>", 151_850),
        (199_998, BytePattern::O200k, 2, "<|endoftext|>", 199_999),
    ] {
        let (found, special) = tiktoken::published(count).unwrap();
        assert_eq!((found, special.len()), (&pattern, specials), "{count}");
        assert!(special.contains(&(token.to_owned(), id)), "{count} {token}");
    }
    assert!(tiktoken::published(50_257).is_none());
    for (count, gap, vocab_size, end) in
        [(50_280, Some(50_256), 50_281, 50_256), (128_000, None, 128_256, 128_001)]
    {
        let tokenizer = tiktoken::read(&ranks_file(count, gap)).unwrap();
        assert_eq!((tokenizer.vocab_size(), tokenizer.end_of_text()), (vocab_size, Some(end)), "{count}");
        assert_eq!(tokenizer.encode(&tokenizer.token(end).unwrap()).unwrap(), [end]);
        assert_eq!(tokenizer.decode(&tokenizer.encode(SONNET).unwrap()).unwrap(), SONNET, "{count}");
    }
    // A gap where no special token is, and none where one is.
    for (count, gap, line) in [(50_256, Some(300), 301), (50_280, None, 50_257)] {
        let error = tiktoken::read(&ranks_file(count, gap)).unwrap_err();
        assert!(matches!(error, TextError::Line { line: found, .. } if found == line), "{error}");
    }
}

#[test]
fn ranks_that_merges_do_not_reach_are_kept() {
    let bytes = (0..=255_u8).map(|byte| vec![byte]);
    let tokens = bytes.chain(["bc", "abcd", "abc"].map(|token| token.as_bytes().to_vec()));
    let ranked: Vec<(Vec<u8>, u32)> = tokens.zip(0..).collect();
    // As tiktoken has it: a word that is a token, and a token of any two, but `abcd` isn't made of `abc`, which comes later.
    let tokenizer = tiktoken::of_ranks(&ranked, &[], &BytePattern::Llama3).unwrap();
    assert_eq!(tokenizer.encode("abcd").unwrap(), [257]);
    assert_eq!(tokenizer.encode("abc").unwrap(), [258]);
    assert_eq!(tokenizer.encode("xabcd").unwrap(), [u32::from(b'x'), 257]);
    let mut twice = ranked.clone();
    twice.push((b"bc".to_vec(), 259));
    let error = tiktoken::of_ranks(&twice, &[], &BytePattern::Llama3).unwrap_err();
    assert!(matches!(error, TextError::DuplicateToken { id: 259, .. }));
    let error = tiktoken::of_ranks(&ranked[1..], &[("x".to_owned(), 0)], &BytePattern::Llama3).unwrap_err();
    assert!(matches!(error, TextError::NotMergeable { .. }));
}
