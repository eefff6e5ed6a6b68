//! Text while its tokens arrive.

use super::{TextError, Tokenizer, byte_level};

/// Turns ids that come one at a time into text, as far as it is complete.
///
/// All pieces and what [`finish`](Self::finish) gives, put together, are what [`Tokenizer::decode`] makes of all ids:
/// exactly for byte-level tokenisers; for others if what a token adds depends on nothing but the few tokens before it, as
/// it does for WordPiece and SentencePiece.
#[derive(Debug)]
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    /// Bytes that make no character yet.
    bytes: Vec<u8>,
    /// The tokens whose text was given out last, which decide how the next ones are spelt, and those after them.
    ids: Vec<u32>,
    /// How many of `ids` that is, and the length of their text.
    context: usize,
    given: usize,
}

impl<'a> TextStream<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, bytes: Vec::new(), ids: Vec::new(), context: 0, given: 0 }
    }

    /// Takes the next id, and gives the text that is complete with it, if there is any.
    ///
    /// # Errors
    /// Those of [`Tokenizer::decode`]; the id is then as if it hadn't come.
    pub fn push(&mut self, id: u32) -> Result<Option<String>, TextError> {
        self.tokenizer.check_id(id)?;
        let text = if self.tokenizer.decodes_bytes() { self.push_bytes(id) } else { self.push_id(id)? };
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// The rest: a character that was begun but not completed becomes U+FFFD.
    ///
    /// # Errors
    /// Those of [`Tokenizer::decode`].
    pub fn finish(self) -> Result<String, TextError> {
        if self.tokenizer.decodes_bytes() {
            return Ok(String::from_utf8_lossy(&self.bytes).into_owned());
        }
        Ok(self.tokenizer.decode(&self.ids)?.get(self.given..).unwrap_or_default().to_owned())
    }

    fn push_bytes(&mut self, id: u32) -> String {
        let token = self.tokenizer.token(id).unwrap_or_default();
        if !self.tokenizer.inner.get_added_vocabulary().is_special_token(&token) {
            self.bytes.extend(byte_level::bytes_of(&token));
        }
        // A last character that more bytes could complete stays.
        let rest = self.bytes.utf8_chunks().last().map_or(0, |chunk| {
            let invalid = chunk.invalid();
            let open = std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if open { invalid.len() } else { 0 }
        });
        let open = self.bytes.split_off(self.bytes.len() - rest);
        let complete = std::mem::replace(&mut self.bytes, open);
        String::from_utf8_lossy(&complete).into_owned()
    }

    fn push_id(&mut self, id: u32) -> Result<String, TextError> {
        self.ids.push(id);
        let text = match self.tokenizer.decode(&self.ids) {
            Ok(text) => text,
            Err(error) => {
                self.ids.pop();
                return Err(error);
            }
        };
        // A replacement character at the end may be the beginning of a character in byte tokens.
        if text.ends_with(char::REPLACEMENT_CHARACTER) {
            return Ok(String::new());
        }
        let Some(new) = text.get(self.given..).filter(|new| !new.is_empty()) else {
            return Ok(String::new());
        };
        self.ids.drain(..self.context);
        self.context = self.ids.len();
        self.given = self.tokenizer.decode(&self.ids)?.len();
        Ok(new.to_owned())
    }
}
