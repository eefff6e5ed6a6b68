//! Many texts at once, of one length.

use std::{borrow::Cow, ops::Range};

use rayon::prelude::*;
use tokenizers::{PaddingDirection, PaddingStrategy, PostProcessor, TruncationDirection};

use super::{TextError, Tokenizer, tokenizer::trims_places, words::Encoder};

/// The tokens of one text of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
        // Long enough for what one thread remembers of pieces to be of use, short enough that no thread waits for another.
        let chunk = texts.len().div_ceil(8 * rayon::current_num_threads()).clamp(1, 1024);
        let chunks = texts.par_chunks(chunk).map(|texts| self.encode_chunk(texts, options));
        let chunks: Vec<Vec<Encoding>> = chunks.collect::<Result<_, _>>()?;
        let mut encodings: Vec<Encoding> = chunks.into_iter().flatten().collect();
        let length = match options.padding {
            Padding::None => 0,
            Padding::Longest => encodings.iter().map(|encoding| encoding.ids.len()).max().unwrap_or(0),
            Padding::To(length) => length,
        };
        if encodings.iter().any(|encoding| encoding.ids.len() < length) {
            let (id, direction) = self.pad_token().ok_or(TextError::NoPadToken)?;
            encodings.iter_mut().for_each(|encoding| encoding.pad(length, id, direction));
        }
        Ok(encodings)
    }

    /// Texts with everything but the padding, one after the other.
    fn encode_chunk(&self, texts: &[&str], options: &BatchOptions) -> Result<Vec<Encoding>, TextError> {
        // Threads wait for each other's use of a pattern; one of its own is worth it for many texts.
        let mut encoder = self.encoder(texts.len() >= 32);
        texts
            .iter()
            .map(|text| self.encode_whole(text, encoder.as_mut(), options.special, options.max_len))
            .collect()
    }

    /// The short way from texts to tokens, if there is one, with a pattern of its `own` or this one's.
    pub(super) fn encoder<'t>(&self, own: bool) -> Option<Encoder<'_, 't>> {
        let (words, _) = self.words.as_ref().zip(self.around.as_ref())?;
        if self.post_processor.as_ref().is_some_and(trims_places) {
            return None;
        }
        let words = if own { Cow::Owned(words.clone()) } else { Cow::Borrowed(words) };
        Some(Encoder::new(words, self.inner.get_model()))
    }

    /// One text with everything but the padding.
    pub(super) fn encode_whole<'t>(
        &self,
        text: &'t str,
        encoder: Option<&mut Encoder<'_, 't>>,
        special: SpecialTokens,
        max_len: Option<usize>,
    ) -> Result<Encoding, TextError> {
        let direction =
            self.truncation.as_ref().map_or(TruncationDirection::Right, |truncation| truncation.direction);
        let special = special == SpecialTokens::Add;
        let count =
            self.post_processor.as_ref().filter(|_| special).map_or(0, |post| post.added_tokens(false));
        let room = match max_len {
            Some(max_len) => {
                max_len.checked_sub(count).ok_or(TextError::MaxLength { max_len, special: count })?
            }
            None => usize::MAX,
        };
        if let (Some(encoder), Some([before, after]), Some(words)) = (encoder, &self.around, &self.words)
            && words.takes(text)
        {
            let [before, after] = if special { [&before[..], after] } else { Default::default() };
            let mut encoding = Encoding::default();
            encoder
                .encode(text, |id, bytes| encoding.push(id, bytes))
                .map_err(|source| self.encode_error(text, source))?;
            encoding.truncate(room, direction);
            encoding.put(0, before);
            encoding.put(encoding.ids.len(), after);
            return Ok(encoding);
        }
        let mut encoding =
            self.inner.encode(text, false).map_err(|source| self.encode_error(text, source))?;
        if max_len.is_some() {
            encoding.truncate(room, 0, direction);
            encoding.take_overflowing();
        }
        match &self.post_processor {
            Some(post) => post
                .process(encoding, None, special)
                .map(Encoding::from)
                .map_err(|source| TextError::Encode { source }),
            None => Ok(encoding.into()),
        }
    }

    fn pad_token(&self) -> Option<(u32, PaddingDirection)> {
        if let Some(padding) = &self.padding {
            return Some((padding.pad_id, padding.direction));
        }
        let named = ["[PAD]", "<pad>", "<|pad|>"].iter().find_map(|token| self.id(token));
        Some((named.or(self.end_of_text())?, PaddingDirection::Right))
    }
}

impl Encoding {
    fn push(&mut self, id: u32, bytes: Range<usize>) {
        self.ids.push(id);
        self.offsets.push(bytes);
        self.attention_mask.push(true);
    }

    /// Puts in special tokens, the first of which becomes the one numbered `at`.
    fn put(&mut self, at: usize, special: &[u32]) {
        self.ids.splice(at..at, special.iter().copied());
        self.offsets.splice(at..at, special.iter().map(|_| 0..0));
        self.attention_mask.splice(at..at, special.iter().map(|_| true));
    }

    fn truncate(&mut self, length: usize, direction: TruncationDirection) {
        let spare = self.ids.len().saturating_sub(length);
        let range = match direction {
            TruncationDirection::Left => 0..spare,
            TruncationDirection::Right => self.ids.len() - spare..self.ids.len(),
        };
        self.ids.drain(range.clone());
        self.offsets.drain(range.clone());
        self.attention_mask.drain(range);
    }

    fn pad(&mut self, length: usize, id: u32, direction: PaddingDirection) {
        let missing = length.saturating_sub(self.ids.len());
        let at = match direction {
            PaddingDirection::Left => 0,
            PaddingDirection::Right => self.ids.len(),
        };
        self.put(at, &vec![id; missing]);
        self.attention_mask[at..at + missing].fill(false);
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
