//! Where bytes come from: a file read at positions, or memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::WeightsError;

/// A file or bytes in memory, which several threads can read at once without waiting for each other.
pub(crate) struct Source {
    path: PathBuf,
    length: u64,
    held: Held,
}

enum Held {
    File(Positioned),
    Memory(Vec<u8>),
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Self, WeightsError> {
        let failed = |source| WeightsError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        Ok(Self { path: path.to_owned(), length, held: Held::File(Positioned::new(file)) })
    }

    /// `name` stands for the path in messages.
    pub(crate) fn memory(name: &str, bytes: Vec<u8>) -> Self {
        Self { path: PathBuf::from(name), length: bytes.len() as u64, held: Held::Memory(bytes) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The size in bytes when it was opened.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Whether it is a file, so that other files stand beside it.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.held, Held::File(_))
    }

    /// Fills `buffer` with the bytes from `position` on.
    pub(crate) fn read_at(&self, position: u64, buffer: &mut [u8]) -> Result<(), WeightsError> {
        self.read_at_plain(position, buffer)
            .map_err(|source| WeightsError::Read { path: self.path.clone(), source })
    }

    fn read_at_plain(&self, position: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.held {
            Held::File(file) => file.read_exact_at(buffer, position),
            Held::Memory(bytes) => {
                let start = usize::try_from(position).map_err(|_| io::ErrorKind::UnexpectedEof)?;
                let part = bytes.get(start..).and_then(|rest| rest.get(..buffer.len()));
                buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }
}

/// The bytes `position..end` of a source, one after the other.
pub(crate) struct Span {
    pub(crate) source: Arc<Source>,
    pub(crate) position: u64,
    pub(crate) end: u64,
}

impl Read for Span {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        self.source.read_at_plain(self.position, &mut buffer[..count])?;
        self.position += count as u64;
        Ok(count)
    }
}

#[cfg(unix)]
struct Positioned(File);

#[cfg(unix)]
impl Positioned {
    fn new(file: File) -> Self {
        Self(file)
    }

    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, buffer, position)
    }
}

/// Elsewhere a file has one position, so readers take turns.
#[cfg(not(unix))]
struct Positioned(std::sync::Mutex<File>);

#[cfg(not(unix))]
impl Positioned {
    fn new(file: File) -> Self {
        Self(std::sync::Mutex::new(file))
    }

    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        use std::io::{Seek, SeekFrom};
        let mut file = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(position))?;
        file.read_exact(buffer)
    }
}
