//! The short way from text to ids, for the tokenisers whose pieces a plain pattern finds.
//!
//! `tokenizers` keeps, for each piece, where its characters come from, and finds pieces with look-ahead. Where nothing is normalised,
//! finding the pieces and looking each up is all there is to do: the same ids and places, several times as fast.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use regex::Regex;
use unicode_normalization_alignments::{IsNormalized, is_nfc_quick};

use tokenizers::{
    AddedToken, Model, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior,
    pre_tokenizers::split::{Split, SplitPattern},
};

use super::{BytePattern, Scheme, byte_level};

/// How a text falls into the pieces that the model sees one at a time.
#[derive(Debug, Clone)]
pub(super) struct Words {
    pattern: Regex,
    /// Tokens that are found in the text before anything else.
    added: Option<(Regex, HashMap<String, u32>)>,
    kind: Kind,
    /// Whether each numeral is a piece, found before all others.
    digits: bool,
    /// Whether texts are brought into Unicode's normal form C before.
    composes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The model sees bytes spelt as characters.
    ByteLevel(Space),
    /// The model sees the pieces.
    Plain,
}

/// When white space before a word gives it its last character: what `\s+(?!\S)` says in a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    /// Always: GPT-2's.
    Any,
    /// Unless that ends a line: Llama 3's and the others.
    WithinLine,
}

/// What a text is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'t> {
    Added(&'t str, u32),
    Piece(&'t str),
}

impl Words {
    /// GPT-2's pieces, in which nothing has been added.
    pub(super) fn gpt2() -> Self {
        Self::new(byte_level::PATTERN, Kind::ByteLevel(Space::Any))
    }

    /// A scheme's pieces.
    pub(super) fn of_scheme(scheme: Scheme) -> Self {
        match scheme.pattern() {
            Some(pattern) => Self::new(pattern, Kind::Plain),
            None => Self::gpt2(),
        }
    }

    fn new(pattern: &str, kind: Kind) -> Self {
        let pattern = Regex::new(pattern).expect("the patterns are constants, and tested");
        Self { pattern, added: None, kind, digits: false, composes: false }
    }

    /// The pieces of a tokeniser, if this is a way to them.
    pub(super) fn of_tokenizer(tokenizer: &tokenizers::Tokenizer) -> Option<Self> {
        let composes = match tokenizer.get_normalizer() {
            None => false,
            Some(NormalizerWrapper::NFC(_)) => true,
            Some(_) => return None,
        };
        let mut words = match (tokenizer.get_pre_tokenizer()?, tokenizer.get_model()) {
            (PreTokenizerWrapper::Split(split), ModelWrapper::WordLevel(_)) => {
                Self::of_scheme(scheme_of(split)?)
            }
            (PreTokenizerWrapper::Sequence(steps), ModelWrapper::BPE(bpe)) if bpe.dropout.is_none() => {
                match steps.as_ref() {
                    [PreTokenizerWrapper::Digits(digits), bytes]
                        if digits.individual_digits && is_byte_level(bytes, true) =>
                    {
                        Self { digits: true, ..Self::gpt2() }
                    }
                    [PreTokenizerWrapper::Split(split), bytes] if is_byte_level(bytes, false) => {
                        let pattern = BytePattern::without_look_ahead(isolated(split)?)?;
                        Self::new(&pattern, Kind::ByteLevel(Space::WithinLine))
                    }
                    _ => return None,
                }
            }
            (bytes, ModelWrapper::BPE(bpe)) if bpe.dropout.is_none() && is_byte_level(bytes, true) => {
                Self::gpt2()
            }
            _ => return None,
        };
        words.composes = composes;
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

    /// Whether this is a way to the pieces of this text: it is for all but those that normalisation may change.
    pub(super) fn takes(&self, text: &str) -> bool {
        !self.composes || is_nfc_quick(text.chars()) == IsNormalized::Yes
    }

    /// Where pieces certainly end.
    pub(super) fn cut(&self) -> Option<Cut> {
        match self.kind {
            Kind::ByteLevel(Space::Any) if self.digits => Some(Cut::BeforeLone),
            Kind::ByteLevel(Space::Any) => Some(Cut::BeforeLast),
            Kind::ByteLevel(Space::WithinLine) => Some(Cut::BeforeLoneOrLine),
            Kind::Plain => None,
        }
    }

    /// Calls `piece` with each piece in turn, as the model sees it; added tokens come as any other text.
    pub(super) fn split<'t>(&self, text: &'t str, mut piece: impl FnMut(&'t str)) {
        if !self.digits {
            return self.split_by_pattern(text, piece);
        }
        let mut start = 0;
        for (at, numeral) in text.match_indices(char::is_numeric) {
            self.split_by_pattern(&text[start..at], &mut piece);
            piece(numeral);
            start = at + numeral.len();
        }
        self.split_by_pattern(&text[start..], piece);
    }

    fn split_by_pattern<'t>(&self, text: &'t str, mut piece: impl FnMut(&'t str)) {
        let mut start = 0;
        while let Some(found) = self.pattern.find_at(text, start) {
            let mut end = found.end();
            if let Kind::ByteLevel(space) = self.kind
                && end < text.len()
            {
                let mut characters = found.as_str().char_indices();
                if let Some((last, c)) = characters.next_back()
                    && last > 0
                    && c.is_whitespace()
                    && !(space == Space::WithinLine && matches!(c, '\r' | '\n'))
                {
                    end = found.start() + last;
                }
            }
            piece(&text[found.start()..end]);
            start = end;
        }
    }

    /// Added tokens and the pieces between them.
    fn parts<'t>(&self, text: &'t str, mut part: impl FnMut(Part<'t>)) {
        let mut start = 0;
        if let Some((pattern, added)) = &self.added {
            for found in pattern.find_iter(text) {
                self.split(&text[start..found.start()], |piece| part(Part::Piece(piece)));
                part(Part::Added(found.as_str(), added[found.as_str()]));
                start = found.end();
            }
        }
        self.split(&text[start..], |piece| part(Part::Piece(piece)));
    }

    /// A piece in the model's spelling.
    pub(super) fn spell<'t>(&self, piece: &'t str) -> Cow<'t, str> {
        match self.kind {
            Kind::ByteLevel(_) => byte_level::spell(piece.as_bytes()).into(),
            Kind::Plain => piece.into(),
        }
    }
}

/// Places at which no piece goes on, where white space is followed by something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Before the last white space: GPT-2's pieces may begin with it, and white space before it is a piece of its own.
    BeforeLast,
    /// Before white space that is alone: before a numeral all of it is a piece.
    BeforeLone,
    /// Before white space that is alone and within a line, and before lines: other patterns take line ends to what is before them. A line
    /// that begins with a slash may be part of it too.
    BeforeLoneOrLine,
    /// After all of the white space.
    After,
}

/// Encodes texts one after the other, and remembers the pieces that it has met.
pub(super) struct Encoder<'w, 't> {
    words: Cow<'w, Words>,
    model: &'w ModelWrapper,
    /// Where the tokens of each piece are.
    met: HashMap<&'t str, Range<usize>>,
    /// Ids, and the bytes of the piece that each stands for.
    tokens: Vec<(u32, Range<usize>)>,
}

impl<'w, 't> Encoder<'w, 't> {
    pub(super) fn new(words: Cow<'w, Words>, model: &'w ModelWrapper) -> Self {
        Self { words, model, met: HashMap::new(), tokens: Vec::new() }
    }

    /// Calls `token` with each id and the bytes that it stands for; the error is the model's.
    pub(super) fn encode(
        &mut self,
        text: &'t str,
        mut token: impl FnMut(u32, Range<usize>),
    ) -> Result<(), tokenizers::Error> {
        let Self { words, model, met, tokens } = self;
        let mut result = Ok(());
        let mut start = 0;
        words.parts(text, |part| match part {
            Part::Added(added, id) => {
                token(id, start..start + added.len());
                start += added.len();
            }
            Part::Piece(piece) => {
                if result.is_err() {
                    return;
                }
                let found = match met.get(piece) {
                    Some(found) => found.clone(),
                    None => match words.tokens_of(model, piece) {
                        Ok(of_piece) => {
                            let found = tokens.len()..tokens.len() + of_piece.len();
                            tokens.extend(of_piece);
                            met.insert(piece, found.clone());
                            found
                        }
                        Err(error) => {
                            result = Err(error);
                            return;
                        }
                    },
                };
                for (id, bytes) in &tokens[found] {
                    token(*id, start + bytes.start..start + bytes.end);
                }
                start += piece.len();
            }
        });
        result
    }
}

impl Words {
    /// The tokens of a piece, and the bytes of it that they stand for. A token that is a part of a character stands for all of it.
    fn tokens_of(
        &self,
        model: &ModelWrapper,
        piece: &str,
    ) -> Result<Vec<(u32, Range<usize>)>, tokenizers::Error> {
        let spelt = self.spell(piece);
        let tokens = model.tokenize(&spelt)?.into_iter().map(|token| (token.id, token.offsets));
        if self.kind == Kind::Plain {
            return Ok(tokens.map(|(id, (start, end))| (id, start..end)).collect());
        }
        // Each character that is spelt is a byte of the piece: which one a byte of the spelling belongs to. What the model says of the
        // characters behind one that it lacks is too low, and may lie within a character; it is taken as it is, as in Hugging Face's
        // library.
        let spelling =
            spelt.chars().zip(0_usize..).flat_map(|(c, byte)| std::iter::repeat_n(byte, c.len_utf8()));
        let bytes: Vec<usize> = spelling.chain([piece.len()]).collect();
        let whole = |(id, (start, end)): (u32, (usize, usize))| {
            let end = if end > start { bytes[end - 1] + 1 } else { bytes[start] };
            (id, piece.floor_char_boundary(bytes[start])..piece.ceil_char_boundary(end))
        };
        Ok(tokens.map(whole).collect())
    }
}

/// Whether a step of pre-tokenisation spells bytes as characters, with GPT-2's pattern before that or without one.
fn is_byte_level(step: &PreTokenizerWrapper, with_pattern: bool) -> bool {
    match step {
        PreTokenizerWrapper::ByteLevel(bytes) => bytes.use_regex == with_pattern && !bytes.add_prefix_space,
        _ => false,
    }
}

/// The regular expression whose matches are the pieces.
fn isolated(split: &Split) -> Option<&str> {
    match &split.pattern {
        SplitPattern::Regex(pattern)
            if !split.invert && split.behavior == SplitDelimiterBehavior::Isolated =>
        {
            Some(pattern)
        }
        _ => None,
    }
}

/// The scheme whose pieces a pre-tokeniser makes.
pub(super) fn scheme_of(split: &Split) -> Option<Scheme> {
    let pattern = isolated(split)?;
    [Scheme::Char, Scheme::Word, Scheme::Sentence, Scheme::Paragraph]
        .into_iter()
        .find(|scheme| scheme.pattern() == Some(pattern))
}
