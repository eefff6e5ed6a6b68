//! What can go wrong between a text and its tokens.

use std::{error::Error, io, path::PathBuf};

/// Why a tokeniser, a corpus or a file of tokens can't be opened, made or used.
///
/// Each message is one line; the underlying cause is left to [`source`](Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A file or folder that can't be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file that can't be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A name that is no scheme.
    #[error("no tokenisation scheme {value:?}: there are char, word, sentence, paragraph, bpe and bpe:SIZE")]
    Scheme {
        /// The name as given.
        value: String,
    },
    /// A vocabulary that can't hold what it must.
    #[error("a vocabulary of {value} is too small: byte-level BPE needs at least {least} tokens")]
    VocabularySize {
        /// The size as given.
        value: usize,
        /// The smallest possible.
        least: usize,
    },
    /// A text without content, given to the training of a tokeniser.
    #[error("there is no text to train a tokeniser on")]
    NothingToTrainOn,
    /// A tokeniser that can't be trained.
    #[error("cannot train the tokeniser")]
    Train {
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A path that is no tokeniser.
    #[error(
        "{} is no tokeniser: it needs tokenizer.json, or vocab.json with merges.txt, or encoder.json with vocab.bpe, or a \
         .tiktoken file",
        path.display()
    )]
    NoTokenizer {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file without the one that belongs to it.
    #[error("{} is missing, but {} is there: both are needed", missing.display(), present.display())]
    MissingFile {
        /// The file that is not there.
        missing: PathBuf,
        /// The file that belongs to it.
        present: PathBuf,
    },
    /// A file of a tokeniser that can't be used.
    #[error("{} is no valid tokeniser", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<TextError>,
    },
    /// A description of a tokeniser that is no valid JSON, or whose parts don't fit.
    #[error("the description of the tokeniser is malformed")]
    Json {
        /// What is wrong, and where.
        #[source]
        source: serde_json::Error,
    },
    /// A line that isn't what it should be.
    #[error("line {line} is not {expected}")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What it should be.
        expected: &'static str,
    },
    /// A vocabulary that is not one of byte-level BPE.
    #[error("token {token:?} (id {id}) is not byte-level: use the model's tokenizer.json instead")]
    NotByteLevel {
        /// The token.
        token: String,
        /// Its id.
        id: u32,
    },
    /// A vocabulary of tiktoken that isn't one of those that are known.
    #[error(
        "how a tiktoken vocabulary of {ranks} tokens cuts a text into words is not known: use the model's tokenizer.json instead"
    )]
    UnknownRanks {
        /// The number of its tokens.
        ranks: usize,
    },
    /// A vocabulary of SentencePiece.
    #[error("models of SentencePiece are not read: use the model's tokenizer.json instead")]
    SentencePiece,
    /// A kind of tokeniser that `vocab.json` and `merges.txt` don't describe, or that isn't known.
    #[error("how a {class} cuts a text into words is not known: use the model's tokenizer.json instead")]
    UnknownClass {
        /// The `tokenizer_class` of `tokenizer_config.json`.
        class: String,
    },
    /// An added token whose id is not the next one.
    #[error("added token {token:?} can't have the id {id}: use the model's tokenizer.json instead")]
    AddedToken {
        /// The token.
        token: String,
        /// The id that `tokenizer_config.json` gives it.
        id: u64,
    },
    /// The tokeniser of a GGUF file that is of another kind than those that are known.
    #[error("its {key} is {value:?}, which is not known: use the model's tokenizer.json instead")]
    UnknownGguf {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A part of a GGUF file's tokeniser that isn't there or doesn't fit.
    #[error("its tokenizer.ggml.{part} {problem}")]
    Gguf {
        /// The part.
        part: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A vocabulary that names a token twice.
    #[error("token {token:?} is in the vocabulary twice, the second time with id {id}")]
    DuplicateToken {
        /// The token.
        token: String,
        /// Its second id.
        id: usize,
    },
    /// A vocabulary without one of the bytes, or with a token that no two shorter ones make.
    #[error("the vocabulary can't be one of byte-level BPE: {token:?} is not made of two earlier tokens")]
    NotMergeable {
        /// The token.
        token: String,
    },
    /// A character that the vocabulary lacks.
    #[error("character {character:?} at byte {position} is not in the tokeniser's vocabulary")]
    UnknownCharacter {
        /// The character.
        character: char,
        /// Where it begins, in bytes from the start of the text.
        position: u64,
    },
    /// A text that the tokeniser refuses.
    #[error("the tokeniser can't encode the text")]
    Encode {
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Ids that the tokeniser can't turn into text.
    #[error("the tokeniser can't decode the tokens")]
    Decode {
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// An id without a token.
    #[error("there is no token {id}: the tokeniser's vocabulary has {vocab_size}")]
    UnknownId {
        /// The id.
        id: u32,
        /// The size of the vocabulary.
        vocab_size: usize,
    },
    /// Padding where no token is there for it.
    #[error("the tokeniser has no token to pad with: encode without padding")]
    NoPadToken,
    /// A length that the special tokens alone exceed.
    #[error("a length of {max_len} has no room for the {special} special tokens")]
    MaxLength {
        /// The length as given.
        max_len: usize,
        /// How many special tokens the tokeniser adds.
        special: usize,
    },
    /// A chat template that can't be used.
    #[error("{}: the chat template can't be used", path.display())]
    ChatTemplate {
        /// The file it is in.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A conversation that a chat template doesn't take.
    #[error("{}: the chat template refuses the conversation: {reason}", path.display())]
    ChatRefused {
        /// The file it is in.
        path: PathBuf,
        /// Its own words.
        reason: String,
    },
    /// Bytes that are no text.
    #[error("{} is not valid UTF-8 at byte {position}", path.display())]
    Utf8 {
        /// The file.
        path: PathBuf,
        /// The first wrong byte, counted from 0.
        position: u64,
    },
    /// A field of a table, or a line, that is no text.
    #[error("line {line} of {} is not valid UTF-8", path.display())]
    LineUtf8 {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
    },
    /// A corpus without text.
    #[error("{} holds no text", path.display())]
    EmptyCorpus {
        /// The file or folder.
        path: PathBuf,
    },
    /// A column asked of something that has none.
    #[error("{} is plain text and has no column {column:?}: leave the column out", path.display())]
    NotATable {
        /// The file or folder.
        path: PathBuf,
        /// The column asked for.
        column: String,
    },
    /// A column that isn't there.
    #[error("line {line} of {} has no column {column:?}: it has {}", path.display(), columns.join(", "))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The column asked for.
        column: String,
        /// Those there are.
        columns: Vec<String>,
    },
    /// A value of the column that is no string.
    #[error("column {column:?} in line {line} of {} is not a string", path.display())]
    NotAString {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The column asked for.
        column: String,
    },
    /// A file that can't hold conversations.
    #[error("{} is no .jsonl file, in which conversations have to be", path.display())]
    NotJsonLines {
        /// The file.
        path: PathBuf,
    },
    /// A value of the column that is no conversation.
    #[error("column {column:?} in line {line} of {} is not a list of messages, each with a role and a content", path.display())]
    NotMessages {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The column asked for.
        column: String,
    },
    /// A line that is no JSON object.
    #[error("line {line} of {} is not a JSON object", path.display())]
    JsonLine {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A table that is malformed.
    #[error("{} is malformed", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        #[source]
        source: csv::Error,
    },
    /// A file whose text can't be tokenised.
    #[error("cannot tokenise {}{}", path.display(), line.map_or_else(String::new, |line| format!(", line {line}")))]
    Document {
        /// The file.
        path: PathBuf,
        /// The line of the document, counted from 1, in a file that has one per line.
        line: Option<u64>,
        /// Why.
        #[source]
        source: Box<TextError>,
    },
    /// A file that isn't one of tokens.
    #[error("{} is not a file of tokens: make one with `tokenize`", path.display())]
    NotTokens {
        /// The file.
        path: PathBuf,
    },
    /// A file of tokens of another version.
    #[error("{} is a file of tokens of version {version}: this program reads version {supported}", path.display())]
    TokensVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// The version that is read.
        supported: u32,
    },
    /// A file of tokens whose header contradicts itself.
    #[error("{} is damaged: {width} bytes per token don't go with a vocabulary of {vocab_size}", path.display())]
    TokensHeader {
        /// The file.
        path: PathBuf,
        /// Bytes per token.
        width: u32,
        /// The size of the vocabulary.
        vocab_size: u64,
    },
    /// A file of tokens with more or fewer bytes than its header says.
    #[error("{} is damaged: {tokens} tokens are declared, which is not what its {bytes} bytes hold", path.display())]
    TokensLength {
        /// The file.
        path: PathBuf,
        /// Tokens declared.
        tokens: u64,
        /// Bytes it has, header included.
        bytes: u64,
    },
    /// A token beyond the vocabulary.
    #[error("token {position} of {} is {id}, but the vocabulary has {vocab_size}", path.display())]
    TokenOutOfRange {
        /// The file.
        path: PathBuf,
        /// The token's place, counted from 0.
        position: u64,
        /// The token's id.
        id: u32,
        /// The size of the vocabulary.
        vocab_size: usize,
    },
}

impl TextError {
    /// `cannot read PATH`, to be given to `map_err`.
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read { path: path.into(), source }
    }

    /// `cannot write PATH`, to be given to `map_err`.
    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write { path: path.into(), source }
    }
}
