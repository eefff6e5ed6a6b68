//! Tokenisers in their published files.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{
    BytePattern, TextError, Tokenizer,
    byte_level::{self, END_OF_TEXT},
    tiktoken,
    tokenizer::describe_byte_level,
};

/// Names of a vocabulary and of its merges: Hugging Face's, and those of OpenAI's GPT-2.
const VOCABULARY_AND_MERGES: [[&str; 2]; 2] = [["vocab.json", "merges.txt"], ["encoder.json", "vocab.bpe"]];

/// The file of Llama's tokenisers.
const MODEL: &str = "tokenizer.model";

/// What says how a tokeniser is used: of which kind it is, its special tokens, and a chat template.
pub(super) const CONFIG_FILE: &str = "tokenizer_config.json";

/// Kinds of Hugging Face's that have GPT-2's files and read a text as it does; they are called `GPT2Tokenizer` and so on.
const LIKE_GPT2: [&str; 10] =
    ["Bart", "CodeGen", "Deberta", "GPT2", "LED", "Longformer", "MarkupLM", "Mvp", "Roberta", "Whisper"];

/// Tokens of byte-level vocabularies that are special though a `vocab.json` doesn't say so: GPT-2's and RoBERTa's.
const SPECIAL: [&str; 6] = [END_OF_TEXT, "<s>", "</s>", "<pad>", "<unk>", "<mask>"];

impl Tokenizer {
    /// Opens a tokeniser: a `tokenizer.json`, a folder with one, byte-level BPE as `vocab.json` and `merges.txt` (or
    /// `encoder.json` and `vocab.bpe`) in a folder or named by one of the two, or a file of tiktoken.
    ///
    /// Two such files don't say how a text is cut into words. `tokenizer_config.json` beside them does, and names special tokens; without
    /// it, they are read as GPT-2's.
    ///
    /// Any other `.json` is taken for a `tokenizer.json`. A file of tiktoken, `*.tiktoken` or Llama 3's `tokenizer.model`, doesn't
    /// say how it cuts a text and which tokens are special, so that only the published ones are read, which are told apart by how
    /// many tokens they have: OpenAI's `r50k_base` (GPT-2), `p50k_base`, `cl100k_base` and `o200k_base`, Llama 3's with the special
    /// tokens of 3.1, and Qwen's.
    ///
    /// # Errors
    /// [`TextError::Read`], [`TextError::NoTokenizer`] and [`TextError::MissingFile`] when the files aren't there,
    /// [`TextError::Invalid`] when one of them isn't what it should be, or is a file of tiktoken that isn't known.
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
            Some("tiktoken") => tiktoken::read(&read(path)?).map_err(invalid(path)),
            Some("model") => open_model(path),
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
        describe(vocab, merges, special, &[], pattern).and_then(Self::from_description)
    }
}

/// The description of byte-level BPE: a vocabulary with its special and other added tokens, of which those that it lacks get the
/// next ids.
pub(super) fn describe(
    vocab: Map<String, Value>,
    merges: &[(String, String)],
    special: &[&str],
    added: &[&str],
    pattern: &BytePattern,
) -> Result<Value, TextError> {
    let whole = pattern.keeps_tokens_whole();
    let model = json!({ "type": "BPE", "vocab": vocab, "merges": merges, "ignore_merges": whole });
    Ok(describe_byte_level(model, pattern, special, added))
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
        [] if folder.join(MODEL).is_file() => open_model(&folder.join(MODEL)),
        _ => Err(TextError::NoTokenizer { path: folder.to_owned() }),
    }
}

/// Opens a file that is tiktoken's for Llama 3 and SentencePiece's for others.
fn open_model(path: &Path) -> Result<Tokenizer, TextError> {
    match read(path) {
        Ok(text) if tiktoken::is_tiktoken(&text) => tiktoken::read(&text).map_err(invalid(path)),
        Ok(_) | Err(TextError::Utf8 { .. }) => Err(invalid(path)(TextError::SentencePiece)),
        Err(error) => Err(error),
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
    let config_file = vocabulary.with_file_name(CONFIG_FILE);
    let config = read_object(&config_file)?;
    let pattern = pattern_of(&config).map_err(invalid(&config_file))?;
    let added = added_tokens(&config);
    let tokenizer = vocab
        .and_then(|vocab| from_vocabulary(vocab, &merges, &pattern, &added))
        .map_err(invalid(vocabulary))?;
    // Those that the vocabulary lacks come behind it. Where they should leave a gap, or special and other ones take turns, they can't.
    match added.iter().flatten().find(|(id, token)| tokenizer.id(token).map(u64::from) != Some(*id)) {
        Some(&(id, token)) => {
            Err(invalid(&config_file)(TextError::AddedToken { token: token.to_owned(), id }))
        }
        None => Ok(tokenizer),
    }
}

/// How the kind of tokeniser that a configuration names cuts a text.
fn pattern_of(config: &Map<String, Value>) -> Result<BytePattern, TextError> {
    let Some(class) = config.get("tokenizer_class").and_then(Value::as_str) else {
        return Ok(BytePattern::Gpt2);
    };
    if config.get("add_prefix_space") == Some(&Value::Bool(true)) {
        return Err(TextError::UnknownClass { class: format!("{class} with add_prefix_space") });
    }
    let kind = class.strip_suffix("Fast").unwrap_or(class).strip_suffix("Tokenizer");
    match kind {
        Some("Qwen2") => Ok(BytePattern::Qwen),
        Some(kind) if LIKE_GPT2.contains(&kind) => Ok(BytePattern::Gpt2),
        _ => Err(TextError::UnknownClass { class: class.to_owned() }),
    }
}

/// Added tokens of a configuration, special ones and others, in the order of their ids.
fn added_tokens(config: &Map<String, Value>) -> [Vec<(u64, &str)>; 2] {
    let mut added = [const { Vec::new() }; 2];
    for (id, token) in config.get("added_tokens_decoder").and_then(Value::as_object).into_iter().flatten() {
        let is_special = token["special"] == Value::Bool(true);
        if let (Ok(id), Some(content)) = (id.parse(), token["content"].as_str()) {
            added[usize::from(!is_special)].push((id, content));
        }
    }
    added.iter_mut().for_each(|tokens| tokens.sort_unstable());
    added
}

fn from_vocabulary(
    vocab: Map<String, Value>,
    merges: &[(String, String)],
    pattern: &BytePattern,
    [special, other]: &[Vec<(u64, &str)>; 2],
) -> Result<Tokenizer, TextError> {
    // CLIP and the first GPT mark the ends of words, and are something else in files of the same names.
    if let Some((token, id)) = vocab.iter().find(|(token, _)| token.len() > 4 && token.ends_with("</w>")) {
        return Err(TextError::NotByteLevel { token: token.clone(), id: id.as_u64().unwrap_or(0) as u32 });
    }
    let known = SPECIAL
        .into_iter()
        .filter(|token| vocab.contains_key(*token) && !special.iter().any(|(_, special)| special == token));
    let names: Vec<&str> = known.chain(special.iter().map(|(_, token)| *token)).collect();
    let others: Vec<&str> = other.iter().map(|(_, token)| *token).collect();
    byte_level::check_bytes(&vocab)?;
    describe(vocab, merges, &names, &others, pattern).and_then(Tokenizer::from_description)
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

pub(super) fn is_there(path: &Path) -> Result<bool, TextError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(TextError::read(path)(error)),
    }
}

/// The object in a file of JSON; an empty one if the file isn't there.
pub(super) fn read_object(path: &Path) -> Result<Map<String, Value>, TextError> {
    if !is_there(path)? {
        return Ok(Map::new());
    }
    serde_json::from_str(&read(path)?).map_err(|source| invalid(path)(TextError::Json { source }))
}

pub(super) fn read(path: &Path) -> Result<String, TextError> {
    String::from_utf8(fs::read(path).map_err(TextError::read(path))?).map_err(|error| TextError::Utf8 {
        path: path.to_owned(),
        position: error.utf8_error().valid_up_to() as u64,
    })
}

pub(super) fn invalid(path: &Path) -> impl FnOnce(TextError) -> TextError {
    move |error| TextError::Invalid { path: path.to_owned(), source: Box::new(error) }
}
