//! Safetensors.
//!
//! Format: 8 bytes of little-endian header length, a JSON header that names the tensors, the tensors' bytes.

use std::sync::Arc;

use safetensors::Dtype;
use safetensors::tensor::TensorInfo as Entry;

use crate::error::WeightsError;
use crate::read::Contents;
use crate::read::data::Data;
use crate::read::element::{ByteOrder, Element};
use crate::read::header::Header;
pub(crate) use crate::read::header::MAX_HEADER;
use crate::read::source::Source;
use crate::read::tensor::{Located, View};

/// Reads the header and checks it against the file's size.
pub(crate) fn open(source: &Arc<Source>) -> Result<Contents, WeightsError> {
    let path = || source.path().to_owned();
    let wrong = |reason: String| WeightsError::NotSafetensors { path: path(), reason };
    let length = source.length();
    if length < 8 {
        return Err(wrong(format!("it has {length} bytes, and the length of the header alone takes 8")));
    }
    let mut size = [0; 8];
    source.read_at(0, &mut size)?;
    let size = u64::from_le_bytes(size);
    if size > MAX_HEADER {
        return Err(wrong(format!(
            "its first 8 bytes give a header of {size} bytes (at most {MAX_HEADER} are allowed)"
        )));
    }
    let data_start = 8 + size;
    if data_start > length {
        return Err(WeightsError::Truncated { path: path(), expected: data_start, found: length });
    }

    let mut header = vec![0; size as usize];
    source.read_at(8, &mut header)?;
    let header: Header =
        serde_json::from_slice(&header).map_err(|error| wrong(format!("its header is wrong: {error}")))?;
    let data = header.check().map_err(|bad| WeightsError::BadTensor {
        path: path(),
        tensor: bad.tensor,
        reason: bad.reason,
    })?;
    let expected = data_start.saturating_add(data);
    if length < expected {
        return Err(WeightsError::Truncated { path: path(), expected, found: length });
    }
    if length > expected {
        return Err(wrong(format!("{} bytes follow its last tensor", length - expected)));
    }
    let Header { metadata, tensors } = header;
    let located = |entry: Entry| {
        let (from, to) = entry.data_offsets;
        Located {
            shape: entry.shape,
            element: element_of(entry.dtype),
            order: ByteOrder::Little,
            data: Data::plain(source, data_start + from as u64, (to - from) as u64),
            view: View::Contiguous { first: 0 },
        }
    };
    let tensors = tensors.into_iter().map(|(name, entry)| (name, located(entry))).collect();
    Ok(Contents { metadata, tensors, ..Contents::default() })
}

fn element_of(dtype: Dtype) -> Element {
    match dtype {
        Dtype::F64 => Element::F64,
        Dtype::F32 => Element::F32,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::BF16,
        Dtype::I64 => Element::I64,
        Dtype::I32 => Element::I32,
        Dtype::I16 => Element::I16,
        Dtype::I8 => Element::I8,
        Dtype::U64 => Element::U64,
        Dtype::U32 => Element::U32,
        Dtype::U16 => Element::U16,
        Dtype::U8 => Element::U8,
        Dtype::BOOL => Element::Bool,
        Dtype::F8_E4M3 => Element::Other("F8_E4M3"),
        Dtype::F8_E5M2 => Element::Other("F8_E5M2"),
        Dtype::F4 => Element::Other("F4"),
        Dtype::C64 => Element::Other("C64"),
        _ => Element::Other("another type"),
    }
}
