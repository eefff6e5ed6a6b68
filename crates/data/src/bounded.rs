//! Reading no more than a file can justify.

use std::{io::Read, path::Path};

use crate::DataError;

/// The most bytes that one byte of a deflate stream can stand for (zlib's documentation states 1032 : 1).
const DEFLATE_RATIO: u64 = 1032;

/// Memory to begin with where the size is only declared; more is taken as bytes really arrive.
const FIRST_CAPACITY: u64 = 1 << 20;

/// The most bytes that are taken from one file into memory, 8 GiB.
pub(crate) const LIMIT: u64 = 8 << 30;

/// The most bytes that are taken from a gzip file of this length.
pub(crate) fn gzip_limit(stored: u64) -> u64 {
    stored.saturating_mul(DEFLATE_RATIO).min(LIMIT)
}

/// Reads exactly the `declared` bytes from a file that has `before` bytes in front of them.
///
/// # Errors
/// [`DataError::TooLarge`] beyond `limit`, before memory is taken; [`DataError::Truncated`] when there are fewer bytes;
/// [`DataError::Read`] when they can't be read or unpacked.
pub(crate) fn read_declared(
    reader: &mut impl Read,
    path: &Path,
    before: u64,
    declared: u64,
    limit: u64,
) -> Result<Vec<u8>, DataError> {
    if declared > limit {
        return Err(DataError::TooLarge { path: path.to_owned(), declared, limit });
    }
    let mut bytes = Vec::with_capacity(declared.min(FIRST_CAPACITY) as usize);
    let end = reader.take(declared).read_to_end(&mut bytes);
    let arrived = bytes.len() as u64;
    match end {
        Ok(_) if arrived == declared => {
            bytes.shrink_to_fit();
            Ok(bytes)
        }
        Err(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
            Err(DataError::read(path)(source))
        }
        // Both a file that ends and a gzip stream that ends in the middle.
        _ => Err(DataError::Truncated {
            path: path.to_owned(),
            expected: before.saturating_add(declared),
            found: before + arrived,
        }),
    }
}

/// Checks that the file ends here.
///
/// # Errors
/// [`DataError::TrailingBytes`] when it goes on after `declared` bytes, [`DataError::Read`] when it can't be read.
pub(crate) fn expect_end(reader: &mut impl Read, path: &Path, declared: u64) -> Result<(), DataError> {
    match reader.read(&mut [0]).map_err(DataError::read(path))? {
        0 => Ok(()),
        _ => Err(DataError::TrailingBytes { path: path.to_owned(), expected: declared }),
    }
}
