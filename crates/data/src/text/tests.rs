use std::{
    fs,
    io::Write,
    path::Path,
    sync::{Arc, LazyLock},
};

use proptest::prelude::*;

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

/// A corpus of the files given, in a folder.
fn corpus(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Corpus) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let corpus = Corpus::open(folder.path(), None).unwrap();
    (folder, corpus)
}

#[test]
fn a_folder_is_read_in_order_without_marks_and_empty_files() {
    let (_folder, corpus) = corpus(&[
        ("b.txt", b"\xef\xbb\xbftwo\r\n"),
        ("a/z.MD", "öne".as_bytes()),
        ("c.txt", b""),
        ("d.png", b"\xff"),
    ]);
    let documents: Vec<TextPiece> = corpus.documents().collect::<Result<_, _>>().unwrap();
    let texts: Vec<(&str, bool, u64)> =
        documents.iter().map(|piece| (&piece.text[..], piece.ends_document, piece.start)).collect();
    assert_eq!(texts, [("öne", true, 0), ("two\r\n", true, 3)]);
    assert_eq!(documents[1].read, corpus.bytes());
}

#[test]
fn long_files_come_in_pieces_that_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    for text in [
        "0123456789ä\n".repeat(400_000),
        "ä".repeat(700_000),
        format!("{}\n", "x".repeat((1 << 20) - 1)),
        "x".repeat(1 << 20),
        "x".repeat((1 << 20) + 1),
    ] {
        let path = folder.path().join("long.txt");
        fs::write(&path, &text).unwrap();
        let pieces: Vec<TextPiece> =
            Corpus::open(&path, None).unwrap().documents().collect::<Result<_, _>>().unwrap();
        assert!(pieces.iter().map(|piece| &piece.text[..]).collect::<String>() == text);
        assert!(pieces.iter().all(|piece| !piece.text.is_empty() && piece.text.len() <= (1 << 20) + 1));
        let (last, others) = pieces.split_last().unwrap();
        assert!(last.ends_document && last.read == text.len() as u64);
        assert!(
            others
                .iter()
                .all(|piece| !piece.ends_document && (piece.text.ends_with('\n') || !text.contains('\n')))
        );
    }
}

#[test]
fn tables_give_a_column() {
    let folder = tempfile::tempdir().unwrap();
    let texts =
        |name: &str, content: &[u8], column: Option<&str>| -> Result<Vec<(String, Option<u64>)>, TextError> {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            Corpus::open(&path, column)?
                .documents()
                .map(|piece| piece.map(|piece| (piece.text, piece.line)))
                .collect()
        };
    let expected = vec![("a\n\"b\"".to_owned(), Some(2)), ("ü".to_owned(), Some(4))];
    let csv = "\u{feff}text,id\r\n\"a\n\"\"b\"\"\",1\r\nü,2\r\n,3\r\n";
    assert_eq!(texts("t.csv", csv.as_bytes(), None).unwrap(), expected);
    assert_eq!(texts("t.tsv", b"id\tbody\n1\tx,y\n", Some("body")).unwrap(), [("x,y".to_owned(), Some(2))]);
    let jsonl = "\u{feff}{\"text\": \"a\"}\r\n\n{\"text\": \"\"}\n{\"text\": \"b\\n\", \"n\": [1]}";
    assert_eq!(
        texts("t.jsonl", jsonl.as_bytes(), None).unwrap(),
        [("a".to_owned(), Some(1)), ("b\n".to_owned(), Some(4))]
    );

    let error = |name: &str, content: &[u8], column| {
        let error = texts(name, content, column).unwrap_err().to_string();
        error.replace(&format!("{}", folder.path().display()), "DIR")
    };
    assert_eq!(
        error("t.csv", b"id,name\n1,a\n", None),
        "line 1 of DIR/t.csv has no column \"text\": it has id, name"
    );
    assert_eq!(error("t.csv", b"text,n\na\n", None), "DIR/t.csv is malformed");
    assert_eq!(error("t.csv", b"text\n\xff\n", None), "line 2 of DIR/t.csv is not valid UTF-8");
    assert_eq!(error("t.csv", b"text\n", None), "DIR/t.csv holds no text");
    assert_eq!(
        error("t.jsonl", b"{\"text\":\"a\"}\n{\"a\":1,\"b\":2}\n", None),
        "line 2 of DIR/t.jsonl has no column \"text\": it has a, b"
    );
    assert_eq!(
        error("t.jsonl", b"{\"text\":1}\n", None),
        "column \"text\" in line 1 of DIR/t.jsonl is not a string"
    );
    assert_eq!(error("t.jsonl", b"\n[1]\n", None), "line 2 of DIR/t.jsonl is not a JSON object");
    assert_eq!(error("t.jsonl", b"\xff\n", None), "line 1 of DIR/t.jsonl is not valid UTF-8");
    assert_eq!(
        error("t.txt", b"a", Some("text")),
        "DIR/t.txt is plain text and has no column \"text\": leave the column out"
    );
    assert_eq!(error("t.txt", b"", None), "DIR/t.txt holds no text");
    assert_eq!(error("t.txt", b"\xef\xbb\xbfab\xffc", None), "DIR/t.txt is not valid UTF-8 at byte 5");
    assert_eq!(error("t.txt", b"ab\xe6\x98", None), "DIR/t.txt is not valid UTF-8 at byte 2");
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Corpus::open(empty.path(), None), Err(TextError::EmptyCorpus { .. })));
    assert!(matches!(Corpus::open(empty.path().join("x.txt"), None), Err(TextError::Read { .. })));
}

#[test]
fn files_of_tokens_are_read_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    for (vocab_size, ids, bytes) in
        [(65_536, [0_u32, 65_535, 7, 258, 3], 32 + 10), (65_537, [0, 65_536, 7, 258, 3], 32 + 20)]
    {
        let path = folder.path().join("tokens.bin");
        let mut writer = TokenWriter::create(&path, vocab_size).unwrap();
        writer.write(&ids[..2]).unwrap();
        writer.write(&ids[2..]).unwrap();
        let tokens = Arc::new(writer.finish().unwrap());
        assert_eq!(fs::metadata(&path).unwrap().len(), bytes);
        assert_eq!((tokens.len(), tokens.vocab_size()), (5, vocab_size));
        assert_eq!(tokens.read(0, 5).unwrap(), ids);
        assert_eq!(tokens.read(1, 3).unwrap(), ids[1..4]);
        assert!(tokens.read(5, 0).unwrap().is_empty());
        let [train, validation] = tokens.split(0.7);
        assert_eq!((train.len(), validation.len()), (3, 2));
        assert_eq!(validation.read(1, 1).unwrap(), [3]);
        assert!(std::panic::catch_unwind(|| train.read(2, 2)).is_err());
        assert!(std::panic::catch_unwind(|| tokens.read(u64::MAX, 2)).is_err());
    }
}

#[test]
fn a_file_of_tokens_is_whole_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.bin");
    let mut writer = TokenWriter::create(&path, 10).unwrap();
    let error = writer.write(&[1, 10]).unwrap_err();
    assert!(matches!(error, TextError::TokenOutOfRange { position: 1, id: 10, vocab_size: 10, .. }));
    writer.write(&[1, 2, 3]).unwrap();
    assert!(!path.exists());
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let error = TokenWriter::create(folder.path().join("no/tokens.bin"), 10).unwrap_err();
    assert!(matches!(error, TextError::Write { .. }));
}

#[test]
fn damaged_files_of_tokens_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.bin");
    let mut writer = TokenWriter::create(&path, 10).unwrap();
    writer.write(&[1, 2, 3]).unwrap();
    writer.finish().unwrap();
    let whole = fs::read(&path).unwrap();
    let open = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        Tokens::open(&path)
    };
    assert!(matches!(open(&|bytes| bytes.truncate(31)), Err(TextError::NotTokens { .. })));
    assert!(matches!(open(&|bytes| bytes[0] = b'M'), Err(TextError::NotTokens { .. })));
    assert!(matches!(open(&|bytes| bytes[8] = 2), Err(TextError::TokensVersion { version: 2, .. })));
    assert!(matches!(open(&|bytes| bytes[12] = 4), Err(TextError::TokensHeader { width: 4, .. })));
    assert!(matches!(
        open(&|bytes| bytes.truncate(37)),
        Err(TextError::TokensLength { tokens: 3, bytes: 37, .. })
    ));
    assert!(matches!(open(&|bytes| bytes.push(0)), Err(TextError::TokensLength { .. })));
    assert!(matches!(open(&|bytes| bytes[24..32].fill(0xff)), Err(TextError::TokensLength { .. })));
    let tokens = open(&|bytes| bytes[34] = 11).unwrap();
    let error = tokens.read(1, 2).unwrap_err();
    assert!(
        matches!(error, TextError::TokenOutOfRange { position: 1, id: 11, vocab_size: 10, .. }),
        "{error}"
    );
    assert_eq!(tokens.read(2, 1).unwrap(), [3]);
}

#[test]
fn a_tokenized_corpus_is_its_documents_with_ends_between() {
    let (folder, corpus) = corpus(&[("a.txt", b"one\n\ntwo"), ("b.txt", b"  three\n")]);
    let tokenizer = train(Scheme::Bpe(300), SONNET);
    let mut told = Vec::new();
    let path = folder.path().join("tokens.bin");
    let tokens = tokenize(&corpus, &tokenizer, &path, |done, all| told.push((done, all))).unwrap();
    let end = tokenizer.end_of_text().unwrap();
    let mut expected = tokenizer.encode("one\n\ntwo").unwrap();
    expected.push(end);
    expected.extend(tokenizer.encode("  three\n").unwrap());
    expected.push(end);
    assert_eq!(tokens.read(0, expected.len()).unwrap(), expected);
    assert_eq!(tokens.len(), expected.len() as u64);
    assert_eq!(told.last(), Some(&(16, 16)));

    let characters = train(Scheme::Char, "one\ntw");
    let error = tokenize(&corpus, &characters, folder.path().join("none.bin"), |_, _| ()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.to_string().ends_with("b.txt"), "{error}");
    assert_eq!(source, "character ' ' at byte 0 is not in the tokeniser's vocabulary");
    assert!(!folder.path().join("none.bin").exists());
}

#[test]
fn a_character_is_found_far_into_a_long_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.txt");
    let mut file = fs::File::create(&path).unwrap();
    let line = b"so long lives this\n";
    file.write_all(&line.repeat(200_000)).unwrap();
    file.write_all(b"x").unwrap();
    let tokenizer = train(Scheme::Char, "so long lives this\n");
    let error = tokenize(&Corpus::open(&path, None).unwrap(), &tokenizer, folder.path().join("t"), |_, _| ())
        .unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        source,
        format!("character 'x' at byte {} is not in the tokeniser's vocabulary", line.len() * 200_000)
    );
}

#[test]
fn long_documents_give_the_tokens_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.txt");
    let text = format!("{SONNET}{}<|endoftext|>  {SONNET}", " \n".repeat(7)).repeat(6_000);
    assert!(text.len() > 2 << 20);
    fs::write(&path, &text).unwrap();
    let corpus = Corpus::open(&path, None).unwrap();
    for scheme in [Scheme::Bpe(290), Scheme::Word, Scheme::Char, Scheme::Paragraph] {
        let tokenizer = train(scheme, &format!("{SONNET}<|endoftext|>"));
        let tokens = tokenize(&corpus, &tokenizer, folder.path().join("t"), |_, _| ()).unwrap();
        let mut whole = tokenizer.encode(&text).unwrap();
        whole.extend(tokenizer.end_of_text());
        assert!(tokens.read(0, tokens.len() as usize).unwrap() == whole, "{scheme}");
    }
}

/// Tokenisers of the sonnet, trained once for all cases.
fn trained(scheme: Scheme) -> &'static Tokenizer {
    static TRAINED: LazyLock<[(Scheme, Tokenizer); 4]> = LazyLock::new(|| {
        [Scheme::Bpe(300), Scheme::Word, Scheme::Sentence, Scheme::Paragraph]
            .map(|scheme| (scheme, train(scheme, SONNET)))
    });
    &TRAINED.iter().find(|(trained, _)| *trained == scheme).unwrap().1
}

proptest! {
    /// The short way to the ids against that of `tokenizers`.
    #[test]
    fn ids_are_those_of_the_long_way(text in any_text()) {
        for scheme in [Scheme::Bpe(300), Scheme::Word, Scheme::Sentence, Scheme::Paragraph] {
            let tokenizer = trained(scheme);
            let long = tokenizer.inner.encode(&text[..], false).unwrap();
            prop_assert_eq!(tokenizer.encode(&text).unwrap(), long.get_ids(), "{}", scheme);
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
        for scheme in [Scheme::Bpe(300), Scheme::Word] {
            let tokenizer = trained(scheme);
            let whole = tokenizer.encode(&text).unwrap();
            // At the last place, and at all before it.
            let mut end = text.len();
            while let Some(cut) = tokenizer.last_cut(&text[..end], 0) {
                let mut parts = tokenizer.encode(&text[..cut]).unwrap();
                parts.extend(tokenizer.encode(&text[cut..]).unwrap());
                prop_assert_eq!(&parts, &whole, "{} at {}", scheme, cut);
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
