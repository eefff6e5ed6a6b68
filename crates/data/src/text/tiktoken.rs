//! Vocabularies in the files of OpenAI's tiktoken.
//!
//! A line has a token in Base64 and its rank, which is its id. How a text is cut into words, and which tokens are special, is not
//! in the file: tiktoken's and the models' own code say it, so that only published files can be read. They are told apart by how
//! many tokens they have.

use std::collections::HashSet;

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{
    BytePattern, TextError, Tokenizer,
    byte_level::{self, END_OF_TEXT},
    files::describe,
};

/// The longest token, in bytes: a few times the longest of the published files.
const MAX_TOKEN: usize = 512;

/// A token and its rank.
type Ranked = (Vec<u8>, u32);

/// A special token and its id.
type Special = (String, u32);

/// What a published file doesn't say.
struct Published {
    ranks: usize,
    pattern: BytePattern,
    special: fn() -> Vec<Special>,
}

static PUBLISHED: [Published; 6] = [
    // `r50k_base` and `gpt2`; `p50k_base` has runs of spaces behind the end of text.
    Published { ranks: 50_256, pattern: BytePattern::Gpt2, special: || vec![end_of_text(50_256)] },
    Published { ranks: 50_280, pattern: BytePattern::Gpt2, special: || vec![end_of_text(50_256)] },
    Published { ranks: 100_256, pattern: BytePattern::Cl100k, special: cl100k },
    Published { ranks: 128_000, pattern: BytePattern::Llama3, special: llama3 },
    Published { ranks: 151_643, pattern: BytePattern::Qwen, special: qwen },
    Published { ranks: 199_998, pattern: BytePattern::O200k, special: o200k },
];

fn end_of_text(id: u32) -> Special {
    (END_OF_TEXT.to_owned(), id)
}

fn cl100k() -> Vec<Special> {
    let named =
        [("fim_prefix", 100_258), ("fim_middle", 100_259), ("fim_suffix", 100_260), ("endofprompt", 100_276)];
    let named = named.into_iter().map(|(name, id)| (format!("<|{name}|>"), id));
    [end_of_text(100_257)].into_iter().chain(named).collect()
}

fn o200k() -> Vec<Special> {
    vec![end_of_text(199_999), ("<|endofprompt|>".to_owned(), 200_018)]
}

/// Of Llama 3.1, which gave names to some of 3.0's reserved tokens.
fn llama3() -> Vec<Special> {
    const NAMED: [(u32, &str); 8] = [
        (0, "begin_of_text"),
        (1, "end_of_text"),
        (4, "finetune_right_pad_id"),
        (6, "start_header_id"),
        (7, "end_header_id"),
        (8, "eom_id"),
        (9, "eot_id"),
        (10, "python_tag"),
    ];
    let mut reserved = 0..;
    let name = |index: u32| match NAMED.iter().find(|(named, _)| *named == index) {
        Some((_, name)) => format!("<|{name}|>"),
        None => format!("<|reserved_special_token_{}|>", reserved.next().unwrap_or(0)),
    };
    (0..256).map(name).zip(128_000..).collect()
}

fn qwen() -> Vec<Special> {
    let named = ["endoftext", "im_start", "im_end"].map(|name| format!("<|{name}|>"));
    named.into_iter().chain((0..205).map(|extra| format!("<|extra_{extra}|>"))).zip(151_643..).collect()
}

/// Whether a text looks like the content of such a file.
pub(super) fn is_tiktoken(text: &str) -> bool {
    text.lines().next().is_some_and(|line| parse(line).is_some())
}

/// Reads the content of a file.
pub(super) fn read(text: &str) -> Result<Tokenizer, TextError> {
    let mut ranked: Vec<Ranked> = Vec::new();
    for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.is_empty()) {
        match parse(line).filter(|(_, rank)| ranked.last().is_none_or(|(_, last)| last < rank)) {
            Some(token) => ranked.push(token),
            None => return Err(not_the_next(number)),
        }
    }
    let (pattern, special) =
        published(ranked.len()).ok_or(TextError::UnknownRanks { ranks: ranked.len() })?;
    of_ranks(&ranked, &special, pattern)
}

/// What the published file with so many ranks doesn't say.
pub(super) fn published(ranks: usize) -> Option<(&'static BytePattern, Vec<Special>)> {
    let published = PUBLISHED.iter().find(|published| published.ranks == ranks)?;
    Some((&published.pattern, (published.special)()))
}

/// A tokeniser of ranks, which are all ids but those of special tokens.
pub(super) fn of_ranks(
    ranked: &[Ranked],
    special: &[Special],
    pattern: &BytePattern,
) -> Result<Tokenizer, TextError> {
    let mut ids = (0..).filter(|id| special.iter().all(|(_, special)| special != id));
    if let Some(index) = ranked.iter().position(|(_, rank)| ids.next() != Some(*rank)) {
        return Err(not_the_next(index + 1));
    }
    let mut seen = HashSet::new();
    if let Some((token, rank)) = ranked.iter().find(|(token, _)| !seen.insert(token)) {
        return Err(TextError::DuplicateToken { token: byte_level::spell(token), id: *rank as usize });
    }
    let merges = byte_level::merges_of_ranks(ranked)?;
    let tokens = ranked.iter().map(|(token, rank)| (byte_level::spell(token), (*rank).into()));
    let vocab = tokens.chain(special.iter().map(|(token, id)| (token.clone(), (*id).into()))).collect();
    let special: Vec<&str> = special.iter().map(|(token, _)| token.as_str()).collect();
    describe(vocab, &merges, &special, &[], pattern).and_then(Tokenizer::from_description)
}

fn parse(line: &str) -> Option<Ranked> {
    let (token, rank) = line.split_once(' ')?;
    let token = BASE64_STANDARD.decode(token).ok().filter(|token| (1..=MAX_TOKEN).contains(&token.len()))?;
    Some((token, rank.parse().ok()?))
}

fn not_the_next(line: usize) -> TextError {
    TextError::Line { line, expected: "a token in Base64 and the next rank" }
}
