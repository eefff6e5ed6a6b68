//! An opened checkpoint.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::TensorData;

use crate::error::WeightsError;
use crate::read::source::Source;
use crate::read::tensor::Located;
use crate::read::{self, Contents, gguf};

/// A checkpoint whose header has been read and checked. Tensors are read when asked for, by several threads at once if
/// they like.
pub struct Checkpoint {
    path: PathBuf,
    contents: Contents,
}

/// What the header says of one tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// The length of each dimension, slowest first.
    pub shape: &'a [usize],
    /// The type of its elements, as safetensors spells it: `F32`, `BF16`, `I64`. Those of a quantised tensor are `F32`.
    pub dtype: &'static str,
    /// The type of its blocks if it is quantised: `Q8_0`, `Q4_K`.
    pub quantised: Option<&'static str>,
}

impl Checkpoint {
    /// Opens a checkpoint of any [format](crate#formats), which is recognised by its content, and checks its header
    /// against the file's size, before any tensor is read or memory for one is taken.
    ///
    /// `path` can be the index of a sharded checkpoint, or a folder that holds one index or a `model.safetensors`.
    ///
    /// # Errors
    /// If a file can't be read, is empty, cut off, no checkpoint, asks for code to be run, or contradicts itself; if a
    /// shard is missing; if a PyTorch file holds no mapping of tensors, or several.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        Self::open_with(path.as_ref(), None)
    }

    /// Opens one of several mappings of tensors in a PyTorch file: `ema`, or `nets.generator` for one within another.
    ///
    /// # Errors
    /// As [`Checkpoint::open`], and if there is no such mapping.
    pub fn open_part(path: impl AsRef<Path>, part: &str) -> Result<Self, WeightsError> {
        Self::open_with(path.as_ref(), Some(part))
    }

    fn open_with(path: &Path, part: Option<&str>) -> Result<Self, WeightsError> {
        let _span = tracing::debug_span!("open_checkpoint", path = %path.display()).entered();
        Ok(Self { path: path.to_owned(), contents: read::open(path, part)? })
    }

    /// The same as [`Checkpoint::open`] for a file held in memory. `name` stands for its path in messages.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, WeightsError> {
        let source = Arc::new(Source::memory(name, bytes));
        Ok(Self { path: PathBuf::from(name), contents: read::contents(&source, None)? })
    }

    /// The file or folder that was opened, or the name given to [`Checkpoint::from_bytes`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Free text that was saved with the tensors: the architecture, the preset, the labels. A GGUF file's numbers and
    /// short arrays are written out.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.contents.metadata
    }

    /// The texts of an array among a GGUF file's metadata, as `tokenizer.ggml.tokens`. `None` if there is no array of this
    /// name.
    ///
    /// # Errors
    /// If its values are no texts, there are more than two million, or reading fails.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<String>>, WeightsError> {
        self.contents.lists.get(key).map(|list| gguf::texts(list, key)).transpose()
    }

    /// The numbers of an array among a GGUF file's metadata, whatever their type. `None` if there is no array of this name.
    ///
    /// # Errors
    /// If its values are no numbers, there are more than two million, or reading fails.
    pub fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>, WeightsError> {
        self.contents.lists.get(key).map(|list| gguf::numbers(list, key)).transpose()
    }

    /// What the header says of each tensor, sorted by name.
    pub fn infos(&self) -> impl ExactSizeIterator<Item = TensorInfo<'_>> {
        self.contents.tensors.iter().map(|(name, tensor)| info(name, tensor))
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.contents.tensors.keys().map(String::as_str)
    }

    /// What the header says of the tensor `name`, if it is there.
    pub fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        let (name, tensor) = self.contents.tensors.get_key_value(name)?;
        Some(info(name, tensor))
    }

    /// Reads one tensor. Floating-point elements of any width, and quantised ones, become `f32`; integers and booleans
    /// stay as they are.
    ///
    /// # Errors
    /// If there is none of this name, its element type has no counterpart in burn, reading fails, or its checksum is
    /// wrong.
    pub fn tensor(&self, name: &str) -> Result<TensorData, WeightsError> {
        self.located(name)?.read(name)
    }

    /// Reads a matrix as its transpose, without holding it twice. A little slower than turning it in memory.
    ///
    /// # Panics
    /// If it is no matrix.
    pub(crate) fn transposed(&self, name: &str) -> Result<TensorData, WeightsError> {
        self.located(name)?.transposed().read(name)
    }

    fn located(&self, name: &str) -> Result<&Located, WeightsError> {
        let missing = || WeightsError::NoSuchTensor { path: self.path.clone(), tensor: name.to_owned() };
        self.contents.tensors.get(name).ok_or_else(missing)
    }
}

fn info<'a>(name: &'a str, tensor: &'a Located) -> TensorInfo<'a> {
    let element = tensor.element;
    TensorInfo {
        name,
        shape: &tensor.shape,
        dtype: if element.is_quantised() { "F32" } else { element.name() },
        quantised: element.is_quantised().then(|| element.name()),
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint")
            .field("path", &self.path)
            .field("metadata", &self.contents.metadata)
            .field("tensors", &self.contents.tensors.len())
            .finish_non_exhaustive()
    }
}
