//! The tokens of both sides in one vocabulary.

use libellus_data::Tokenizer;
use serde_json::json;
use std::collections::BTreeSet;

use super::pairs::Pair;
use crate::error::TextError;
use crate::train::tokenizer_of;

/// What fills shorter texts up.
pub(super) const PAD: u32 = 0;
/// What every translation begins with.
pub(super) const BEGIN: u32 = 1;
/// What every text ends with.
pub(super) const END: u32 = 2;
/// The first token of a tokenizer.
const FIRST: u32 = 3;

/// The scheme of tokens that white space separates, beside those of [`Scheme`](libellus_data::Scheme).
const SPACE: &str = "space";

/// How texts of both sides become tokens of one vocabulary: three marks, the source's tokens, the target's.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    source: Tokenizer,
    /// `None` if both sides share their tokens.
    target: Option<Tokenizer>,
}

impl Vocabulary {
    /// From tokenizers of both sides; without a `target`, both have the same tokens.
    pub fn new(source: Tokenizer, target: Option<Tokenizer>) -> Self {
        Self { source, target }
    }

    /// Tokenizers by the names of their schemes or their files; without names of their own, both sides share the tokens of `both`.
    ///
    /// # Errors
    /// When a name is none, or a file can't be read.
    pub(super) fn train(
        pairs: &[Pair],
        both: &str,
        source: Option<&str>,
        target: Option<&str>,
    ) -> Result<Self, TextError> {
        let sources = || pairs.iter().map(|pair| pair.source.as_str());
        let targets = || pairs.iter().flat_map(|pair| &pair.targets).map(String::as_str);
        if source.is_none() && target.is_none() {
            return Ok(Self::new(tokenizer("tokenizer", both, sources().chain(targets()))?, None));
        }
        let source = tokenizer("source-tokenizer", source.unwrap_or(both), sources())?;
        let target = tokenizer("target-tokenizer", target.unwrap_or(both), targets())?;
        Ok(Self::new(source, Some(target)))
    }

    /// The tokenizers, the source's and, if it has its own, the target's.
    pub(super) fn tokenizers(&self) -> (&Tokenizer, Option<&Tokenizer>) {
        (&self.source, self.target.as_ref())
    }

    /// Tokens in all.
    pub fn len(&self) -> usize {
        (self.target_offset() as usize) + self.target_tokenizer().vocab_size()
    }

    /// Whether there are no tokens but the marks.
    pub fn is_empty(&self) -> bool {
        self.len() == FIRST as usize
    }

    /// The tokens of a text to translate, with the mark that ends it.
    ///
    /// # Errors
    /// When the tokenizer doesn't know a character.
    pub fn encode_source(&self, text: &str) -> Result<Vec<u32>, TextError> {
        Ok(self.source.encode(text)?.into_iter().map(|id| id + FIRST).chain([END]).collect())
    }

    /// The tokens of a translation, with the mark that ends it.
    ///
    /// # Errors
    /// When the tokenizer doesn't know a character.
    pub fn encode_target(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let offset = self.target_offset();
        let tokens = self.target_tokenizer().encode(text)?;
        Ok(tokens.into_iter().map(|id| id + offset).chain([END]).collect())
    }

    /// The text of a translation's tokens; marks are passed over.
    ///
    /// # Errors
    /// When a token is none of the target's.
    pub fn decode_target(&self, tokens: &[u32]) -> Result<String, TextError> {
        let offset = self.target_offset();
        let ids: Vec<u32> = tokens.iter().filter(|&&id| id >= offset).map(|&id| id - offset).collect();
        Ok(self.target_tokenizer().decode(&ids)?)
    }

    /// Each token of a source by itself, for people.
    pub(super) fn name_source(&self, token: u32) -> String {
        name(&self.source, token, FIRST)
    }

    /// Each token of a target by itself, for people.
    pub(super) fn name_target(&self, token: u32) -> String {
        name(self.target_tokenizer(), token, self.target_offset())
    }

    /// The target's tokens: a translation consists of them and of [`END`].
    pub(super) fn target_offset(&self) -> u32 {
        match self.target {
            Some(_) => FIRST + self.source.vocab_size() as u32,
            None => FIRST,
        }
    }

    fn target_tokenizer(&self) -> &Tokenizer {
        self.target.as_ref().unwrap_or(&self.source)
    }
}

fn name(tokenizer: &Tokenizer, token: u32, offset: u32) -> String {
    match token.checked_sub(offset) {
        Some(id) => tokenizer.decode(&[id]).unwrap_or_default(),
        None => "end".to_owned(),
    }
}

fn tokenizer<'a>(
    flag: &'static str,
    name: &str,
    texts: impl Iterator<Item = &'a str> + Send,
) -> Result<Tokenizer, TextError> {
    if name == SPACE {
        return separated(texts);
    }
    tokenizer_of(flag, name, texts.map(|text| Ok(text.to_owned())))
}

/// A tokenizer whose tokens are what white space separates in `texts`.
fn separated<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Tokenizer, TextError> {
    let tokens: BTreeSet<&str> = texts.flat_map(str::split_whitespace).collect();
    let unknown = "<unk>";
    let vocabulary: serde_json::Map<String, serde_json::Value> = [unknown]
        .into_iter()
        .chain(tokens.into_iter().filter(|&token| token != unknown))
        .zip(0..)
        .map(|(token, id)| (token.to_owned(), id.into()))
        .collect();
    let description = json!({
        "version": "1.0",
        "pre_tokenizer": { "type": "WhitespaceSplit" },
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": unknown },
    });
    Ok(Tokenizer::from_json(&description.to_string())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> Vec<Pair> {
        let pair =
            |source: &str, target: &str| Pair { source: source.to_owned(), targets: vec![target.to_owned()] };
        vec![pair("ab", "AH0 B"), pair("ba", "B AH0")]
    }

    #[test]
    fn each_side_has_its_tokens() {
        let vocabulary = Vocabulary::train(&pairs(), "bpe", Some("char"), Some("space")).unwrap();
        assert_eq!(vocabulary.len(), 3 + 2 + 3);
        assert_eq!(vocabulary.encode_source("ba").unwrap(), [4, 3, END]);
        assert_eq!(vocabulary.encode_target("B AH0").unwrap(), [7, 6, END]);
        assert_eq!(vocabulary.decode_target(&[BEGIN, 7, 6, END, PAD]).unwrap(), "B AH0");
        assert_eq!([vocabulary.name_source(4), vocabulary.name_target(6)], ["b", "AH0"]);
        assert!(vocabulary.encode_source("bc").unwrap_err().to_string().contains('c'));
    }

    #[test]
    fn both_sides_can_share_them() {
        let vocabulary = Vocabulary::train(&pairs(), "char", None, None).unwrap();
        let ids = vocabulary.encode_source("B AH0").unwrap();
        assert_eq!(vocabulary.encode_target("B AH0").unwrap(), ids);
        assert_eq!(vocabulary.decode_target(&ids).unwrap(), "B AH0");
        assert_eq!(vocabulary.len(), 3 + 7);
        let error = Vocabulary::train(&pairs(), "syllables", None, None).unwrap_err().to_string();
        assert!(error.contains("--tokenizer syllables"), "{error}");
    }
}
