//! What a token is.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{TextError, byte_level};

/// What a token is, for a tokeniser that is made from a corpus.
///
/// It is written as `char`, `word`, `sentence`, `paragraph`, `bpe` (a vocabulary of 4,096) or `bpe:SIZE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scheme {
    /// A character (Unicode scalar value); the vocabulary is what the corpus has, by code point, and nothing is unknown.
    Char,
    /// A run of letters, marks and digits, a run of white space, or any other character alone. The vocabulary is the
    /// 32,767 most frequent, after `<unk>` for the others.
    Word,
    /// Text up to `.`, `!` or `?` before white space, and that white space; vocabulary as for words.
    Sentence,
    /// Text up to blank lines, and those lines; vocabulary as for words.
    Paragraph,
    /// Byte-pair encoding of UTF-8 bytes, with a vocabulary of this size, 257 or more: GPT-2's, trained on the corpus.
    Bpe(usize),
}

impl Scheme {
    /// The vocabulary of `bpe` without a size.
    const DEFAULT_BPE: usize = 4096;

    /// The pattern whose matches are the pieces, which together make up the text again; byte-level BPE has its own.
    ///
    /// It is written so that Rust's `regex` and the Oniguruma of Python's `tokenizers` agree on its meaning.
    pub(super) fn pattern(self) -> Option<&'static str> {
        match self {
            Self::Char => Some(r"[\s\S]"),
            Self::Word => Some(r"[\p{L}\p{M}\p{N}]+|\s+|[^\p{L}\p{M}\p{N}\s]"),
            Self::Sentence => Some(r"(?:[^.!?]|[.!?]+[^.!?\s])+(?:[.!?]+\s*)?|[.!?]+\s*"),
            Self::Paragraph => Some(r"[\s\S]*?\n(?:[ \t\r]*\n)+|[\s\S]+"),
            Self::Bpe(_) => None,
        }
    }
}

impl fmt::Display for Scheme {
    /// The text that [`Scheme::from_str`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char => f.write_str("char"),
            Self::Word => f.write_str("word"),
            Self::Sentence => f.write_str("sentence"),
            Self::Paragraph => f.write_str("paragraph"),
            Self::Bpe(size) => write!(f, "bpe:{size}"),
        }
    }
}

impl FromStr for Scheme {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let scheme = match text {
            "char" => Self::Char,
            "word" => Self::Word,
            "sentence" => Self::Sentence,
            "paragraph" => Self::Paragraph,
            "bpe" => Self::Bpe(Self::DEFAULT_BPE),
            _ => {
                let size = text.strip_prefix("bpe:").and_then(|size| size.parse().ok());
                Self::Bpe(size.ok_or_else(|| TextError::Scheme { value: text.to_owned() })?)
            }
        };
        match scheme {
            Self::Bpe(value) if value < byte_level::LEAST_VOCABULARY => {
                Err(TextError::VocabularySize { value, least: byte_level::LEAST_VOCABULARY })
            }
            scheme => Ok(scheme),
        }
    }
}

impl TryFrom<String> for Scheme {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        text.parse()
    }
}

impl From<Scheme> for String {
    fn from(scheme: Scheme) -> Self {
        scheme.to_string()
    }
}
