//! A corpus as a file of tokens.

use std::path::Path;

use rayon::prelude::*;

use super::{Corpus, TextError, TextPiece, TokenWriter, Tokenizer, Tokens};

/// Tokenises a corpus into the file at `path`, on all of rayon's threads, and opens it.
///
/// The tokens are those of the documents encoded whole, in order; after each comes the tokeniser's
/// [end of text](Tokenizer::end_of_text), if it has one. A long document is encoded in pieces of about a megabyte, cut
/// where that makes no difference: for byte-level BPE with the [published patterns](super::BytePattern), BERT's WordPiece, characters and
/// words at white space. Other tokenisers get each document whole, which has to fit into memory. `progress` is told the bytes that are done,
/// and those there are.
///
/// # Errors
/// Those of [`Corpus::documents`], [`TextError::Document`] for a text that the tokeniser can't encode,
/// [`TextError::Write`]. What was at `path` before is then still there.
pub fn tokenize(
    corpus: &Corpus,
    tokenizer: &Tokenizer,
    path: impl AsRef<Path>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Tokens, TextError> {
    let path = path.as_ref();
    let _span = tracing::info_span!("tokenize", path = %path.display()).entered();
    let mut writer = TokenWriter::create(path, tokenizer.vocab_size())?;
    let mut pieces = Pieces { documents: corpus.documents(), tokenizer, begun: None, searched: 0 };
    // Enough that no thread waits long for the slowest piece.
    let at_once = 4 * rayon::current_num_threads();
    loop {
        let batch: Vec<TextPiece> = pieces.by_ref().take(at_once).collect::<Result<_, _>>()?;
        let Some(last) = batch.last() else { break };
        let encoded: Vec<Result<Vec<u32>, TextError>> =
            batch.par_iter().map(|piece| tokenizer.encode(&piece.text)).collect();
        for (piece, ids) in batch.iter().zip(encoded) {
            let mut ids = ids.map_err(|error| in_document(piece, error))?;
            ids.extend(tokenizer.end_of_text().filter(|_| piece.ends_document));
            writer.write(&ids)?;
        }
        progress(last.read.min(corpus.bytes()), corpus.bytes());
    }
    writer.finish()
}

/// An error with the place of the piece in the corpus.
fn in_document(piece: &TextPiece, mut error: TextError) -> TextError {
    if let TextError::UnknownCharacter { position, .. } = &mut error {
        *position += piece.start;
    }
    TextError::Document { path: piece.file.to_path_buf(), line: piece.line, source: Box::new(error) }
}

/// The pieces of a corpus, cut where the tokeniser's own pieces end.
struct Pieces<'a> {
    documents: super::Documents<'a>,
    tokenizer: &'a Tokenizer,
    /// What has come after the last cut.
    begun: Option<TextPiece>,
    /// How far no cut was found in it.
    searched: usize,
}

impl Iterator for Pieces<'_> {
    type Item = Result<TextPiece, TextError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let piece = match self.documents.next()? {
                Ok(piece) => piece,
                Err(error) => return Some(Err(error)),
            };
            let mut begun = match self.begun.take() {
                None => piece,
                Some(mut begun) => {
                    begun.text.push_str(&piece.text);
                    TextPiece { text: begun.text, start: begun.start, ..piece }
                }
            };
            if begun.ends_document {
                self.searched = 0;
                return Some(Ok(begun));
            }
            match self.tokenizer.last_cut(&begun.text, self.searched) {
                Some(cut) => {
                    let text = begun.text.split_off(cut);
                    let (file, start) = (begun.file.clone(), begun.start + cut as u64);
                    self.begun = Some(TextPiece { text, start, file, ..begun });
                    self.searched = 0;
                    return Some(Ok(begun));
                }
                None => {
                    // The last character may be white space before a word that comes.
                    self.searched = begun.text.char_indices().next_back().map_or(0, |(last, _)| last);
                    self.begun = Some(begun);
                }
            }
        }
    }
}
