//! The formats of checkpoints, and what they have in common.
//!
//! A reader of a format looks at headers only and says where each tensor's elements are ([`Located`]); the elements
//! are read when they are asked for. Files are read at positions rather than mapped into memory: mapping is `unsafe`
//! (another process that shortens the file would crash this one, and one that writes to it would change values that
//! were checked), which this crate forbids, and reading each tensor once into the buffer where it stays costs no more.

pub(crate) mod blocks;
pub(crate) mod data;
pub(crate) mod element;
pub(crate) mod format;
pub(crate) mod gguf;
mod header;
pub(crate) mod numpy;
pub(crate) mod pytorch;
pub(crate) mod safetensors;
pub(crate) mod sharded;
pub(crate) mod source;
pub(crate) mod tensor;
pub(crate) mod zip;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::error::WeightsError;
use crate::read::data::Data;
use crate::read::format::FileFormat;
use crate::read::source::Source;
use crate::read::tensor::Located;
use crate::save::LAYOUT_KEY;

/// Most tensors of a file. The largest models have some ten thousand, and a description takes a few times more memory
/// than bytes in the file.
pub(crate) const MAX_TENSORS: usize = 1 << 18;

/// All tensors of a checkpoint, none of them read yet.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) tensors: BTreeMap<String, Located>,
    /// Arrays among a GGUF file's metadata, from the type of their values on.
    pub(crate) lists: BTreeMap<String, Data>,
}

/// Opens a file, or the checkpoint that a folder holds. `part` is the key of the mapping to take from a PyTorch file
/// that holds several.
pub(crate) fn open(path: &Path, part: Option<&str>) -> Result<Contents, WeightsError> {
    let failed = |source| WeightsError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.is_dir() {
        return open(&sharded::entry_of(path)?, part);
    }
    contents(&Arc::new(Source::open(path)?), part)
}

/// Recognises the format by content and reads the header. Names are without the prefixes of wrappers, but in what this
/// project wrote, which has its own names.
pub(crate) fn contents(source: &Arc<Source>, part: Option<&str>) -> Result<Contents, WeightsError> {
    let contents = match recognise(source)? {
        FileFormat::Index => match part {
            None => sharded::open(source)?,
            Some(part) => return Err(no_such_part(source, part)),
        },
        format => one_file(source, format, part)?,
    };
    Ok(match contents.metadata.contains_key(LAYOUT_KEY) {
        true => contents,
        false => pytorch::without_wrapper_prefixes(contents),
    })
}

/// The same for a file of a sharded checkpoint: it is no index, and its names are left as the index has them.
fn shard_contents(source: &Arc<Source>) -> Result<Contents, WeightsError> {
    match recognise(source)? {
        FileFormat::Index => Err(WeightsError::Unrecognised {
            path: source.path().to_owned(),
            found: "is an index of files, listed as a file in another index".into(),
        }),
        format => one_file(source, format, None),
    }
}

/// What a file of this format holds.
fn one_file(source: &Arc<Source>, format: FileFormat, part: Option<&str>) -> Result<Contents, WeightsError> {
    let contents = match format {
        FileFormat::PyTorch => {
            let archive = zip::Archive::open(source)?;
            match numpy::is_npz(&archive) {
                true => numpy::npz(&archive)?,
                false => return pytorch::archive(&archive, part),
            }
        }
        FileFormat::LegacyPyTorch => return pytorch::legacy(source, part),
        FileFormat::Npy => numpy::npy(source)?,
        FileFormat::Gguf => gguf::open(source)?,
        _ => safetensors::open(source)?,
    };
    match part {
        None => Ok(contents),
        Some(part) => Err(no_such_part(source, part)),
    }
}

/// Only PyTorch's own files have parts.
fn no_such_part(source: &Source, part: &str) -> WeightsError {
    let (path, part) = (source.path().to_owned(), part.to_owned());
    WeightsError::NoSuchPart { path, part, found: Vec::new() }
}

/// The format that the first bytes give away. Archives all look like PyTorch's at this point.
fn recognise(source: &Source) -> Result<FileFormat, WeightsError> {
    let mut start = [0; 512];
    let length = start.len().min(usize::try_from(source.length()).unwrap_or(usize::MAX));
    let start = &mut start[..length];
    source.read_at(0, start)?;
    if start.is_empty() {
        return Err(WeightsError::Empty { path: source.path().to_owned() });
    }
    let header = start.first_chunk().map(|size| u64::from_le_bytes(*size));
    let json_follows = start.get(8) == Some(&b'{');
    Ok(match start {
        // The length of a header can have the first bytes of another format, but not eight of them.
        _ if json_follows && header.is_some_and(|size| size <= safetensors::MAX_HEADER) => {
            FileFormat::Safetensors
        }
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => FileFormat::PyTorch,
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => FileFormat::Npy,
        [b'G', b'G', b'U', b'F', ..] => FileFormat::Gguf,
        [0x80, 2..=5, ..] => FileFormat::LegacyPyTorch,
        [b'{', ..] => FileFormat::Index,
        _ if json_follows => FileFormat::Safetensors,
        _ => {
            return Err(WeightsError::Unrecognised {
                path: source.path().to_owned(),
                found: describe(start),
            });
        }
    })
}

fn describe(start: &[u8]) -> String {
    let is = |prefix: &[u8]| start.to_ascii_lowercase().starts_with(prefix);
    if is(b"version https://git-lfs") {
        return "is a Git LFS pointer that stands for it; fetch it with `git lfs pull`".into();
    }
    if is(b"<!doctype") || is(b"<html") {
        return "is a web page; download the file itself".into();
    }
    if is(b"\x89hdf") {
        return "is an HDF5 file, which isn't read; convert it to safetensors".into();
    }
    let bytes: Vec<String> = start.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("begins with {}, as none of safetensors, PyTorch, NumPy and GGUF files does", bytes.join(" "))
}
