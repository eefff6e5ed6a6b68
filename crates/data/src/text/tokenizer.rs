//! From text to ids and back.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, HashSet},
};

use serde_json::{Value, json};
use tokenizers::{
    AddedToken, DecoderWrapper, ModelWrapper, PaddingParams, PostProcessor, PostProcessorWrapper,
    PreTokenizerWrapper, Trainer, TruncationParams,
    models::bpe::{BPE, BpeTrainer},
};

use super::{
    BytePattern, Scheme, SpecialTokens, TextError, TextStream,
    byte_level::{self, END_OF_TEXT},
    words::{Cut, Encoder, Words, scheme_of},
};

/// What is not in a vocabulary of words, sentences or paragraphs.
const UNKNOWN: &str = "<unk>";

/// The most tokens in such a vocabulary.
const MAX_WORDS: usize = 32_768;

/// Tokens that end a text, by how surely they mean it.
const ENDS: [&str; 5] = [END_OF_TEXT, "<|end_of_text|>", "</s>", "<eos>", "<|eos|>"];

/// A tokeniser, read from its published files or trained.
///
/// Whatever it was made from, it is one of Hugging Face's `tokenizers`, and its saved form ([`to_json`](Self::to_json))
/// is the `tokenizer.json` that Python reads too. Normalisation, unknown and special tokens are what that file says.
/// Special tokens that are written out in a text, as `<|endoftext|>` may be, become that token.
///
/// Byte-pair encoding: Sennrich et al. 2016, *Neural Machine Translation of Rare Words with Subword Units*,
/// arXiv:1508.07909; on bytes: Radford et al. 2019, section 2.2.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    /// Without post-processing, truncation and padding, which come after what it does.
    pub(super) inner: tokenizers::Tokenizer,
    pub(super) post_processor: Option<PostProcessorWrapper>,
    pub(super) truncation: Option<TruncationParams>,
    pub(super) padding: Option<PaddingParams>,
    vocab_size: usize,
    end_of_text: Option<u32>,
    pub(super) words: Option<Words>,
    /// The special tokens before and after a text.
    pub(super) around: Option<[Vec<u32>; 2]>,
}

impl Tokenizer {
    /// Makes a tokeniser whose vocabulary comes from the texts.
    ///
    /// The same texts give the same tokeniser. BPE of bytes has the 256 bytes, `<|endoftext|>` and then the merges of the
    /// most frequent pairs, until the vocabulary has its size or no pair is left.
    ///
    /// # Errors
    /// The first error among the texts, [`TextError::NothingToTrainOn`] when they are empty, and
    /// [`TextError::VocabularySize`] for BPE with fewer than 257 tokens.
    pub fn train<I>(scheme: Scheme, texts: I) -> Result<Self, TextError>
    where
        I: IntoIterator<Item = Result<String, TextError>>,
        I::IntoIter: Send,
    {
        let mut failed = None;
        let mut bytes = 0;
        let texts = texts.into_iter().map_while(|text| {
            let text = text.map_err(|error| failed = Some(error)).ok()?;
            bytes += text.len();
            Some(text)
        });
        let words = Words::of_scheme(scheme);
        let description = match scheme {
            Scheme::Bpe(size) => train_bpe(&words, size, texts),
            _ => Ok(train_words(&words, scheme, texts)),
        };
        if let Some(error) = failed {
            return Err(error);
        }
        let description = description?;
        if bytes == 0 {
            return Err(TextError::NothingToTrainOn);
        }
        Self::from_description(description)
    }

    /// Reads the content of a `tokenizer.json`.
    ///
    /// # Errors
    /// [`TextError::Json`] when it isn't one.
    pub fn from_json(json: &str) -> Result<Self, TextError> {
        serde_json::from_str(json).map(Self::new).map_err(|source| TextError::Json { source })
    }

    pub(super) fn from_description(description: Value) -> Result<Self, TextError> {
        serde_json::from_value(description).map(Self::new).map_err(|source| TextError::Json { source })
    }

    fn new(mut inner: tokenizers::Tokenizer) -> Self {
        let post_processor = inner.get_post_processor().cloned();
        // An overlap of pieces longer than a piece means nothing.
        let truncation = inner.get_truncation().filter(|params| params.stride <= params.max_length).cloned();
        let padding = inner.get_padding().cloned();
        inner.with_post_processor(None::<PostProcessorWrapper>).with_padding(None);
        inner.with_truncation(None).expect("no truncation is always valid");
        let vocab_size = inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
        let end_of_text = ENDS.iter().find_map(|token| inner.token_to_id(token));
        let words = Words::of_tokenizer(&inner);
        let around = around(post_processor.as_ref());
        Self { inner, post_processor, truncation, padding, vocab_size, end_of_text, words, around }
    }

    /// The content of the `tokenizer.json` of this tokeniser.
    pub fn to_json(&self) -> String {
        let mut whole = self.inner.clone();
        // Before the post-processor: truncation is checked against what that adds, as a file's isn't.
        whole.with_truncation(self.truncation.clone()).expect("its stride was checked when it was read");
        whole.with_post_processor(self.post_processor.clone()).with_padding(self.padding.clone());
        whole.to_string(true).expect("a tokeniser is plain data with text as keys")
    }

    /// The largest id plus one, added tokens included: the size of an embedding for these ids.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The id of a token, written as the vocabulary has it (`Ġthe` for ` the` in GPT-2's).
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token of an id, written as the vocabulary has it.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The token that stands between documents and at the end of one: the first that the vocabulary has of
    /// `<|endoftext|>`, `<|end_of_text|>`, `</s>`, `<eos>` and `<|eos|>`.
    pub fn end_of_text(&self) -> Option<u32> {
        self.end_of_text
    }

    /// The special tokens that a model expects before a text, as Llama's `<s>`; most tokenisers of language models have none.
    pub fn begin_of_text(&self) -> &[u32] {
        self.around.as_ref().map_or(&[], |[before, _]| before)
    }

    /// The ids of a text, without special tokens around it.
    ///
    /// # Errors
    /// [`TextError::UnknownCharacter`] if a vocabulary without an unknown token, as that of [`Scheme::Char`], lacks a
    /// character; [`TextError::Encode`] if the tokeniser refuses the text otherwise.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        match self.words.as_ref().filter(|words| words.takes(text)) {
            Some(words) => {
                let mut ids = Vec::with_capacity(text.len() / 3);
                let mut encoder = Encoder::new(Cow::Borrowed(words), self.inner.get_model());
                encoder.encode(text, |id, _| ids.push(id)).map(|()| ids)
            }
            None => self.inner.encode_fast(text, false).map(|encoding| encoding.get_ids().to_vec()),
        }
        .map_err(|source| self.encode_error(text, source))
    }

    /// The ids of a text with the special tokens that the model expects around it, as BERT's `[CLS]` and `[SEP]`.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode).
    pub fn encode_special(&self, text: &str) -> Result<Vec<u32>, TextError> {
        if self.post_processor.is_none() {
            return self.encode(text);
        }
        let mut encoder = self.encoder(false);
        Ok(self.encode_whole(text, encoder.as_mut(), SpecialTokens::Add, None)?.ids)
    }

    /// The text of ids, without special tokens; bytes that make no character become U+FFFD.
    ///
    /// # Errors
    /// [`TextError::UnknownId`] for an id without a token.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TextError> {
        self.decode_ids(ids, true)
    }

    /// The text of ids, special tokens written out.
    ///
    /// # Errors
    /// Those of [`decode`](Self::decode).
    pub fn decode_special(&self, ids: &[u32]) -> Result<String, TextError> {
        self.decode_ids(ids, false)
    }

    /// A decoder for ids that come one at a time.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream::new(self)
    }

    fn decode_ids(&self, ids: &[u32], skip_special: bool) -> Result<String, TextError> {
        ids.iter().try_for_each(|&id| self.check_id(id))?;
        self.inner.decode(ids, skip_special).map_err(|source| TextError::Decode { source })
    }

    pub(super) fn check_id(&self, id: u32) -> Result<(), TextError> {
        match self.inner.id_to_token(id) {
            Some(_) => Ok(()),
            None => Err(TextError::UnknownId { id, vocab_size: self.vocab_size }),
        }
    }

    /// The model's error, or, if it is that of a missing character, which and where.
    pub(super) fn encode_error(&self, text: &str, source: tokenizers::Error) -> TextError {
        let one_character = match self.inner.get_pre_tokenizer() {
            Some(PreTokenizerWrapper::Split(split)) => scheme_of(split) == Some(Scheme::Char),
            _ => false,
        };
        let mut buffer = [0; 4];
        let missing = |&(_, c): &(usize, char)| {
            one_character && self.inner.token_to_id(c.encode_utf8(&mut buffer)).is_none()
        };
        match text.char_indices().find(missing) {
            Some((position, character)) => {
                TextError::UnknownCharacter { character, position: position as u64 }
            }
            None => TextError::Encode { source },
        }
    }

    /// Whether all tokens together are bytes, of which a character may need several.
    pub(super) fn decodes_bytes(&self) -> bool {
        matches!(self.inner.get_decoder(), Some(DecoderWrapper::ByteLevel(_)))
    }

    /// Where a text may be cut in two, as near to its end as possible, looking at no byte before `from`.
    ///
    /// The ids of the parts, put together, are those of the whole. `None` where no such place is known.
    pub(super) fn last_cut(&self, text: &str, from: usize) -> Option<usize> {
        let cut = self.cut()?;
        let added = self.inner.get_added_tokens_decoder();
        let starts: HashSet<char> = added.values().filter_map(|token| token.content.chars().next()).collect();
        if added
            .values()
            .any(|token| token.lstrip || token.rstrip || token.content.contains(char::is_whitespace))
        {
            return None;
        }
        let mut next = None;
        for (at, c) in text.char_indices().rev().take_while(|&(at, _)| at >= from) {
            // Before an added token white space is at the end of a text, and falls into other pieces than before a word.
            if c.is_whitespace()
                && next.is_some_and(|next: char| !next.is_whitespace() && !starts.contains(&next))
            {
                let is_line_end = matches!(c, '\r' | '\n');
                let is_lone = text[..at].chars().next_back().is_some_and(|last| !last.is_whitespace());
                let (before, after) = (Some(at), Some(at + c.len_utf8()));
                let at = match cut {
                    Cut::BeforeLast => before,
                    Cut::After => after,
                    Cut::BeforeLoneOrLine if is_line_end => after.filter(|_| next != Some('/')),
                    Cut::BeforeLone | Cut::BeforeLoneOrLine => before.filter(|_| is_lone),
                };
                if let Some(at) = at {
                    return (at > 0).then_some(at);
                }
            }
            next = Some(c);
        }
        None
    }

    /// Where this tokeniser's pieces certainly end.
    pub(super) fn cut(&self) -> Option<Cut> {
        match (self.inner.get_pre_tokenizer()?, &self.words) {
            (PreTokenizerWrapper::BertPreTokenizer(_), _) => match self.inner.get_normalizer() {
                None | Some(tokenizers::NormalizerWrapper::BertNormalizer(_)) => Some(Cut::BeforeLast),
                Some(_) => None,
            },
            (PreTokenizerWrapper::Split(split), Some(_)) => match scheme_of(split)? {
                Scheme::Char => Some(Cut::BeforeLast),
                Scheme::Word => Some(Cut::After),
                Scheme::Sentence | Scheme::Paragraph | Scheme::Bpe(_) => None,
            },
            (_, Some(words)) => words.cut(),
            _ => None,
        }
    }
}

/// The ids that a post-processor puts before and after those of a text; `None` if it puts the text elsewhere too.
fn around(post_processor: Option<&PostProcessorWrapper>) -> Option<[Vec<u32>; 2]> {
    let Some(post_processor) = post_processor else { return Some(Default::default()) };
    // A text of one token that is in no vocabulary.
    const TEXT: u32 = u32::MAX;
    let text =
        tokenizers::Encoding::from_tokens(vec![tokenizers::Token::new(TEXT, String::new(), (0, 0))], 0);
    let whole = post_processor.process(text, None, true).ok()?;
    let mut parts = whole.get_ids().split(|&id| id == TEXT).map(<[u32]>::to_vec);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(before), Some(after), None) => Some([before, after]),
        _ => None,
    }
}

/// Whether a post-processor takes the white space around a token out of its place.
pub(super) fn trims_places(step: &PostProcessorWrapper) -> bool {
    match step {
        PostProcessorWrapper::Template(_) | PostProcessorWrapper::Bert(_) => false,
        PostProcessorWrapper::ByteLevel(bytes) => bytes.trim_offsets,
        PostProcessorWrapper::Sequence(steps) => steps.as_ref().iter().any(trims_places),
        PostProcessorWrapper::Roberta(roberta) => roberta.trim_offsets,
    }
}

/// The description of a word-level tokeniser with a vocabulary from texts.
fn train_words(words: &Words, scheme: Scheme, texts: impl Iterator<Item = String>) -> Value {
    let mut counts: HashMap<String, u64> = HashMap::new();
    for text in texts {
        words.split(&text, |piece| match counts.get_mut(piece) {
            Some(count) => *count += 1,
            None => _ = counts.insert(piece.to_owned(), 1),
        });
    }
    let vocab: Vec<String> = if scheme == Scheme::Char {
        counts.into_keys().collect::<BTreeSet<_>>().into_iter().collect()
    } else {
        let mut counts: Vec<(String, u64)> =
            counts.into_iter().filter(|(piece, _)| piece != UNKNOWN).collect();
        counts.sort_unstable_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
        counts.truncate(MAX_WORDS - 1);
        std::iter::once(UNKNOWN.to_owned()).chain(counts.into_iter().map(|(piece, _)| piece)).collect()
    };
    let vocab: serde_json::Map<String, Value> = vocab.into_iter().zip((0..).map(Value::from)).collect();
    json!({
        "version": "1.0",
        "pre_tokenizer": {
            "type": "Split",
            "pattern": { "Regex": scheme.pattern() },
            "behavior": "Isolated",
            "invert": false,
        },
        "decoder": { "type": "Fuse" },
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": UNKNOWN },
    })
}

/// The description of a byte-level BPE with merges from texts.
fn train_bpe(
    words: &Words,
    size: usize,
    texts: impl Iterator<Item = String> + Send,
) -> Result<Value, TextError> {
    if size < byte_level::LEAST_VOCABULARY {
        return Err(TextError::VocabularySize { value: size, least: byte_level::LEAST_VOCABULARY });
    }
    let mut trainer = BpeTrainer::builder()
        .vocab_size(size)
        .show_progress(false)
        .initial_alphabet(byte_level::alphabet().iter().copied().collect())
        .special_tokens(vec![AddedToken::from(END_OF_TEXT, true)])
        .build();
    let failed = |source| TextError::Train { source };
    let spell = |text: &str| {
        let mut pieces = Vec::new();
        words.split(text, |piece| pieces.push(words.spell(piece).into_owned()));
        Ok(pieces)
    };
    trainer.feed(texts, spell).map_err(failed)?;
    let mut bpe = BPE::default();
    trainer.train(&mut bpe).map_err(failed)?;
    let model = serde_json::to_value(ModelWrapper::BPE(bpe)).map_err(|source| TextError::Json { source })?;
    Ok(describe_byte_level(model, &BytePattern::Gpt2, &[END_OF_TEXT], &[]))
}

/// The description of a byte-level tokeniser around a BPE model, with special and other added tokens.
pub(super) fn describe_byte_level(
    model: Value,
    pattern: &BytePattern,
    special: &[&str],
    other: &[&str],
) -> Value {
    let mut next = model["vocab"].as_object().map_or(0, serde_json::Map::len) as u64;
    let added: Vec<Value> = special
        .iter()
        .map(|&token| (token, true))
        .chain(other.iter().map(|&token| (token, false)))
        .map(|(token, special)| {
            let id = model["vocab"][token].as_u64().unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            json!({
                "id": id, "content": token, "special": special,
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            })
        })
        .collect();
    json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": pattern.normalizer(),
        "pre_tokenizer": pattern.pre_tokenizer(),
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": model,
    })
}
