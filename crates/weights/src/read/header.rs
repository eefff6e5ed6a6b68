//! The JSON header of a safetensors file, read strictly.
//!
//! Format: 8 bytes of little-endian header length, the header, the tensors' bytes. The `safetensors` crate
//! reads it from a buffer that holds the whole file, keeps the last of duplicate keys, and doesn't say which
//! tensor is wrong; so it is parsed here, with that crate's types.

use std::collections::BTreeMap;
use std::fmt;

use safetensors::Dtype;
use safetensors::tensor::TensorInfo as Entry;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::read::MAX_TENSORS;

/// Longest header that is read, in bytes, as in the reference implementation.
pub(crate) const MAX_HEADER: u64 = 100_000_000;

/// What a header says, before it is compared with the file.
pub(crate) struct Header {
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) tensors: BTreeMap<String, Entry>,
}

/// A tensor whose entry can't be true, and why.
pub(crate) struct BadEntry {
    pub(crate) tensor: String,
    pub(crate) reason: String,
}

impl Header {
    /// Checks that the tensors follow each other without gap or overlap and have the sizes of their shapes.
    /// Returns the bytes they take in total.
    pub(crate) fn check(&self) -> Result<u64, BadEntry> {
        let mut by_offset: Vec<_> = self.tensors.iter().collect();
        by_offset.sort_by_key(|(_, entry)| entry.data_offsets);
        let mut end = 0;
        for (name, entry) in by_offset {
            let bad = |reason: String| BadEntry { tensor: name.clone(), reason };
            let (from, to) = entry.data_offsets;
            if to < from {
                return Err(bad(format!("its bytes end ({to}) before they begin ({from})")));
            }
            if from != end {
                let relation =
                    if from < end { "overlap those of another tensor" } else { "leave a gap before them" };
                return Err(bad(format!("its bytes {from}..{to} {relation} (the one before ends at {end})")));
            }
            let size = byte_size(entry.dtype, &entry.shape).ok_or_else(|| {
                bad(format!("its shape {:?} of {} is too large or not whole bytes", entry.shape, entry.dtype))
            })?;
            if to - from != size {
                let shape = &entry.shape;
                return Err(bad(format!(
                    "shape {shape:?} of {} needs {size} bytes, it has {}",
                    entry.dtype,
                    to - from
                )));
            }
            end = to;
        }
        Ok(end as u64)
    }
}

fn byte_size(dtype: Dtype, shape: &[usize]) -> Option<usize> {
    let elements = shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length))?;
    let bits = elements.checked_mul(dtype.bitsize())?;
    (bits % 8 == 0).then_some(bits / 8)
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from tensor names to their type, shape and offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut metadata = None;
        let mut tensors = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                if metadata.replace(map.next_value()?).is_some() {
                    return Err(A::Error::custom("`__metadata__` occurs twice"));
                }
            } else if tensors.insert(name.clone(), map.next_value()?).is_some() {
                return Err(A::Error::custom(format_args!("tensor `{name}` occurs twice")));
            } else if tensors.len() > MAX_TENSORS {
                return Err(A::Error::custom(format_args!("it has more than {MAX_TENSORS} tensors")));
            }
        }
        Ok(Header { metadata: metadata.unwrap_or_default(), tensors })
    }
}
