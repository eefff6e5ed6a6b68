//! The bytes of pickles, one after the other.

use std::path::Path;

use crate::error::WeightsError;
use crate::read::data::{Data, DataReader};
use crate::read::pytorch::pickle::MAX_LENGTH;
use crate::read::pytorch::problem::PickleProblem;

/// What is left of them.
pub(crate) struct Input<'a> {
    data: &'a Data,
    reader: DataReader<'a>,
    buffer: Vec<u8>,
    next: usize,
}

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a Data) -> Self {
        Self { data, reader: data.reader(), buffer: Vec::new(), next: 0 }
    }

    pub(super) fn path(&self) -> &Path {
        self.data.source.path()
    }

    /// Bytes of the whole file, which can be fewer than those of a compressed pickle in it.
    pub(super) fn file_length(&self) -> u64 {
        self.data.source.length()
    }

    /// Bytes that were taken so far.
    pub(crate) fn position(&self) -> u64 {
        self.data.length - self.left()
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> u64 {
        self.reader.left() + (self.buffer.len() - self.next) as u64
    }

    /// An error at this place.
    pub(super) fn problem(&self, problem: PickleProblem) -> WeightsError {
        WeightsError::Pickle { path: self.data.source.path().to_owned(), offset: self.position(), problem }
    }

    pub(super) fn byte(&mut self) -> Result<u8, WeightsError> {
        if self.next == self.buffer.len() {
            let count = self.reader.left().min(1 << 16) as usize;
            if count == 0 {
                return Err(self.problem(PickleProblem::CutOff));
            }
            self.buffer.resize(count, 0);
            self.next = 0;
            self.reader.read(&mut self.buffer)?;
        }
        let byte = self.buffer[self.next];
        self.next += 1;
        Ok(byte)
    }

    pub(super) fn bytes(&mut self, count: u64) -> Result<Vec<u8>, WeightsError> {
        if count > self.left() || count > MAX_LENGTH {
            return Err(self.problem(PickleProblem::TooLong { claimed: count, left: self.left() }));
        }
        let count = count as usize;
        let buffered = count.min(self.buffer.len() - self.next);
        let mut bytes = vec![0; count];
        bytes[..buffered].copy_from_slice(&self.buffer[self.next..self.next + buffered]);
        self.next += buffered;
        if buffered < count {
            self.reader.read(&mut bytes[buffered..])?;
        }
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], WeightsError> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u64, WeightsError> {
        self.byte().map(u64::from)
    }

    pub(super) fn u32(&mut self) -> Result<u64, WeightsError> {
        Ok(u32::from_le_bytes(self.array()?).into())
    }

    pub(super) fn u64(&mut self) -> Result<u64, WeightsError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Up to the end of the line, which is taken and left out.
    pub(super) fn line(&mut self) -> Result<String, WeightsError> {
        const MAX: usize = 1000;
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => break,
                byte => line.push(byte),
            }
            if line.len() > MAX {
                return Err(self.problem(PickleProblem::NotText));
            }
        }
        String::from_utf8(line).map_err(|_| self.problem(PickleProblem::NotText))
    }
}
