//! Tokenisers in their published files.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{
    TextError, Tokenizer,
    byte_level::{self, END_OF_TEXT},
    tokenizer::describe_byte_level,
};

/// Names of a vocabulary and of its merges: Hugging Face's, and those of OpenAI's GPT-2.
const VOCABULARY_AND_MERGES: [[&str; 2]; 2] = [["vocab.json", "merges.txt"], ["encoder.json", "vocab.bpe"]];

/// Tokens of byte-level vocabularies that are special though a `vocab.json` doesn't say so: GPT-2's and RoBERTa's.
const SPECIAL: [&str; 6] = [END_OF_TEXT, "<s>", "</s>", "<pad>", "<unk>", "<mask>"];

/// How byte-level BPE cuts a text into the words that merges stay within.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BytePattern {
    /// GPT-2's, which RoBERTa, Whisper and many more use.
    Gpt2,
    /// A regular expression whose matches are the words, in the syntax of a `tokenizer.json`.
    Regex(String),
}

impl Tokenizer {
    /// Opens a tokeniser: a `tokenizer.json`, a folder with one, byte-level BPE as `vocab.json` and `merges.txt` (or
    /// `encoder.json` and `vocab.bpe`) in a folder or named by one of the two, or a `.tiktoken` file of GPT-2's kind.
    ///
    /// Any other `.json` is taken for a `tokenizer.json`. A `.tiktoken` file has one token in Base64 and its rank per
    /// line; it is read with GPT-2's pattern, which it can't name, and `<|endoftext|>` gets the next id.
    ///
    /// # Errors
    /// [`TextError::Read`], [`TextError::NoTokenizer`] and [`TextError::MissingFile`] when the files aren't there,
    /// [`TextError::Invalid`] when one of them isn't what it should be.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TextError> {
        let path = path.as_ref();
        if fs::metadata(path).map_err(TextError::read(path))?.is_dir() {
            return open_folder(path);
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some([vocabulary, merges]) = VOCABULARY_AND_MERGES.iter().find(|names| names.contains(&name)) {
            return open_pair(&path.with_file_name(vocabulary), &path.with_file_name(merges));
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Self::from_json(&read(path)?).map_err(invalid(path)),
            Some("tiktoken") => read_tiktoken(&read(path)?).map_err(invalid(path)),
            _ => Err(TextError::NoTokenizer { path: path.to_owned() }),
        }
    }

    /// Byte-level BPE from its parts: tokens in the order of their ids and merges in the order of their ranks, both in
    /// GPT-2's spelling of bytes, and special tokens, which are appended where they aren't among the tokens.
    ///
    /// # Errors
    /// [`TextError::DuplicateToken`] for a token that comes twice, [`TextError::Json`] for a merge of what isn't a token
    /// and for a pattern that is none.
    pub fn byte_level_bpe(
        vocab: &[String],
        merges: &[(String, String)],
        special: &[&str],
        pattern: &BytePattern,
    ) -> Result<Self, TextError> {
        let mut seen = HashSet::new();
        if let Some(id) = vocab.iter().position(|token| !seen.insert(token)) {
            return Err(TextError::DuplicateToken { token: vocab[id].clone(), id });
        }
        let vocab = vocab.iter().zip(0_u32..).map(|(token, id)| (token.clone(), id.into())).collect();
        describe(vocab, merges, special, pattern).and_then(Self::from_description)
    }
}

fn describe(
    vocab: serde_json::Map<String, Value>,
    merges: &[(String, String)],
    special: &[&str],
    pattern: &BytePattern,
) -> Result<Value, TextError> {
    let bytes = |use_regex| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex });
    let pre_tokenizer = match pattern {
        BytePattern::Gpt2 => bytes(true),
        BytePattern::Regex(pattern) => json!({
            "type": "Sequence",
            "pretokenizers": [
                { "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false },
                bytes(false),
            ],
        }),
    };
    let model = json!({ "type": "BPE", "vocab": vocab, "merges": merges });
    Ok(describe_byte_level(model, pre_tokenizer, special))
}

fn open_folder(folder: &Path) -> Result<Tokenizer, TextError> {
    let whole = folder.join("tokenizer.json");
    if whole.is_file() {
        return Tokenizer::open(whole);
    }
    for names in VOCABULARY_AND_MERGES {
        let [vocabulary, merges] = names.map(|name| folder.join(name));
        if vocabulary.is_file() || merges.is_file() {
            return open_pair(&vocabulary, &merges);
        }
    }
    let mut ranks: Vec<PathBuf> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(TextError::read(folder))?;
    ranks.retain(|path| path.extension().is_some_and(|extension| extension == "tiktoken"));
    match &ranks[..] {
        [only] => Tokenizer::open(only),
        _ => Err(TextError::NoTokenizer { path: folder.to_owned() }),
    }
}

fn open_pair(vocabulary: &Path, merges: &Path) -> Result<Tokenizer, TextError> {
    for (missing, present) in [(vocabulary, merges), (merges, vocabulary)] {
        if !missing.is_file() {
            return Err(TextError::MissingFile { missing: missing.to_owned(), present: present.to_owned() });
        }
    }
    let merges = read_merges(&read(merges)?).map_err(invalid(merges))?;
    let vocab = serde_json::from_str(&read(vocabulary)?).map_err(|source| TextError::Json { source });
    vocab.and_then(|vocab| from_vocabulary(vocab, &merges)).map_err(invalid(vocabulary))
}

fn from_vocabulary(
    vocab: serde_json::Map<String, Value>,
    merges: &[(String, String)],
) -> Result<Tokenizer, TextError> {
    // CLIP and the first GPT mark the ends of words, and are something else in files of the same names.
    if let Some((token, id)) = vocab.iter().find(|(token, _)| token.len() > 4 && token.ends_with("</w>")) {
        return Err(TextError::NotByteLevel { token: token.clone(), id: id.as_u64().unwrap_or(0) as u32 });
    }
    let special: Vec<&str> = SPECIAL.into_iter().filter(|&token| vocab.contains_key(token)).collect();
    let missing = byte_level::alphabet().iter().map(char::to_string).find(|byte| !vocab.contains_key(byte));
    if let Some(token) = missing {
        return Err(TextError::NotMergeable { token });
    }
    describe(vocab, merges, &special, &BytePattern::Gpt2).and_then(Tokenizer::from_description)
}

/// Lines of two tokens, after one that begins with `#version`.
fn read_merges(text: &str) -> Result<Vec<(String, String)>, TextError> {
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.is_empty() && !line.starts_with("#version"));
    lines
        .map(|(line, number)| match line.split_once(' ') {
            Some((left, right)) if !right.contains(' ') => Ok((left.to_owned(), right.to_owned())),
            _ => Err(TextError::Line { line: number, expected: "two tokens with a space between them" }),
        })
        .collect()
}

fn read_tiktoken(text: &str) -> Result<Tokenizer, TextError> {
    let mut tokens = Vec::new();
    for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.is_empty()) {
        let expected = "a token in Base64 and the next rank";
        let token = line.split_once(' ').and_then(|(token, rank)| {
            let rank: usize = rank.parse().ok()?;
            BASE64_STANDARD.decode(token).ok().filter(|token| !token.is_empty() && rank == tokens.len())
        });
        tokens.push(token.ok_or(TextError::Line { line: number, expected })?);
    }
    let merges = byte_level::merges_of_ranks(&tokens)?;
    let vocab: Vec<String> = tokens.iter().map(|token| byte_level::spell(token)).collect();
    Tokenizer::byte_level_bpe(&vocab, &merges, &[END_OF_TEXT], &BytePattern::Gpt2)
}

fn read(path: &Path) -> Result<String, TextError> {
    String::from_utf8(fs::read(path).map_err(TextError::read(path))?).map_err(|error| TextError::Utf8 {
        path: path.to_owned(),
        position: error.utf8_error().valid_up_to() as u64,
    })
}

fn invalid(path: &Path) -> impl FnOnce(TextError) -> TextError {
    move |error| TextError::Invalid { path: path.to_owned(), source: Box::new(error) }
}
