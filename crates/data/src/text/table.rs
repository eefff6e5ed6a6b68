//! Tables of texts: JSON lines, and values separated by commas or tabs.

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{ChatMessage, TextError, corpus::BOM};

/// The texts of some columns in one line of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow<const N: usize> {
    /// In the order in which the columns were asked for.
    pub fields: [String; N],
    /// Where it begins, counted from 1.
    pub line: u64,
}

/// A conversation in a line of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// What is said, in this order.
    pub messages: Vec<ChatMessage>,
    /// Where it stands, counted from 1.
    pub line: u64,
}

/// All rows of a table: a `.jsonl` file with an object per line, or a `.csv` or `.tsv` file whose first line names the
/// columns.
///
/// # Errors
/// [`TextError::NotATable`] for other files, [`TextError::NoColumn`] for a column that isn't there, [`TextError::EmptyCorpus`] without a
/// record, and when the file can't be read, isn't UTF-8 or is malformed.
pub fn read_table<const N: usize>(path: &Path, columns: [&str; N]) -> Result<Vec<TableRow<N>>, TextError> {
    let mut rows = Vec::new();
    match delimiter(path) {
        Some(Some(delimiter)) => {
            let mut table = Table::open(path, delimiter, &columns)?;
            while let Some(line) = table.next()? {
                let mut fields = [const { String::new() }; N];
                for (index, field) in fields.iter_mut().enumerate() {
                    table.field(index, columns[index])?.clone_into(field);
                }
                rows.push(TableRow { fields, line });
            }
        }
        Some(None) => {
            let mut lines = JsonLines::open(path)?;
            while let Some(mut object) = lines.next()? {
                let mut fields = [const { String::new() }; N];
                for (field, column) in fields.iter_mut().zip(columns) {
                    *field = object.take(column)?;
                }
                rows.push(TableRow { fields, line: object.line });
            }
        }
        None => {
            let column = columns.first().copied().unwrap_or_default().to_owned();
            return Err(TextError::NotATable { path: path.to_owned(), column });
        }
    }
    if rows.is_empty() { Err(TextError::EmptyCorpus { path: path.to_owned() }) } else { Ok(rows) }
}

/// The conversations in a column of a `.jsonl` file: each a list of messages with `role` and `content`, as chat models are trained on.
///
/// # Errors
/// [`TextError::NotJsonLines`] for other files, [`TextError::NoColumn`] for a line without the column, [`TextError::NotMessages`] for one
/// with something else in it, [`TextError::EmptyCorpus`] without a line, and when the file can't be read, isn't UTF-8 or is malformed.
pub fn read_conversations(path: &Path, column: &str) -> Result<Vec<Conversation>, TextError> {
    if delimiter(path) != Some(None) {
        return Err(TextError::NotJsonLines { path: path.to_owned() });
    }
    let mut lines = JsonLines::open(path)?;
    let mut conversations = Vec::new();
    while let Some(mut object) = lines.next()? {
        conversations.push(Conversation { messages: object.take_messages(column)?, line: object.line });
    }
    if conversations.is_empty() {
        Err(TextError::EmptyCorpus { path: path.to_owned() })
    } else {
        Ok(conversations)
    }
}

/// The names of a table's columns, for JSON lines those of the first line; none for a file that is no table.
///
/// # Errors
/// When the file can't be read, isn't UTF-8 or is malformed.
pub fn table_columns(path: &Path) -> Result<Vec<String>, TextError> {
    match delimiter(path) {
        Some(Some(delimiter)) => {
            let mut table = Table::open(path, delimiter, &[])?;
            let headers = table.reader.headers();
            let headers = headers.map_err(|source| TextError::Table { path: path.to_owned(), source })?;
            Ok(headers.iter().map(str::to_owned).collect())
        }
        Some(None) => {
            let mut lines = JsonLines::open(path)?;
            let first = lines.next()?;
            Ok(first
                .map(|object| object.fields.into_iter().map(|(name, _)| name).collect())
                .unwrap_or_default())
        }
        None => Ok(Vec::new()),
    }
}

/// What stands between the values of a table, nothing in JSON lines; `None` for a file that is no table.
fn delimiter(path: &Path) -> Option<Option<u8>> {
    match &path.extension().and_then(OsStr::to_str)?.to_ascii_lowercase()[..] {
        "jsonl" => Some(None),
        "csv" => Some(Some(b',')),
        "tsv" => Some(Some(b'\t')),
        _ => None,
    }
}

/// Lines with an object each, which are being read.
#[derive(Debug)]
pub(super) struct JsonLines {
    path: PathBuf,
    file: BufReader<File>,
    line: u64,
    position: u64,
}

/// An object, and where it stands.
pub(super) struct Object<'a> {
    path: &'a Path,
    pub(super) fields: Map<String, Value>,
    pub(super) line: u64,
}

impl JsonLines {
    pub(super) fn open(path: &Path) -> Result<Self, TextError> {
        let file = BufReader::new(File::open(path).map_err(TextError::read(path))?);
        Ok(Self { path: path.to_owned(), file, line: 0, position: 0 })
    }

    /// The object in the next line that isn't blank.
    pub(super) fn next(&mut self) -> Result<Option<Object<'_>>, TextError> {
        loop {
            let mut bytes = Vec::new();
            let length = self.file.read_until(b'\n', &mut bytes).map_err(TextError::read(&self.path))?;
            self.position += length as u64;
            if bytes.is_empty() {
                return Ok(None);
            }
            self.line += 1;
            let line = self.line;
            let Ok(text) = std::str::from_utf8(&bytes) else {
                return Err(TextError::LineUtf8 { path: self.path.clone(), line });
            };
            let text = if line == 1 { text.trim_start_matches(BOM) } else { text };
            if !text.trim().is_empty() {
                let fields = serde_json::from_str(text).map_err(|source| TextError::JsonLine {
                    path: self.path.clone(),
                    line,
                    source,
                })?;
                return Ok(Some(Object { path: &self.path, fields, line }));
            }
        }
    }

    /// Bytes that have been read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }
}

impl Object<'_> {
    /// The text of a field, which is taken out.
    pub(super) fn take(&mut self, column: &str) -> Result<String, TextError> {
        match self.take_value(column)? {
            Value::String(text) => Ok(text),
            _ => {
                let (path, line, column) = (self.path.to_owned(), self.line, column.to_owned());
                Err(TextError::NotAString { path, line, column })
            }
        }
    }

    /// The messages of a field, which are taken out.
    fn take_messages(&mut self, column: &str) -> Result<Vec<ChatMessage>, TextError> {
        serde_json::from_value(self.take_value(column)?).map_err(|_| TextError::NotMessages {
            path: self.path.to_owned(),
            line: self.line,
            column: column.to_owned(),
        })
    }

    fn take_value(&mut self, column: &str) -> Result<Value, TextError> {
        self.fields.remove(column).ok_or_else(|| TextError::NoColumn {
            path: self.path.to_owned(),
            line: self.line,
            column: column.to_owned(),
            columns: self.fields.keys().cloned().collect(),
        })
    }
}

/// Separated values, which are being read.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    reader: csv::Reader<File>,
    record: csv::ByteRecord,
    columns: Vec<usize>,
    lines_behind: u64,
}

impl Table {
    /// Opens a file whose first line names at least these `columns`.
    pub(super) fn open(path: &Path, delimiter: u8, columns: &[&str]) -> Result<Self, TextError> {
        let malformed = |source| TextError::Table { path: path.to_owned(), source };
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_path(path).map_err(malformed)?;
        let headers = reader.headers().map_err(malformed)?;
        let columns = columns.iter().map(|&column| {
            headers.iter().position(|name| name == column).ok_or_else(|| TextError::NoColumn {
                path: path.to_owned(),
                line: 1,
                column: column.to_owned(),
                columns: headers.iter().map(str::to_owned).collect(),
            })
        });
        let columns = columns.collect::<Result<_, _>>()?;
        // The reader takes a record to begin before the second byte of a `\r\n`, in the line before.
        let at = reader.position().byte();
        let mut byte = [0];
        let next = File::open(path).and_then(|mut file| {
            file.seek(SeekFrom::Start(at))?;
            file.read(&mut byte)
        });
        next.map_err(TextError::read(path))?;
        let lines_behind = u64::from(byte == *b"\n");
        Ok(Self { path: path.to_owned(), reader, record: csv::ByteRecord::new(), columns, lines_behind })
    }

    /// Goes to the next record; the line in which it begins.
    pub(super) fn next(&mut self) -> Result<Option<u64>, TextError> {
        let more = self.reader.read_byte_record(&mut self.record);
        let more = more.map_err(|source| TextError::Table { path: self.path.clone(), source })?;
        Ok(more.then(|| self.line()))
    }

    /// The text in a column, counted among those that the table was opened for; `name` is for messages.
    pub(super) fn field(&self, index: usize, name: &str) -> Result<&str, TextError> {
        let Some(field) = self.record.get(self.columns[index]) else {
            return Err(TextError::NoColumn {
                path: self.path.clone(),
                line: self.line(),
                column: name.to_owned(),
                columns: Vec::new(),
            });
        };
        std::str::from_utf8(field)
            .map_err(|_| TextError::LineUtf8 { path: self.path.clone(), line: self.line() })
    }

    /// Bytes that have been read.
    pub(super) fn position(&self) -> u64 {
        self.reader.position().byte()
    }

    fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line) + self.lines_behind
    }
}
