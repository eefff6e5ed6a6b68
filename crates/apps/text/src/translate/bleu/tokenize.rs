//! Tokens of segments, as sacreBLEU makes them.

use serde::{Deserialize, Serialize};

/// What makes tokens of a segment, by sacreBLEU's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BleuTokenizer {
    /// That of NIST's script `mteval-v13a`: punctuation marks and symbols of ASCII are tokens of their own; full stops,
    /// commas and hyphens depend on the digits beside them; four HTML entities are read.
    #[default]
    #[serde(rename = "13a")]
    V13a,
    /// None: white space separates tokens.
    #[serde(rename = "none")]
    None,
    /// Each character is a token, but for white space.
    #[serde(rename = "char")]
    Char,
}

impl BleuTokenizer {
    /// The segment with its tokens separated by white space.
    pub(super) fn tokenize(self, segment: &str) -> String {
        match self {
            Self::V13a => v13a(segment),
            Self::None => segment.to_owned(),
            Self::Char => segment.chars().flat_map(|character| [character, ' ']).collect(),
        }
    }
}

fn v13a(segment: &str) -> String {
    let joined = segment.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    // In this order: `&amp;lt;` becomes `<`.
    let entities = [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")];
    let plain = entities.iter().fold(joined, |text, (entity, meaning)| text.replace(entity, meaning));

    let mut spaced = String::from(" ");
    for character in plain.chars() {
        match character {
            '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/' => {
                spaced.extend([' ', character, ' ']);
            }
            _ => spaced.push(character),
        }
    }
    spaced.push(' ');

    let is_digit = |character: char| character.is_ascii_digit();
    let is_point = |character| matches!(character, '.' | ',');
    let spaced = replace_pairs(&spaced, |a, b| (!is_digit(a) && is_point(b)).then_some([a, ' ', b, ' ']));
    let spaced = replace_pairs(&spaced, |a, b| (is_point(a) && !is_digit(b)).then_some([' ', a, ' ', b]));
    replace_pairs(&spaced, |a, b| (is_digit(a) && b == '-').then_some([a, ' ', b, ' ']))
}

/// Replaces pairs of neighbours from left to right. What was replaced is no part of another pair.
fn replace_pairs(text: &str, replacement: impl Fn(char, char) -> Option<[char; 4]>) -> String {
    let mut replaced = String::with_capacity(2 * text.len());
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        match rest.peek().and_then(|&second| replacement(first, second)) {
            Some(characters) => {
                replaced.extend(characters);
                rest.next();
            }
            None => replaced.push(first),
        }
    }
    replaced
}

/// The parts between white space.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// Without the white space at the end.
pub(super) fn trim_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// Python's white space, to which four control characters belong that aren't Unicode's.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}
