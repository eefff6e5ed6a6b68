//! Texts to learn from.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    TextError,
    table::{JsonLines, Table},
};

/// About the length of a piece of a long document, in bytes.
const PIECE: usize = 1 << 20;

pub(super) const BOM: &str = "\u{feff}";

/// The column of a table's texts, where none is named.
const COLUMN: &str = "text";

/// Documents in a text file, a folder of text files, or a table.
#[derive(Debug, Clone)]
pub struct Corpus {
    path: PathBuf,
    files: Vec<PathBuf>,
    format: Format,
    bytes: u64,
}

#[derive(Debug, Clone)]
enum Format {
    /// A document per file.
    Text,
    /// A document that is in memory.
    Memory(Arc<str>),
    /// A JSON object per line, with the document in this field.
    JsonLines(String),
    /// Records with a header, with the document in this column.
    Table { delimiter: u8, column: String },
}

/// A document or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextPiece {
    /// The text, which isn't empty.
    pub text: String,
    /// Whether the document ends with it.
    pub ends_document: bool,
    /// The file.
    pub file: Arc<Path>,
    /// The line that the document begins in, counted from 1, where a file has many.
    pub line: Option<u64>,
    /// Where the text begins, in bytes from the start of the file, or of the document where a file has many.
    pub start: u64,
    /// Bytes of the corpus that have been read with it, of [`Corpus::bytes`].
    pub read: u64,
}

impl Corpus {
    /// Opens what `path` names, without reading it.
    ///
    /// - a folder: all `.txt` and `.md` files in it and below, in the order of their paths, a document each;
    /// - `.jsonl`: an object per line with the document in the field `column` (default `text`);
    /// - `.csv`, `.tsv`: a document per record in the column of that name, which the first line names;
    /// - any other file: one document.
    ///
    /// # Errors
    /// [`TextError::Read`] when it can't be read, [`TextError::EmptyCorpus`] for a folder without text files,
    /// [`TextError::NotATable`] for a column of plain text, [`TextError::NoColumn`] for one that a `.csv` or `.tsv` lacks.
    pub fn open(path: impl AsRef<Path>, column: Option<&str>) -> Result<Self, TextError> {
        let path = path.as_ref();
        let metadata = fs::metadata(path).map_err(TextError::read(path))?;
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
        let or_default = || column.unwrap_or(COLUMN).to_owned();
        let format = match &extension[..] {
            _ if metadata.is_dir() => Format::Text,
            "jsonl" => Format::JsonLines(or_default()),
            "csv" => Format::Table { delimiter: b',', column: or_default() },
            "tsv" => Format::Table { delimiter: b'\t', column: or_default() },
            _ => Format::Text,
        };
        match (&format, column) {
            (Format::Text, Some(column)) => {
                return Err(TextError::NotATable { path: path.to_owned(), column: column.to_owned() });
            }
            (Format::Table { delimiter, column }, _) => _ = Table::open(path, *delimiter, &[column])?,
            _ => {}
        }
        let files = if metadata.is_dir() { text_files(path)? } else { vec![path.to_owned()] };
        let sizes = files.iter().map(|file| Ok(fs::metadata(file).map_err(TextError::read(file))?.len()));
        let bytes = sizes.sum::<Result<u64, TextError>>()?;
        Ok(Self { path: path.to_owned(), files, format, bytes })
    }

    /// A text in memory, as one document; `name` stands for its path.
    pub fn from_text(name: &str, text: impl Into<Arc<str>>) -> Self {
        let (path, text) = (PathBuf::from(name), text.into());
        let bytes = text.len() as u64;
        Self { files: vec![path.clone()], path, format: Format::Memory(text), bytes }
    }

    /// What to call it: the name of the file or folder, without an extension.
    pub fn name(&self) -> &str {
        self.path.file_stem().and_then(OsStr::to_str).unwrap_or("text")
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads the documents in turn, as UTF-8; empty ones are left out, and so is a byte order mark.
    ///
    /// A text file comes in pieces of about a megabyte that end with a line, if it has one there; line ends stay as they
    /// are. The documents of a table come whole.
    ///
    /// # Errors
    /// An item is an error when a file can't be read, isn't UTF-8 or is malformed, and, at the end, when there was no
    /// document ([`TextError::EmptyCorpus`]). Nothing comes after an error.
    pub fn documents(&self) -> Documents<'_> {
        Documents { corpus: self, next_file: 0, read: 0, reader: None, any: false, done: false }
    }
}

/// The text files of a folder, in order.
fn text_files(folder: &Path) -> Result<Vec<PathBuf>, TextError> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(folder).to_owned();
            TextError::Read { path, source: error.into() }
        })?;
        let is_text =
            |extension: &OsStr| extension.eq_ignore_ascii_case("txt") || extension.eq_ignore_ascii_case("md");
        if entry.file_type().is_file() && entry.path().extension().is_some_and(is_text) {
            files.push(entry.into_path());
        }
    }
    if files.is_empty() {
        return Err(TextError::EmptyCorpus { path: folder.to_owned() });
    }
    Ok(files)
}

/// The documents of a corpus, in pieces. See [`Corpus::documents`].
#[derive(Debug)]
pub struct Documents<'a> {
    corpus: &'a Corpus,
    next_file: usize,
    /// Bytes of the files before the current one.
    read: u64,
    reader: Option<(Arc<Path>, Reader)>,
    any: bool,
    done: bool,
}

#[derive(Debug)]
enum Reader {
    Memory(Option<Arc<str>>),
    Text { file: File, buffer: Vec<u8>, position: u64, end: bool },
    JsonLines(JsonLines),
    Table(Box<Table>),
}

impl Iterator for Documents<'_> {
    type Item = Result<TextPiece, TextError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let piece = self.next_piece().transpose();
        self.done = !matches!(piece, Some(Ok(_)));
        match piece {
            None if !self.any => Some(Err(TextError::EmptyCorpus { path: self.corpus.path.clone() })),
            piece => {
                self.any = true;
                piece
            }
        }
    }
}

impl Documents<'_> {
    fn next_piece(&mut self) -> Result<Option<TextPiece>, TextError> {
        loop {
            let Some((path, reader)) = &mut self.reader else {
                let Some(path) = self.corpus.files.get(self.next_file) else { return Ok(None) };
                self.next_file += 1;
                self.reader = Some((path.as_path().into(), Reader::open(path, &self.corpus.format)?));
                continue;
            };
            let piece = match (reader, &self.corpus.format) {
                (Reader::Memory(text), _) => text.take().map(|text| TextPiece {
                    text: text.to_string(),
                    ends_document: true,
                    file: path.clone(),
                    line: None,
                    start: 0,
                    read: text.len() as u64,
                }),
                (Reader::Text { file, buffer, position, end }, _) => {
                    next_text(path, file, buffer, position, end)?
                }
                (Reader::JsonLines(lines), Format::JsonLines(column)) => next_json(path, lines, column)?,
                (Reader::Table(table), Format::Table { column, .. }) => next_record(path, table, column)?,
                _ => None,
            };
            match piece {
                Some(mut piece) => {
                    piece.read += self.read;
                    return Ok(Some(piece));
                }
                None => {
                    self.read += fs::metadata(path).map_or(0, |metadata| metadata.len());
                    self.reader = None;
                }
            }
        }
    }
}

impl Reader {
    fn open(path: &Path, format: &Format) -> Result<Self, TextError> {
        let open = || File::open(path).map_err(TextError::read(path));
        Ok(match format {
            Format::Memory(text) => Self::Memory(Some(text.clone()).filter(|text| !text.is_empty())),
            Format::Text => Self::Text { file: open()?, buffer: Vec::new(), position: 0, end: false },
            Format::JsonLines(_) => Self::JsonLines(JsonLines::open(path)?),
            Format::Table { delimiter, column } => {
                Self::Table(Box::new(Table::open(path, *delimiter, &[column])?))
            }
        })
    }
}

fn next_text(
    path: &Arc<Path>,
    file: &mut File,
    buffer: &mut Vec<u8>,
    position: &mut u64,
    end: &mut bool,
) -> Result<Option<TextPiece>, TextError> {
    // A byte more than a piece, so that the last piece of a file is never empty.
    let wanted = (PIECE + 1).saturating_sub(buffer.len()) as u64;
    if !*end {
        *end = file.take(wanted).read_to_end(buffer).map_err(TextError::read(&**path))? < wanted as usize;
    }
    if *position == 0 && buffer.starts_with(BOM.as_bytes()) {
        buffer.drain(..BOM.len());
        *position = BOM.len() as u64;
    }
    if buffer.is_empty() {
        return Ok(None);
    }
    let limit = if *end { buffer.len() } else { PIECE.min(buffer.len() - 1) };
    let line_end = buffer[..limit].iter().rposition(|&byte| byte == b'\n').map(|at| at + 1);
    let length = if *end { limit } else { line_end.unwrap_or(limit) };
    let length = match std::str::from_utf8(&buffer[..length]) {
        Ok(_) => length,
        // The last character goes on beyond the limit.
        Err(error) if error.error_len().is_none() && !*end => error.valid_up_to(),
        Err(error) => {
            let position = *position + error.valid_up_to() as u64;
            return Err(TextError::Utf8 { path: path.to_path_buf(), position });
        }
    };
    let rest = buffer.split_off(length);
    let text = String::from_utf8(std::mem::replace(buffer, rest)).expect("it was found valid up to here");
    let start = *position;
    *position += length as u64;
    Ok(Some(TextPiece {
        text,
        ends_document: buffer.is_empty() && *end,
        file: path.clone(),
        line: None,
        start,
        read: *position,
    }))
}

fn next_json(path: &Arc<Path>, lines: &mut JsonLines, column: &str) -> Result<Option<TextPiece>, TextError> {
    while let Some(mut object) = lines.next()? {
        let text = object.take(column)?;
        if !text.is_empty() {
            return Ok(Some(document(path, text, object.line, lines.position())));
        }
    }
    Ok(None)
}

fn next_record(path: &Arc<Path>, table: &mut Table, column: &str) -> Result<Option<TextPiece>, TextError> {
    while let Some(line) = table.next()? {
        let text = table.field(0, column)?;
        if !text.is_empty() {
            return Ok(Some(document(path, text.to_owned(), line, table.position())));
        }
    }
    Ok(None)
}

/// A document that came whole from a table.
fn document(path: &Arc<Path>, text: String, line: u64, read: u64) -> TextPiece {
    TextPiece { text, ends_document: true, file: path.clone(), line: Some(line), start: 0, read }
}
