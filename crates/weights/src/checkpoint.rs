//! An opened safetensors file.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use burn::tensor::{BoolStore, DType, TensorData};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo as Entry;

use crate::error::WeightsError;
use crate::header::{Header, MAX_HEADER};

/// A safetensors file whose header has been read and checked. Tensors are read when asked for.
pub struct Checkpoint {
    path: PathBuf,
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Entry>,
    data_start: u64,
    source: Mutex<Box<dyn Source>>,
}

trait Source: Read + Seek + Send {}
impl<T: Read + Seek + Send> Source for T {}

/// What the header says of one tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// The length of each dimension.
    pub shape: &'a [usize],
    /// The type of its elements, as the format spells it: `F32`, `BF16`, `I64`.
    pub dtype: &'static str,
}

impl Checkpoint {
    /// Opens the file and checks its header against the file's size, before any tensor is read or memory for
    /// one is taken.
    ///
    /// # Errors
    /// If the file can't be read, is empty, cut off, no safetensors file, or contradicts itself.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let _span = tracing::debug_span!("open_checkpoint", path = %path.display()).entered();
        let failed = |source| WeightsError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        if about.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        Self::read(path.to_owned(), about.len(), Box::new(file))
    }

    /// The same for a file held in memory. `name` stands for its path in messages.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, WeightsError> {
        Self::read(PathBuf::from(name), bytes.len() as u64, Box::new(Cursor::new(bytes)))
    }

    fn read(path: PathBuf, length: u64, mut source: Box<dyn Source>) -> Result<Self, WeightsError> {
        if length == 0 {
            return Err(WeightsError::Empty { path });
        }
        let wrong = |reason: String| WeightsError::NotSafetensors { path: path.clone(), reason };
        let failed = |source| WeightsError::Read { path: path.clone(), source };

        if length < 8 {
            return Err(wrong(format!("it has {length} bytes, and the length of the header alone takes 8")));
        }
        let mut size = [0; 8];
        source.read_exact(&mut size).map_err(failed)?;
        let size = u64::from_le_bytes(size);
        if size > MAX_HEADER {
            return Err(wrong(format!(
                "its first 8 bytes give a header of {size} bytes (at most {MAX_HEADER} are allowed)"
            )));
        }
        let data_start = 8 + size;
        if data_start > length {
            // Too short to tell whether it ever was a checkpoint, unless what there is of the header looks
            // like one.
            let mut first = [0; 1];
            let read = source.read(&mut first).map_err(failed)?;
            return Err(if read == 1 && first[0] == b'{' {
                WeightsError::Truncated { path: path.clone(), expected: data_start, found: length }
            } else {
                wrong(format!("its first 8 bytes give a header of {size} bytes, but it has {length} in all"))
            });
        }

        let mut header = vec![0; size as usize];
        source.read_exact(&mut header).map_err(failed)?;
        let header: Header = serde_json::from_slice(&header)
            .map_err(|error| wrong(format!("its header is wrong: {error}")))?;
        let data = header.check().map_err(|bad| WeightsError::BadTensor {
            path: path.clone(),
            tensor: bad.tensor,
            reason: bad.reason,
        })?;
        let expected = data_start.saturating_add(data);
        if length < expected {
            return Err(WeightsError::Truncated { path, expected, found: length });
        }
        if length > expected {
            return Err(wrong(format!("{} bytes follow its last tensor", length - expected)));
        }
        let Header { metadata, tensors } = header;
        Ok(Self { path, metadata, tensors, data_start, source: Mutex::new(source) })
    }

    /// The file, or the name given to [`Checkpoint::from_bytes`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Free text that was saved with the tensors: the architecture, the preset, the labels.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// What the header says of each tensor, sorted by name.
    pub fn infos(&self) -> impl ExactSizeIterator<Item = TensorInfo<'_>> {
        self.tensors.iter().map(|(name, entry)| TensorInfo {
            name,
            shape: &entry.shape,
            dtype: dtype_name(entry.dtype),
        })
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// What the header says of the tensor `name`, if it is there.
    pub fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        let (name, entry) = self.tensors.get_key_value(name)?;
        Some(TensorInfo { name, shape: &entry.shape, dtype: dtype_name(entry.dtype) })
    }

    /// Reads one tensor. Floating-point elements of any width become `f32`; integers and booleans stay as
    /// they are.
    ///
    /// # Errors
    /// If there is none of this name, its element type has no counterpart in burn, or reading fails.
    pub fn tensor(&self, name: &str) -> Result<TensorData, WeightsError> {
        let missing = || WeightsError::NoSuchTensor { path: self.path.clone(), tensor: name.to_owned() };
        let entry = self.tensors.get(name).ok_or_else(missing)?;
        let no_counterpart = || WeightsError::ElementType {
            path: self.path.clone(),
            tensor: name.to_owned(),
            dtype: entry.dtype.to_string(),
            wanted: "a tensor of burn",
        };
        let dtype = burn_dtype(entry.dtype).ok_or_else(no_counterpart)?;

        let (from, to) = entry.data_offsets;
        // `from..to` lies within the file, as was checked when it was opened, so this is no more than the
        // file's size.
        let mut bytes = vec![0; to - from];
        {
            let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
            source
                .seek(SeekFrom::Start(self.data_start + from as u64))
                .and_then(|_| source.read_exact(&mut bytes))
                .map_err(|source| WeightsError::Read { path: self.path.clone(), source })?;
        }
        if dtype == DType::Bool(BoolStore::Native) {
            // Any other byte than 0 and 1 is no `bool`.
            bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
        }
        let data = TensorData::from_bytes_vec(bytes, entry.shape.clone(), dtype);
        Ok(if dtype.is_float() { data.convert::<f32>() } else { data })
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint")
            .field("path", &self.path)
            .field("metadata", &self.metadata)
            .field("tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}

fn burn_dtype(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool(BoolStore::Native),
        _ => return None,
    })
}

fn dtype_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F64 => "F64",
        Dtype::F32 => "F32",
        Dtype::F16 => "F16",
        Dtype::BF16 => "BF16",
        Dtype::I64 => "I64",
        Dtype::I32 => "I32",
        Dtype::I16 => "I16",
        Dtype::I8 => "I8",
        Dtype::U64 => "U64",
        Dtype::U32 => "U32",
        Dtype::U16 => "U16",
        Dtype::U8 => "U8",
        Dtype::BOOL => "BOOL",
        _ => "another type",
    }
}
