//! The tokenizer and the chat template that a GGUF file brings along.
//!
//! Format: `docs/gguf.md` of ggml, section on tokenizers.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use libellus_data::{ChatTemplate, GgufVocabulary, TextError as CorpusError, Tokenizer};
use libellus_weights::Checkpoint;

use crate::error::TextError;
use crate::saved::folder_of;

/// The special tokens that templates name, and the keys of their ids.
const SPECIAL: [(&str, &str); 4] = [
    ("bos_token", "tokenizer.ggml.bos_token_id"),
    ("eos_token", "tokenizer.ggml.eos_token_id"),
    ("unk_token", "tokenizer.ggml.unknown_token_id"),
    ("pad_token", "tokenizer.ggml.padding_token_id"),
];

/// The keys of tokens that end an answer: a text, a turn, a message.
const ENDS: [&str; 3] =
    ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];

/// The tokenizer of a public checkpoint and how it wants conversations to be written: as `tokenizer` says, or else the weights, if
/// they are a GGUF file with a tokenizer, or else what is beside them.
pub(crate) fn open_tokenizer(
    weights: &Path,
    tokenizer: Option<&Path>,
) -> Result<(Tokenizer, Option<ChatTemplate>), TextError> {
    let place = tokenizer.unwrap_or(weights);
    if is_gguf(place)
        && let Some(found) = of_checkpoint(&Checkpoint::open(place)?)?
    {
        return Ok(found);
    }
    let chat = ChatTemplate::open(folder_of(place))?;
    Ok((Tokenizer::open(tokenizer.unwrap_or_else(|| folder_of(weights)))?, chat))
}

/// Any file with a tokenizer.
pub(crate) fn open_tokenizer_file(path: &Path) -> Result<Tokenizer, TextError> {
    if is_gguf(path)
        && let Some((tokenizer, _)) = of_checkpoint(&Checkpoint::open(path)?)?
    {
        return Ok(tokenizer);
    }
    Ok(Tokenizer::open(path)?)
}

fn is_gguf(path: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"GGUF"
}

/// `None` for a GGUF file without a tokenizer.
fn of_checkpoint(checkpoint: &Checkpoint) -> Result<Option<(Tokenizer, Option<ChatTemplate>)>, TextError> {
    let metadata = checkpoint.metadata();
    let text = |key: &str| metadata.get(key).cloned();
    let id = |key: &str| metadata.get(key)?.parse::<u32>().ok();
    let Some(model) = text("tokenizer.ggml.model") else { return Ok(None) };
    let tokens = checkpoint.texts("tokenizer.ggml.tokens")?.unwrap_or_default();
    let special = SPECIAL.map(|(name, key)| (name, id(key).and_then(|id| tokens.get(id as usize).cloned())));
    let vocabulary = GgufVocabulary {
        model,
        pre: text("tokenizer.ggml.pre"),
        tokens,
        merges: checkpoint.texts("tokenizer.ggml.merges")?.unwrap_or_default(),
        scores: checkpoint.numbers("tokenizer.ggml.scores")?.unwrap_or_default(),
        types: checkpoint
            .numbers("tokenizer.ggml.token_type")?
            .unwrap_or_default()
            .into_iter()
            .map(|kind| kind as i64)
            .collect(),
        space_prefix: text("tokenizer.ggml.add_space_prefix").is_none_or(|value| value == "true"),
        bos_token_id: id("tokenizer.ggml.bos_token_id"),
        add_bos_token: text("tokenizer.ggml.add_bos_token").map(|value| value == "true"),
    };
    let path = checkpoint.path();
    let tokenizer = Tokenizer::from_gguf(&vocabulary)
        .map_err(|source| CorpusError::Invalid { path: path.to_owned(), source: Box::new(source) })?;
    let Some(source) = text("tokenizer.chat_template") else { return Ok(Some((tokenizer, None))) };
    let named = special.into_iter().filter_map(|(name, token)| Some((name, token?)));
    let chat = named
        .fold(ChatTemplate::new(path, source)?, |chat, (name, token)| chat.with_special(name, token))
        .with_ends(ENDS.into_iter().filter_map(id));
    Ok(Some((tokenizer, Some(chat))))
}

#[cfg(test)]
mod tests {
    use libellus_data::{ChatMessage, Scheme, SpecialTokens};
    use libellus_models::Precision;
    use libellus_weights::testing::gguf::{self, list, pair, text};

    use super::*;
    use crate::{Origin, Trained};

    /// A file with these pairs and no tensors.
    fn file(folder: &Path, pairs: &[Vec<u8>]) -> std::path::PathBuf {
        let path = folder.join("model.gguf");
        std::fs::write(&path, gguf::file(pairs, &[], &[])).expect("a writable folder");
        path
    }

    /// The metadata that describe `tokenizer`.
    fn pairs(tokenizer: &Tokenizer) -> Vec<Vec<u8>> {
        let description: serde_json::Value = serde_json::from_str(&tokenizer.to_json()).expect("JSON");
        let merges: Vec<[String; 2]> =
            serde_json::from_value(description["model"]["merges"].clone()).expect("pairs of tokens");
        let tokens: Vec<String> =
            (0..tokenizer.vocab_size() as u32).filter_map(|id| tokenizer.token(id)).collect();
        let end = tokenizer.end_of_text().expect("it has one");
        let kinds = (0..tokens.len() as u32).map(|id| if id == end { 3_i32 } else { 1 });
        vec![
            pair("tokenizer.ggml.model", 8, &text("gpt2")),
            pair("tokenizer.ggml.pre", 8, &text("gpt-2")),
            pair(
                "tokenizer.ggml.tokens",
                9,
                &list(8, &tokens.iter().map(|token| text(token)).collect::<Vec<_>>()),
            ),
            pair(
                "tokenizer.ggml.merges",
                9,
                &list(
                    8,
                    &merges.iter().map(|[left, right]| text(&format!("{left} {right}"))).collect::<Vec<_>>(),
                ),
            ),
            pair(
                "tokenizer.ggml.token_type",
                9,
                &list(5, &kinds.map(|kind| kind.to_le_bytes().to_vec()).collect::<Vec<_>>()),
            ),
            pair("tokenizer.ggml.eos_token_id", 4, &end.to_le_bytes()),
            pair("tokenizer.ggml.eot_token_id", 4, &7_u32.to_le_bytes()),
            pair("tokenizer.chat_template", 8, &text("{{ messages[0].content }}{{ eos_token }}")),
        ]
    }

    const TEXT: &str = "it was the best of times, it was the worst of times, 1859: it was <|endoftext|> é";

    #[test]
    fn the_tokenizer_and_the_template_come_with_the_weights() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let known = Tokenizer::train(Scheme::Bpe(280), [Ok(TEXT.to_owned())]).expect("a fine text");
        let path = file(folder.path(), &pairs(&known));
        let (found, chat) = open_tokenizer(&path, None).expect("a fine file");
        assert_eq!(found.encode(TEXT).expect("text"), known.encode(TEXT).expect("text"));
        assert_eq!(found.vocab_size(), known.vocab_size());
        let chat = chat.expect("it has a template");
        let message = ChatMessage::new("user", "hello ");
        assert_eq!(chat.render(&[message], true).expect("fine"), "hello <|endoftext|>");
        assert_eq!(chat.ends(&found), [known.end_of_text().expect("it has one"), 7]);

        // One that is named is taken.
        let other = Tokenizer::train(Scheme::Char, [Ok(TEXT.to_owned())]).expect("a fine text");
        let beside = folder.path().join("tokenizer.json");
        std::fs::write(&beside, other.to_json()).expect("a writable folder");
        let (named, chat) = open_tokenizer(&path, Some(&beside)).expect("a fine file");
        assert_eq!((named.vocab_size(), chat), (other.vocab_size(), None));
        assert_eq!(open_tokenizer_file(&path).expect("a fine file").vocab_size(), known.vocab_size());
        // So is the one beside weights that have none.
        let bare = file(folder.path(), &[]);
        assert_eq!(open_tokenizer(&bare, None).expect("a fine file").0.vocab_size(), other.vocab_size());
        let error = open_tokenizer_file(&bare).expect_err("it has no tokenizer");
        assert!(error.to_string().contains("model.gguf is no tokeniser"), "{error}");
    }

    /// What is beside it is of another model, and says too little.
    #[test]
    fn a_file_is_all_that_a_model_needs() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("config.json"), r#"{"model_type": "llama"}"#)
            .expect("a writable folder");
        let known = Tokenizer::train(Scheme::Bpe(280), [Ok(TEXT.to_owned())]).expect("a fine text");
        let mut metadata = pairs(&known);
        metadata.extend([
            pair("tokenizer.ggml.bos_token_id", 4, &65_u32.to_le_bytes()),
            pair("tokenizer.ggml.add_bos_token", 7, &[1]),
        ]);
        let path = folder.path().join("model.gguf");
        let file = gguf::llama_of_zeros(known.vocab_size() as u64, &metadata);
        std::fs::write(&path, file).expect("a writable folder");

        let origin = Origin::Public { weights: path, config: None, tokenizer: None };
        let device = libellus_backend::testing::device();
        let trained = Trained::open(&origin, None, &device, Precision::F32).expect("a whole model");
        assert_eq!(trained.model.context(), Some(99));
        assert_eq!(trained.tokenizer.vocab_size(), known.vocab_size());
        // A prompt begins as the file says, unless a template writes all of it.
        let ids = known.encode("best").expect("text");
        let prompt = |special| trained.prompt_tokens("best", special).expect("text");
        assert_eq!(prompt(SpecialTokens::Add), [&[65], &ids[..]].concat());
        assert_eq!(prompt(SpecialTokens::Omit), ids);
        assert_eq!(trained.prompt_tokens("", SpecialTokens::Add).expect("it begins"), [65]);
        // Those of its metadata, without a conversation too.
        assert_eq!(trained.ends(), [known.end_of_text().expect("it has one"), 7]);
    }

    #[test]
    fn what_is_not_known_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = file(folder.path(), &[pair("tokenizer.ggml.model", 8, &text("t5"))]);
        let error = open_tokenizer(&path, None).expect_err("of an unknown kind");
        assert!(error.to_string().contains("model.gguf is no valid tokeniser"), "{error}");
        let source = std::error::Error::source(&error).expect("a cause").to_string();
        assert_eq!(source, "its tokenizer.ggml.tokens is missing");
        let tokens = pair("tokenizer.ggml.tokens", 9, &list(8, &[text("a")]));
        let path = file(folder.path(), &[pair("tokenizer.ggml.model", 8, &text("t5")), tokens]);
        let error = open_tokenizer(&path, None).expect_err("of an unknown kind");
        let source = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(source.contains("tokenizer.ggml.model is \"t5\""), "{source}");
    }
}
