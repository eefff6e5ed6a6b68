//! Texts and tables, and the files of tokens that they become.

use std::{fs, io::Write, sync::Arc};

use super::*;

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
