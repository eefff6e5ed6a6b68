//! How byte-level BPE cuts a text into words.

use serde_json::{Value, json};

/// How byte-level BPE cuts a text into the words that merges stay within.
///
/// The patterns are those of OpenAI's tiktoken (`openai_public.py`) and of the models' own `tokenizer.json`, less the possessive
/// quantifiers, which change nothing but mean something else to the Oniguruma of Python's `tokenizers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BytePattern {
    /// GPT-2's, which RoBERTa, Whisper and many more use; also OpenAI's `r50k_base` and `p50k_base`.
    Gpt2,
    /// GPT-2's with every digit as a word: SmolLM's and StarCoder's.
    Gpt2Digits,
    /// OpenAI's `cl100k_base`, of GPT-3.5 and GPT-4. A word that is a token is not taken apart.
    Cl100k,
    /// OpenAI's `o200k_base`, of GPT-4o. A word that is a token is not taken apart.
    O200k,
    /// Llama 3's, which differs from `cl100k_base` in white space at the end of a text. A word that is a token is not taken apart.
    Llama3,
    /// Qwen's: Llama 3's with every digit as a word, and Unicode's normal form C before it.
    Qwen,
    /// A regular expression whose matches are the words, in the syntax of a `tokenizer.json`.
    Regex(String),
}

const CL100K: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+\z|\s*[\r\n]|\s+(?!\S)|\s";

/// A word's capitals come first, then its small letters; letters without case are either.
const O200K: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const QWEN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl BytePattern {
    /// A published pattern without its look-ahead `\s+(?!\S)`, which [`Words`](super::words::Words) makes up for.
    pub(super) fn without_look_ahead(pattern: &str) -> Option<String> {
        [CL100K, O200K, LLAMA3, QWEN].contains(&pattern).then(|| pattern.replace(r"\s+(?!\S)", r"\s+"))
    }

    /// The pattern that a GGUF file calls so (`tokenizer.ggml.pre`).
    pub(super) fn of_gguf(name: &str) -> Option<Self> {
        Some(match name {
            "gpt-2" | "default" => Self::Gpt2,
            "smollm" | "starcoder" => Self::Gpt2Digits,
            "llama-bpe" | "llama3" | "llama-v3" => Self::Llama3,
            "qwen2" => Self::Qwen,
            _ => return None,
        })
    }

    /// The pre-tokeniser of a `tokenizer.json`.
    pub(super) fn pre_tokenizer(&self) -> Value {
        let bytes = |use_regex| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex });
        let first = match self {
            Self::Gpt2 => return bytes(true),
            Self::Gpt2Digits => json!({ "type": "Digits", "individual_digits": true }),
            Self::Cl100k => split(CL100K),
            Self::O200k => split(O200K),
            Self::Llama3 => split(LLAMA3),
            Self::Qwen => split(QWEN),
            Self::Regex(pattern) => split(pattern),
        };
        json!({ "type": "Sequence", "pretokenizers": [first, bytes(*self == Self::Gpt2Digits)] })
    }

    /// The normaliser of a `tokenizer.json`.
    pub(super) fn normalizer(&self) -> Value {
        if *self == Self::Qwen { json!({ "type": "NFC" }) } else { Value::Null }
    }

    /// Whether a word that is a token stays whole, even if merges would not make it.
    pub(super) fn keeps_tokens_whole(&self) -> bool {
        matches!(self, Self::Cl100k | Self::O200k | Self::Llama3)
    }
}

fn split(pattern: &str) -> Value {
    json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false })
}
