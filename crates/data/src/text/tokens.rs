//! Tokens on the disk.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use filebuffer::FileBuffer;
use tempfile::NamedTempFile;

use super::TextError;

const MAGIC: &[u8; 8] = b"LIBTOKEN";
const VERSION: u32 = 1;
/// Magic, version, bytes per token (4 bytes each), size of the vocabulary, number of tokens (8 bytes each).
const HEADER: usize = 32;

/// Bytes per token of a vocabulary.
fn width_of(vocab_size: usize) -> usize {
    if vocab_size <= 1 << 16 { 2 } else { 4 }
}

/// Writes a file of tokens, which is there once it is [finished](Self::finish) and not before.
///
/// The layout, all little-endian: `LIBTOKEN`, version 1 (`u32`), bytes per token (`u32`: 2 for vocabularies of up to
/// 65,536, else 4), size of the vocabulary (`u64`), number of tokens (`u64`), the tokens.
#[derive(Debug)]
pub struct TokenWriter {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    vocab_size: usize,
    count: u64,
}

impl TokenWriter {
    /// Begins a file that will be at `path`, replacing what is there; until then it is a temporary file beside it.
    ///
    /// # Errors
    /// [`TextError::Write`] when the folder can't be written to.
    pub fn create(path: impl AsRef<Path>, vocab_size: usize) -> Result<Self, TextError> {
        let path = path.as_ref();
        let mut builder = tempfile::Builder::new();
        builder.prefix(".libellus-").suffix(".tmp");
        #[cfg(unix)]
        {
            // As `File::create` would: what the user's umask allows, rather than the owner only.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        // The path of the temporary file tells a user nothing.
        let failed = |error: io::Error| {
            TextError::write(path)(error.raw_os_error().map_or(error, io::Error::from_raw_os_error))
        };
        let file = builder.tempfile_in(folder_of(path)).map_err(failed)?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(&[0; HEADER]).map_err(TextError::write(path))?;
        Ok(Self { path: path.to_owned(), file, vocab_size, count: 0 })
    }

    /// Appends tokens.
    ///
    /// # Errors
    /// [`TextError::TokenOutOfRange`] for an id beyond the vocabulary, [`TextError::Write`] when the disk fails.
    pub fn write(&mut self, ids: &[u32]) -> Result<(), TextError> {
        check(ids, self.vocab_size, &self.path, self.count)?;
        let width = width_of(self.vocab_size);
        for id in ids {
            self.file.write_all(&id.to_le_bytes()[..width]).map_err(TextError::write(&self.path))?;
        }
        self.count += ids.len() as u64;
        Ok(())
    }

    /// Puts the file in its place, once all of it has reached the disk, and opens it.
    ///
    /// # Errors
    /// [`TextError::Write`] when the disk fails; what was at the path before is then still there.
    pub fn finish(self) -> Result<Tokens, TextError> {
        let Self { path, file, vocab_size, count } = self;
        let put = || -> io::Result<()> {
            let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(MAGIC)?;
            file.write_all(&VERSION.to_le_bytes())?;
            file.write_all(&(width_of(vocab_size) as u32).to_le_bytes())?;
            file.write_all(&(vocab_size as u64).to_le_bytes())?;
            file.write_all(&count.to_le_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|failed| failed.error)?;
            // The rename is durable once the folder is. Windows can't open folders, and does without.
            #[cfg(unix)]
            File::open(folder_of(&path))?.sync_all()?;
            Ok(())
        };
        put().map_err(TextError::write(&path))?;
        Tokens::open(path)
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn check(ids: &[u32], vocab_size: usize, path: &Path, start: u64) -> Result<(), TextError> {
    match ids.iter().position(|&id| id as usize >= vocab_size) {
        None => Ok(()),
        Some(at) => Err(TextError::TokenOutOfRange {
            path: path.to_owned(),
            position: start + at as u64,
            id: ids[at],
            vocab_size,
        }),
    }
}

/// A file of tokens, mapped into memory: what is read of it comes from the disk and stays for as long as the system has
/// room for it. Several threads may read at once.
///
/// The file must not be changed while it is open: a process ends where it reads beyond the new end. A [`TokenWriter`] changes none, but
/// puts another in its place.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    file: FileBuffer,
    vocab_size: usize,
    len: u64,
}

impl Tokens {
    /// Opens a file that a [`TokenWriter`] finished.
    ///
    /// # Errors
    /// [`TextError::Read`], [`TextError::NotTokens`] for another kind of file, [`TextError::TokensVersion`],
    /// [`TextError::TokensHeader`] and [`TextError::TokensLength`] for a damaged one.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TextError> {
        let path = path.as_ref();
        let file = FileBuffer::open(path).map_err(TextError::read(path))?;
        let Some(header) = file.first_chunk::<HEADER>() else {
            return Err(TextError::NotTokens { path: path.to_owned() });
        };
        if !header.starts_with(MAGIC) {
            return Err(TextError::NotTokens { path: path.to_owned() });
        }
        let quad = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| header[at + byte]));
        let oct = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| header[at + byte]));
        let (version, width, declared, len) = (quad(8), quad(12), oct(16), oct(24));
        if version != VERSION {
            return Err(TextError::TokensVersion { path: path.to_owned(), version, supported: VERSION });
        }
        let vocab_size = usize::try_from(declared).ok().filter(|&size| width_of(size) == width as usize);
        let Some(vocab_size) = vocab_size else {
            return Err(TextError::TokensHeader { path: path.to_owned(), width, vocab_size: declared });
        };
        let bytes = file.len() as u64;
        if len.checked_mul(width.into()).and_then(|tokens| tokens.checked_add(HEADER as u64)) != Some(bytes) {
            return Err(TextError::TokensLength { path: path.to_owned(), tokens: len, bytes });
        }
        Ok(Self { path: path.to_owned(), file, vocab_size, len })
    }

    /// How many tokens there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The size of the vocabulary, which every token is below.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Reads `count` tokens from the one numbered `start` on.
    ///
    /// # Errors
    /// [`TextError::TokenOutOfRange`] for a token that isn't below the size of the vocabulary: the file is damaged.
    ///
    /// # Panics
    /// If there are fewer tokens than that.
    pub fn read(&self, start: u64, count: usize) -> Result<Vec<u32>, TextError> {
        let end = start.checked_add(count as u64);
        assert!(end.is_some_and(|end| end <= self.len), "{count} tokens from {start} on, of {}", self.len);
        let width = width_of(self.vocab_size);
        // The file is in memory, so that its positions are those of a slice.
        let bytes = &self.file[HEADER + start as usize * width..][..count * width];
        let ids: Vec<u32> = if width == 2 {
            bytes.as_chunks::<2>().0.iter().map(|&token| u16::from_le_bytes(token).into()).collect()
        } else {
            bytes.as_chunks::<4>().0.iter().map(|&token| u32::from_le_bytes(token)).collect()
        };
        check(&ids, self.vocab_size, &self.path, start)?;
        Ok(ids)
    }

    /// Two parts, one after the other: the first share of the tokens (rounded down), and the rest.
    ///
    /// # Panics
    /// Unless the share lies in `0.0..=1.0`.
    pub fn split(self: &Arc<Self>, share: f64) -> [TokenRange; 2] {
        assert!((0.0..=1.0).contains(&share), "a share of {share}");
        let middle = ((self.len as f64 * share) as u64).min(self.len);
        [0..middle, middle..self.len].map(|range| TokenRange { tokens: self.clone(), range })
    }
}

/// A part of a file of tokens, as that to train on.
#[derive(Debug, Clone)]
pub struct TokenRange {
    /// The file.
    pub tokens: Arc<Tokens>,
    /// Numbers of the tokens, of those in the file.
    pub range: Range<u64>,
}

impl TokenRange {
    /// How many tokens there are.
    pub fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Reads `count` tokens from the part's one numbered `start` on.
    ///
    /// # Errors
    /// Those of [`Tokens::read`].
    ///
    /// # Panics
    /// If there are fewer tokens than that in the part.
    pub fn read(&self, start: u64, count: usize) -> Result<Vec<u32>, TextError> {
        let end = start.checked_add(count as u64);
        assert!(
            end.is_some_and(|end| end <= self.len()),
            "{count} tokens from {start} on, of {}",
            self.len()
        );
        self.tokens.read(self.range.start + start, count)
    }
}
