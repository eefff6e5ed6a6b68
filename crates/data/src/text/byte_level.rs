//! Bytes as characters, as GPT-2's vocabulary writes them.
//!
//! Radford et al. 2019, *Language Models are Unsupervised Multitask Learners*, section 2.2; `encoder.py` of the
//! published code.

use std::{collections::HashMap, sync::LazyLock};

use serde_json::{Map, Value};

use super::TextError;

/// GPT-2's special token, which stands between documents.
pub(super) const END_OF_TEXT: &str = "<|endoftext|>";

/// All bytes, and the end of text.
pub(super) const LEAST_VOCABULARY: usize = 257;

/// GPT-2's pattern less its `\s+(?!\S)`, which needs look-ahead: [`Words`](super::words::Words) makes up for it.
pub(super) const PATTERN: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";

/// The character of each byte: itself where it is printable Latin-1, else the next unused one from U+0100.
static CHARACTERS: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut unused = '\u{100}'..;
    std::array::from_fn(|byte| match byte as u8 {
        byte @ (b'!'..=b'~' | 0xa1..=0xac | 0xae..) => char::from(byte),
        _ => unused.next().expect("the range has no end"),
    })
});

static BYTES: LazyLock<HashMap<char, u8>> =
    LazyLock::new(|| CHARACTERS.iter().copied().zip(0..=255).collect());

/// The characters of all bytes, in the order of the bytes.
pub(super) fn alphabet() -> &'static [char; 256] {
    &CHARACTERS
}

/// Bytes in the vocabulary's spelling.
pub(super) fn spell(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| CHARACTERS[usize::from(byte)]).collect()
}

/// The bytes of a token: what it spells, or, where it isn't spelt so (a special token may not be), its own UTF-8.
pub(super) fn bytes_of(token: &str) -> Vec<u8> {
    token
        .chars()
        .map(|c| BYTES.get(&c).copied())
        .collect::<Option<_>>()
        .unwrap_or_else(|| token.as_bytes().to_vec())
}

/// Checks that a vocabulary is one of bytes. Each character of ASCII, the space and the line end is a token; of the other bytes a
/// vocabulary may lack those that it never met, as SmolLM's does: a text then loses them, as in Hugging Face's library.
pub(super) fn check_bytes(vocab: &Map<String, Value>) -> Result<(), TextError> {
    let needed = (b'!'..=b'~').chain(*b" \n").map(|byte| spell(&[byte]));
    match needed.into_iter().find(|byte| !vocab.contains_key(byte)) {
        Some(token) => Err(TextError::NotMergeable { token }),
        None => Ok(()),
    }
}

/// The merges that make each token of a list in the order of their ranks, which is how `tiktoken` keeps a vocabulary.
///
/// A token longer than a byte was made by merging what the merges before it make of its bytes, which are two parts. A few tokens of
/// some vocabularies were not; `tiktoken` makes them of any two tokens.
pub(super) fn merges_of_ranks(tokens: &[(Vec<u8>, u32)]) -> Result<Vec<(String, String)>, TextError> {
    let ranks: HashMap<&[u8], u32> = tokens.iter().map(|(token, rank)| (&token[..], *rank)).collect();
    if let Some(byte) = (0..=255).find(|byte| !ranks.contains_key(&[*byte][..])) {
        return Err(TextError::NotMergeable { token: spell(&[byte]) });
    }
    let mut merges = Vec::with_capacity(tokens.len());
    for (token, rank) in tokens.iter().filter(|(token, _)| token.len() > 1) {
        // Each part's end; merging removes the one between two parts.
        let mut ends: Vec<usize> = (1..=token.len()).collect();
        loop {
            let start = |part: usize| if part == 0 { 0 } else { ends[part - 1] };
            let best = (0..ends.len() - 1)
                .filter_map(|part| Some((*ranks.get(&token[start(part)..ends[part + 1]])?, part)))
                .filter(|(merged, _)| merged < rank)
                .min();
            match best {
                Some((_, part)) => _ = ends.remove(part),
                None => break,
            }
        }
        let mut halves: Vec<_> = match ends[..] {
            [end, _] => vec![token.split_at(end)],
            _ => (1..token.len()).map(|end| token.split_at(end)).collect(),
        };
        halves.retain(|(left, right)| ranks.contains_key(left) && ranks.contains_key(right));
        halves.sort_by_key(|(left, right)| (ranks[left], ranks[right]));
        merges.extend(halves.into_iter().map(|(left, right)| (spell(left), spell(right))));
    }
    Ok(merges)
}
