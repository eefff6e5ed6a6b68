//! A run of bytes in a file, perhaps compressed, perhaps with a checksum.

use std::io::Read;
use std::sync::Arc;

use flate2::Crc;
use flate2::read::DeflateDecoder;

use crate::error::WeightsError;
use crate::read::format::FileFormat;
use crate::read::source::{Source, Span};

/// Bytes of a file that were checked to lie within it.
#[derive(Clone)]
pub(crate) struct Data {
    pub(crate) source: Arc<Source>,
    /// Where they begin in the file.
    pub(crate) start: u64,
    /// How many they are, unpacked.
    pub(crate) length: u64,
    /// How many of them are a header, before the elements.
    pub(crate) lead: u64,
    /// What an archive adds to that.
    pub(crate) entry: Option<Arc<Packed>>,
}

/// How an archive holds an entry.
pub(crate) struct Packed {
    pub(crate) name: String,
    pub(crate) format: FileFormat,
    pub(crate) packing: Packing,
    /// The checksum of the unpacked bytes, if there is one.
    pub(crate) crc: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Stored,
    Deflated {
        /// Bytes in the file.
        length: u64,
    },
}

/// Checksums are computed over parts of this size, while they are still in the processor's cache.
const PART: usize = 1 << 18;

impl Data {
    /// A part of a file, as it is.
    pub(crate) fn plain(source: &Arc<Source>, start: u64, length: u64) -> Self {
        Self { source: Arc::clone(source), start, length, lead: 0, entry: None }
    }

    pub(crate) fn reader(&self) -> DataReader<'_> {
        let packing = self.entry.as_ref().map_or(Packing::Stored, |entry| entry.packing);
        let inflate = match packing {
            Packing::Stored => None,
            Packing::Deflated { length } => Some(DeflateDecoder::new(Span {
                source: Arc::clone(&self.source),
                position: self.start,
                end: self.start + length,
            })),
        };
        let crc = self.entry.as_ref().and_then(|entry| entry.crc).map(|_| Crc::new());
        DataReader { data: self, position: 0, inflate, crc }
    }
}

/// Reads a [`Data`] from its beginning. When all of it has gone by, its checksum is compared.
pub(crate) struct DataReader<'a> {
    data: &'a Data,
    position: u64,
    inflate: Option<DeflateDecoder<Span>>,
    /// Of everything so far; `None` if there is nothing to compare with or something was left out.
    crc: Option<Crc>,
}

impl DataReader<'_> {
    /// Bytes that are left.
    pub(crate) fn left(&self) -> u64 {
        self.data.length - self.position
    }

    /// Fills `buffer` with the next bytes.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<(), WeightsError> {
        if buffer.len() as u64 > self.left() {
            let source = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
            return Err(WeightsError::Read { path: self.data.source.path().to_owned(), source });
        }
        // Without checksum in one go, as the disk likes it.
        let part = if self.crc.is_some() { PART } else { buffer.len().max(1) };
        for part in buffer.chunks_mut(part) {
            match &mut self.inflate {
                Some(inflate) => {
                    inflate.read_exact(part).map_err(|error| self.data.damaged(&error.to_string()))?
                }
                None => self.data.source.read_at(self.data.start + self.position, part)?,
            }
            if let Some(crc) = &mut self.crc {
                crc.update(part);
            }
            self.position += part.len() as u64;
        }
        if self.left() == 0 { self.finish() } else { Ok(()) }
    }

    /// Leaves out the next `count` bytes.
    pub(crate) fn skip(&mut self, count: u64) -> Result<(), WeightsError> {
        if count == 0 {
            return Ok(());
        }
        if self.inflate.is_none() {
            self.crc = None;
            self.position += count.min(self.left());
            return Ok(());
        }
        let mut left = count.min(self.left());
        let mut nowhere = vec![0; PART.min(usize::try_from(left).unwrap_or(PART))];
        while left > 0 {
            let count = nowhere.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.read(&mut nowhere[..count])?;
            left -= count as u64;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), WeightsError> {
        if let Some(inflate) = &mut self.inflate {
            let more = inflate.read(&mut [0]).map_err(|error| self.data.damaged(&error.to_string()))?;
            if more > 0 {
                return Err(self
                    .data
                    .damaged(&format!("it unpacks to more than {} bytes", self.data.length)));
            }
        }
        if let (Some(crc), Some(entry)) = (&self.crc, &self.data.entry)
            && entry.crc.is_some_and(|expected| expected != crc.sum())
        {
            return Err(WeightsError::Checksum {
                path: self.data.source.path().to_owned(),
                entry: entry.name.clone(),
                expected: entry.crc.unwrap_or_default(),
                found: crc.sum(),
            });
        }
        Ok(())
    }
}

impl Data {
    fn damaged(&self, reason: &str) -> WeightsError {
        let (name, format) =
            self.entry.as_ref().map_or(("", FileFormat::Npz), |entry| (entry.name.as_str(), entry.format));
        WeightsError::Malformed {
            path: self.source.path().to_owned(),
            format,
            reason: format!("entry `{name}`: {reason}"),
        }
    }
}
