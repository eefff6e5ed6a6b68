//! Many texts at once, of one length.

use std::ops::Range;

use rayon::prelude::*;
use tokenizers::{PaddingDirection, PaddingStrategy, PostProcessor, TruncationDirection};

use super::{TextError, Tokenizer};

/// The tokens of one text of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// The ids, special tokens and padding included.
    pub ids: Vec<u32>,
    /// The bytes of the text that each token stands for; empty for special tokens and padding.
    pub offsets: Vec<Range<usize>>,
    /// What a model is to attend to: all but the padding.
    pub attention_mask: Vec<bool>,
}

/// Whether a model's special tokens, as BERT's `[CLS]` and `[SEP]`, are put around a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpecialTokens {
    /// They are.
    #[default]
    Add,
    /// The text stays as it is.
    Omit,
}

/// To which length the texts of a batch are filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    /// Each keeps its own.
    #[default]
    None,
    /// That of the longest.
    Longest,
    /// This one, in tokens; longer texts stay longer.
    To(usize),
}

/// How a batch of texts is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchOptions {
    /// Special tokens around each text.
    pub special: SpecialTokens,
    /// The most tokens per text, special tokens included; more are cut off.
    pub max_len: Option<usize>,
    /// The fewest tokens per text.
    pub padding: Padding,
}

impl Tokenizer {
    /// What the `tokenizer.json` asks for, with special tokens.
    pub fn batch_options(&self) -> BatchOptions {
        BatchOptions {
            special: SpecialTokens::Add,
            max_len: self.truncation.as_ref().map(|truncation| truncation.max_length),
            padding: match self.padding.as_ref().map(|padding| &padding.strategy) {
                None => Padding::None,
                Some(PaddingStrategy::BatchLongest) => Padding::Longest,
                Some(PaddingStrategy::Fixed(length)) => Padding::To(*length),
            },
        }
    }

    /// Encodes texts in parallel.
    ///
    /// Texts are cut and filled up on the side that the `tokenizer.json` names, the right one where it names none. The
    /// token of the padding is that of the `tokenizer.json`, else `[PAD]`, `<pad>`, `<|pad|>`, or the end of the text.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode), [`TextError::MaxLength`] if `max_len` leaves no room for the special tokens,
    /// and [`TextError::NoPadToken`].
    pub fn encode_batch(&self, texts: &[&str], options: &BatchOptions) -> Result<Vec<Encoding>, TextError> {
        let texts = texts.par_iter().map(|text| self.encode_whole(text, options.special, options.max_len));
        let mut encodings: Vec<tokenizers::Encoding> = texts.collect::<Result<_, _>>()?;
        let length = match options.padding {
            Padding::None => 0,
            Padding::Longest => encodings.iter().map(tokenizers::Encoding::len).max().unwrap_or(0),
            Padding::To(length) => length,
        };
        if encodings.iter().any(|encoding| encoding.len() < length) {
            let (id, type_id, token, direction) = self.pad_token().ok_or(TextError::NoPadToken)?;
            encodings
                .par_iter_mut()
                .for_each(|encoding| encoding.pad(length, id, type_id, &token, direction));
        }
        Ok(encodings.into_par_iter().map(Encoding::from).collect())
    }

    /// One text with everything but the padding.
    pub(super) fn encode_whole(
        &self,
        text: &str,
        special: SpecialTokens,
        max_len: Option<usize>,
    ) -> Result<tokenizers::Encoding, TextError> {
        let mut encoding =
            self.inner.encode(text, false).map_err(|source| self.encode_error(text, source))?;
        let special = special == SpecialTokens::Add;
        if let Some(max_len) = max_len {
            let count =
                self.post_processor.as_ref().filter(|_| special).map_or(0, |post| post.added_tokens(false));
            let room = max_len.checked_sub(count).ok_or(TextError::MaxLength { max_len, special: count })?;
            let direction = self
                .truncation
                .as_ref()
                .map_or(TruncationDirection::Right, |truncation| truncation.direction);
            encoding.truncate(room, 0, direction);
            encoding.take_overflowing();
        }
        match &self.post_processor {
            Some(post) => {
                post.process(encoding, None, special).map_err(|source| TextError::Encode { source })
            }
            None => Ok(encoding),
        }
    }

    fn pad_token(&self) -> Option<(u32, u32, String, PaddingDirection)> {
        if let Some(padding) = &self.padding {
            return Some((padding.pad_id, padding.pad_type_id, padding.pad_token.clone(), padding.direction));
        }
        let named = ["[PAD]", "<pad>", "<|pad|>"].iter().find_map(|token| self.id(token));
        let id = named.or(self.end_of_text())?;
        Some((id, 0, self.token(id)?, PaddingDirection::Right))
    }
}

impl From<tokenizers::Encoding> for Encoding {
    fn from(encoding: tokenizers::Encoding) -> Self {
        Self {
            ids: encoding.get_ids().to_vec(),
            offsets: encoding.get_offsets().iter().map(|&(start, end)| start..end).collect(),
            attention_mask: encoding.get_attention_mask().iter().map(|&mask| mask == 1).collect(),
        }
    }
}
