//! The short way from text to ids, for the schemes whose pieces a plain pattern finds.
//!
//! `tokenizers` keeps, for each piece, where its characters come from. Where only ids are wanted and nothing is
//! normalised, finding the pieces and looking each up is all there is to do: the same ids, several times as fast.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use regex::Regex;
use tokenizers::{
    AddedToken, Model, ModelWrapper, PreTokenizerWrapper, SplitDelimiterBehavior,
    pre_tokenizers::split::{Split, SplitPattern},
};

use super::{Scheme, byte_level};

/// How a text falls into the pieces that the model sees one at a time.
#[derive(Debug, Clone)]
pub(super) struct Words {
    pattern: Regex,
    /// Tokens that are found in the text before anything else.
    added: Option<(Regex, HashMap<String, u32>)>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// GPT-2's: the model sees bytes spelt as characters, and white space before a word gives it its last character.
    ByteLevel,
    /// The model sees the pieces.
    Plain,
}

impl Words {
    /// GPT-2's pieces, in which nothing has been added.
    pub(super) fn gpt2() -> Self {
        Self { pattern: compile(byte_level::PATTERN), added: None, kind: Kind::ByteLevel }
    }

    /// A scheme's pieces.
    pub(super) fn of_scheme(scheme: Scheme) -> Self {
        match scheme.pattern() {
            Some(pattern) => Self { pattern: compile(pattern), added: None, kind: Kind::Plain },
            None => Self::gpt2(),
        }
    }

    /// The pieces of a tokeniser, if this is a way to them.
    pub(super) fn of_tokenizer(tokenizer: &tokenizers::Tokenizer) -> Option<Self> {
        if tokenizer.get_normalizer().is_some() {
            return None;
        }
        let mut words = match (tokenizer.get_pre_tokenizer()?, tokenizer.get_model()) {
            (PreTokenizerWrapper::ByteLevel(bytes), ModelWrapper::BPE(bpe))
                if bytes.use_regex && !bytes.add_prefix_space && bpe.dropout.is_none() =>
            {
                Self::gpt2()
            }
            (PreTokenizerWrapper::Split(split), ModelWrapper::WordLevel(_)) => {
                Self::of_scheme(scheme_of(split)?)
            }
            _ => return None,
        };
        let added = tokenizer.get_added_tokens_decoder();
        let mut tokens: Vec<(&u32, &AddedToken)> = added.iter().collect();
        if !tokens.is_empty() {
            let plain = |token: &AddedToken| !(token.lstrip || token.rstrip || token.single_word);
            let normalized = tokens[0].1.normalized;
            if !tokens.iter().all(|(_, token)| plain(token) && token.normalized == normalized) {
                return None;
            }
            // The longest of those that begin at one place.
            tokens.sort_unstable_by_key(|(_, token)| std::cmp::Reverse(token.content.len()));
            let pattern =
                tokens.iter().map(|(_, token)| regex::escape(&token.content)).collect::<Vec<_>>().join("|");
            let ids = tokens.into_iter().map(|(&id, token)| (token.content.clone(), id)).collect();
            words.added = Some((Regex::new(&pattern).ok()?, ids));
        }
        Some(words)
    }

    /// Calls `piece` with each piece in turn, as the model sees it; added tokens come as any other text.
    pub(super) fn split<'t>(&self, text: &'t str, mut piece: impl FnMut(&'t str)) {
        let mut start = 0;
        while let Some(found) = self.pattern.find_at(text, start) {
            let mut end = found.end();
            if self.kind == Kind::ByteLevel && end < text.len() {
                // `\s+(?!\S)`: white space before something else leaves its last character to it.
                let mut characters = found.as_str().char_indices();
                if let Some((last, c)) = characters.next_back()
                    && last > 0
                    && c.is_whitespace()
                {
                    end = found.start() + last;
                }
            }
            piece(&text[found.start()..end]);
            start = end;
        }
    }

    /// A piece in the model's spelling.
    pub(super) fn spell<'t>(&self, piece: &'t str) -> Cow<'t, str> {
        match self.kind {
            Kind::ByteLevel => byte_level::spell(piece.as_bytes()).into(),
            Kind::Plain => piece.into(),
        }
    }

    /// The ids of a text; the error is the model's.
    pub(super) fn encode<'t>(
        &self,
        model: &ModelWrapper,
        text: &'t str,
    ) -> Result<Vec<u32>, tokenizers::Error> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        // Where the ids of a piece that was met before are.
        let mut met: HashMap<&'t str, Range<usize>> = HashMap::new();
        let mut failed = None;
        let mut encode_plain = |part: &'t str, ids: &mut Vec<u32>| {
            self.split(part, |piece| {
                if let Some(range) = met.get(piece) {
                    ids.extend_from_within(range.clone());
                } else if failed.is_none() {
                    match model.tokenize(&self.spell(piece)) {
                        Ok(tokens) => {
                            let start = ids.len();
                            ids.extend(tokens.iter().map(|token| token.id));
                            met.insert(piece, start..ids.len());
                        }
                        Err(error) => failed = Some(error),
                    }
                }
            });
        };
        let mut start = 0;
        if let Some((pattern, added)) = &self.added {
            for found in pattern.find_iter(text) {
                encode_plain(&text[start..found.start()], &mut ids);
                ids.push(added[found.as_str()]);
                start = found.end();
            }
        }
        encode_plain(&text[start..], &mut ids);
        failed.map_or(Ok(ids), Err)
    }
}

/// The scheme whose pieces a pre-tokeniser makes.
pub(super) fn scheme_of(split: &Split) -> Option<Scheme> {
    let SplitPattern::Regex(pattern) = &split.pattern else { return None };
    if split.invert || split.behavior != SplitDelimiterBehavior::Isolated {
        return None;
    }
    [Scheme::Char, Scheme::Word, Scheme::Sentence, Scheme::Paragraph]
        .into_iter()
        .find(|scheme| scheme.pattern() == Some(pattern))
}

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns are constants, and tested")
}
