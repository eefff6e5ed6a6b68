//! Text: tokenisers, corpora, files of tokens.
//!
//! A text goes one way: file, [`TextPiece`] of a [`Corpus`], ids of a [`Tokenizer`], [`Tokens`] on the disk, of which a
//! [`TokenRange`] is a part to train or to validate on. [`tokenize`] is the whole way at once.
//!
//! ```
//! use libellus_data::{Scheme, TextError, Tokenizer};
//!
//! # fn main() -> Result<(), TextError> {
//! let tokenizer = Tokenizer::train(Scheme::Char, [Ok("to be or not to be".to_owned())])?;
//! let ids = tokenizer.encode("not to be")?;
//! assert_eq!(tokenizer.vocab_size(), 7);
//! assert_eq!(tokenizer.decode(&ids)?, "not to be");
//! # Ok(())
//! # }
//! ```

mod batch;
mod byte_level;
mod chat;
mod corpus;
mod error;
mod files;
mod gguf;
mod pattern;
mod scheme;
mod stream;
mod table;
#[cfg(test)]
mod tests;
mod tiktoken;
mod tokenize;
mod tokenizer;
mod tokens;
mod words;

pub use batch::{BatchOptions, Encoding, Padding, SpecialTokens};
pub use chat::{ChatMessage, ChatTemplate};
pub use corpus::{Corpus, Documents, TextPiece};
pub use error::TextError;
pub use gguf::GgufVocabulary;
pub use pattern::BytePattern;
pub use scheme::Scheme;
pub use stream::TextStream;
pub use table::{Conversation, TableRow, read_conversations, read_table, table_columns};
pub use tokenize::tokenize;
pub use tokenizer::Tokenizer;
pub use tokens::{TokenRange, TokenWriter, Tokens};
