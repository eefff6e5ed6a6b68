//! GGUF, the format of llama.cpp.
//!
//! Format: `docs/gguf.md` of ggml, versions 2 and 3, little-endian. A header of typed key-value pairs and of tensor
//! descriptions, then the tensors, aligned. Dimensions are listed fastest first; they are turned round here, so that a
//! tensor has the shape that it has in the safetensors file of the same model.
//!
//! Numbers and the quantised types of [`blocks`] are read; of other quantised types the file says what they are,
//! and reading such a tensor is an error.

use std::sync::Arc;

use crate::error::WeightsError;
use crate::read::blocks::{self, Blocks};
use crate::read::data::{Data, DataReader};
use crate::read::element::{ByteOrder, Element, element_count};
use crate::read::format::FileFormat;
use crate::read::source::Source;
use crate::read::tensor::{Located, View};
use crate::read::{Contents, MAX_TENSORS};

/// Longest key or tensor name, in bytes. The specification says 65535 and 64.
const MAX_NAME: u64 = 65535;

/// Longest text among the metadata that is kept, in bytes. Longer ones are an error: templates and licences are shorter.
const MAX_TEXT: u64 = 1 << 20;

/// Most dimensions. The specification says 4.
const MAX_RANK: u32 = 8;

/// Arrays of at most so many values are shown in full.
const SHOWN: u64 = 8;

/// Most values of an array that is read: a few times the largest vocabulary.
const MAX_LIST: u64 = 1 << 21;

/// The type of arrays.
const LIST: u32 = 9;

/// Arrays within arrays, at most.
const MAX_DEPTH: usize = 4;

/// Alignment of the tensors if `general.alignment` doesn't say otherwise.
const ALIGNMENT: u64 = 32;

/// Reads the header.
pub(crate) fn open(source: &Arc<Source>) -> Result<Contents, WeightsError> {
    let data = Data::plain(source, 0, source.length());
    let mut header = Header::new(&data);
    header.bytes(4)?;
    let version = header.u32()?;
    if !(2..=3).contains(&version) {
        let reason = match version.swap_bytes() {
            2 | 3 => "it is big-endian, which isn't read".to_owned(),
            _ => format!("version {version} isn't read, only 2 and 3"),
        };
        return Err(header.damaged(reason));
    }
    // A description has at least a name, a rank, a type and an offset; a pair a key, a type and a value.
    let tensor_count = header.count(24, MAX_TENSORS as u64, "tensors")?;
    let pair_count = header.count(13, MAX_TENSORS as u64, "key-value pairs")?;

    let mut contents = Contents::default();
    let mut alignment = ALIGNMENT;
    for _ in 0..pair_count {
        let key = header.name()?;
        let kind = header.u32()?;
        let start = header.position;
        let text = header.value(kind, 0)?;
        if kind == LIST {
            let list = Data::plain(source, start, header.position - start);
            contents.lists.insert(key.clone(), list);
        }
        if key == "general.alignment" {
            alignment = text
                .parse()
                .ok()
                .filter(|alignment: &u64| alignment.is_power_of_two())
                .ok_or_else(|| header.damaged(format!("its alignment, {text}, is no power of two")))?;
        }
        if contents.metadata.insert(key.clone(), text).is_some() {
            return Err(header.damaged(format!("key `{key}` occurs twice")));
        }
    }

    let mut described = Vec::new();
    for _ in 0..tensor_count {
        described.push(header.description()?);
    }
    let start = header.position.next_multiple_of(alignment);
    for Description { name, shape, kind, offset } in described {
        let bad = |reason: String| WeightsError::BadTensor {
            path: source.path().to_owned(),
            tensor: name.clone(),
            reason,
        };
        let kind = KINDS
            .iter()
            .find(|known| known.id == kind)
            .ok_or_else(|| bad(format!("type {kind} isn't known")))?;
        let count = element_count(&shape).ok_or_else(|| bad(format!("its shape {shape:?} is too large")))?;
        let row = shape.last().copied().unwrap_or(1);
        if !row.is_multiple_of(kind.elements) {
            return Err(bad(format!(
                "its rows of {row} aren't whole blocks of {} {}",
                kind.elements,
                kind.name()
            )));
        }
        let bytes = ((count / kind.elements) as u64).checked_mul(kind.bytes as u64);
        let bytes = bytes.ok_or_else(|| bad(format!("its shape {shape:?} is too large")))?;
        if !offset.is_multiple_of(alignment) {
            return Err(bad(format!("its offset {offset} is no multiple of {alignment}")));
        }
        let end = start.checked_add(offset).and_then(|start| start.checked_add(bytes));
        match end {
            Some(end) if end <= source.length() => {}
            Some(expected) => {
                let found = source.length();
                return Err(WeightsError::Truncated { path: source.path().to_owned(), expected, found });
            }
            None => return Err(bad(format!("its offset {offset} is too large"))),
        }
        let located = Located {
            shape,
            element: kind.element,
            order: ByteOrder::Little,
            data: Data::plain(source, start + offset, bytes),
            view: View::Contiguous { first: 0 },
        };
        if contents.tensors.insert(name.clone(), located).is_some() {
            return Err(bad("it occurs twice".into()));
        }
    }

    let mut by_position: Vec<_> = contents.tensors.iter().collect();
    by_position.sort_by_key(|(_, tensor)| (tensor.data.start, tensor.data.length));
    for pair in by_position.windows(2) {
        let [(first, before), (second, after)] = pair else { continue };
        if before.data.start + before.data.length > after.data.start {
            let reason = format!("its bytes overlap those of `{first}`");
            return Err(WeightsError::BadTensor {
                path: source.path().to_owned(),
                tensor: (*second).clone(),
                reason,
            });
        }
    }
    Ok(contents)
}

/// The values of an array of texts.
pub(crate) fn texts(list: &Data, key: &str) -> Result<Vec<String>, WeightsError> {
    let mut header = Header::new(list);
    let kind = header.u32()?;
    if kind != 8 {
        return Err(header.damaged(format!("`{key}` is no list of texts")));
    }
    let count = header.count(8, MAX_LIST, "values in an array")?;
    (0..count).map(|_| header.text(MAX_TEXT, "the length of a text")).collect()
}

/// The values of an array of numbers.
pub(crate) fn numbers(list: &Data, key: &str) -> Result<Vec<f64>, WeightsError> {
    let mut header = Header::new(list);
    let kind = header.u32()?;
    if matches!(kind, 7..=9) {
        return Err(header.damaged(format!("`{key}` is no list of numbers")));
    }
    let count = header.count(1, MAX_LIST, "values in an array")?;
    let number = |_| -> Outcome<f64> {
        Ok(match kind {
            0 => f64::from(header.array::<1>()?[0]),
            1 => f64::from(i8::from_le_bytes(header.array()?)),
            2 => f64::from(u16::from_le_bytes(header.array()?)),
            3 => f64::from(i16::from_le_bytes(header.array()?)),
            4 => f64::from(header.u32()?),
            5 => f64::from(i32::from_le_bytes(header.array()?)),
            6 => f64::from(f32::from_le_bytes(header.array()?)),
            10 => header.u64()? as f64,
            11 => i64::from_le_bytes(header.array()?) as f64,
            _ => f64::from_le_bytes(header.array()?),
        })
    };
    (0..count).map(number).collect()
}

struct Description {
    name: String,
    shape: Vec<usize>,
    kind: u32,
    offset: u64,
}

/// What is left of the header.
struct Header<'a> {
    data: &'a Data,
    reader: DataReader<'a>,
    buffer: Vec<u8>,
    next: usize,
    position: u64,
}

type Outcome<T> = Result<T, WeightsError>;

impl<'a> Header<'a> {
    fn new(data: &'a Data) -> Self {
        Self { data, reader: data.reader(), buffer: Vec::new(), next: 0, position: 0 }
    }

    fn damaged(&self, reason: String) -> WeightsError {
        WeightsError::Malformed { path: self.data.source.path().to_owned(), format: FileFormat::Gguf, reason }
    }

    fn left(&self) -> u64 {
        self.data.length - self.position
    }

    fn check(&self, count: u64) -> Outcome<()> {
        if count > self.left() {
            return Err(WeightsError::Truncated {
                path: self.data.source.path().to_owned(),
                expected: self.position.saturating_add(count),
                found: self.data.length,
            });
        }
        Ok(())
    }

    fn bytes(&mut self, count: u64) -> Outcome<Vec<u8>> {
        self.check(count)?;
        let mut bytes = vec![0; count as usize];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    fn read(&mut self, bytes: &mut [u8]) -> Outcome<()> {
        self.check(bytes.len() as u64)?;
        let mut filled = 0;
        while filled < bytes.len() {
            if self.next == self.buffer.len() {
                self.buffer.resize(self.reader.left().min(1 << 16) as usize, 0);
                self.next = 0;
                self.reader.read(&mut self.buffer)?;
            }
            let count = (bytes.len() - filled).min(self.buffer.len() - self.next);
            bytes[filled..filled + count].copy_from_slice(&self.buffer[self.next..self.next + count]);
            filled += count;
            self.next += count;
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn skip(&mut self, count: u64) -> Outcome<()> {
        self.check(count)?;
        let buffered = count.min((self.buffer.len() - self.next) as u64);
        self.next += buffered as usize;
        self.reader.skip(count - buffered)?;
        self.position += count;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let mut bytes = [0; N];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Outcome<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Outcome<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// How many things follow, of which each takes at least `least` bytes.
    fn count(&mut self, least: u64, most: u64, what: &str) -> Outcome<u64> {
        let claimed = self.u64()?;
        let limit = (self.left() / least).min(most);
        if claimed > limit {
            let (path, what) = (self.data.source.path().to_owned(), format!("the number of its {what}"));
            return Err(WeightsError::TooLarge { path, what, claimed, limit });
        }
        Ok(claimed)
    }

    fn text(&mut self, limit: u64, what: &str) -> Outcome<String> {
        let claimed = self.u64()?;
        if claimed > limit {
            let (path, what) = (self.data.source.path().to_owned(), what.to_owned());
            return Err(WeightsError::TooLarge { path, what, claimed, limit });
        }
        let bytes = self.bytes(claimed)?;
        String::from_utf8(bytes).map_err(|_| self.damaged(format!("{what} isn't UTF-8")))
    }

    fn name(&mut self) -> Outcome<String> {
        self.text(MAX_NAME, "the length of a name")
    }

    fn description(&mut self) -> Outcome<Description> {
        let name = self.name()?;
        let rank = self.u32()?;
        if rank > MAX_RANK {
            return Err(self.damaged(format!("tensor `{name}` claims {rank} dimensions")));
        }
        let mut shape = Vec::new();
        for _ in 0..rank {
            let length = self.u64()?;
            let length = usize::try_from(length)
                .map_err(|_| self.damaged(format!("tensor `{name}` claims a length of {length}")))?;
            shape.push(length);
        }
        shape.reverse();
        let (kind, offset) = (self.u32()?, self.u64()?);
        Ok(Description { name, shape, kind, offset })
    }

    /// A value of the metadata as text. Long arrays are passed over.
    fn value(&mut self, kind: u32, depth: usize) -> Outcome<String> {
        Ok(match kind {
            0 => self.array::<1>()?[0].to_string(),
            1 => i8::from_le_bytes(self.array()?).to_string(),
            2 => u16::from_le_bytes(self.array()?).to_string(),
            3 => i16::from_le_bytes(self.array()?).to_string(),
            4 => self.u32()?.to_string(),
            5 => i32::from_le_bytes(self.array()?).to_string(),
            6 => format!("{:?}", f32::from_le_bytes(self.array()?)),
            7 => match self.array::<1>()?[0] {
                0 => "false".into(),
                1 => "true".into(),
                byte => return Err(self.damaged(format!("{byte} is no truth value"))),
            },
            8 => self.text(MAX_TEXT, "the length of a text")?,
            LIST => self.list(depth)?,
            10 => self.u64()?.to_string(),
            11 => i64::from_le_bytes(self.array()?).to_string(),
            12 => format!("{:?}", f64::from_le_bytes(self.array()?)),
            kind => return Err(self.damaged(format!("type {kind} of a value isn't known"))),
        })
    }

    fn list(&mut self, depth: usize) -> Outcome<String> {
        if depth == MAX_DEPTH {
            return Err(self.damaged(format!("arrays are nested more than {MAX_DEPTH} deep")));
        }
        let kind = self.u32()?;
        let (name, size) = match kind {
            0 => ("u8", 1),
            1 => ("i8", 1),
            2 => ("u16", 2),
            3 => ("i16", 2),
            4 => ("u32", 4),
            5 => ("i32", 4),
            6 => ("f32", 4),
            7 => ("bool", 1),
            8 => ("text", 8),
            9 => ("array", 12),
            10 => ("u64", 8),
            11 => ("i64", 8),
            12 => ("f64", 8),
            kind => return Err(self.damaged(format!("type {kind} of a value isn't known"))),
        };
        let count = self.count(size, u64::MAX, "values in an array")?;
        if count <= SHOWN {
            let values: Outcome<Vec<String>> = (0..count).map(|_| self.value(kind, depth + 1)).collect();
            return Ok(format!("[{}]", values?.join(", ")));
        }
        match kind {
            8 => {
                for _ in 0..count {
                    let length = self.u64()?;
                    self.skip(length)?;
                }
            }
            LIST => {
                for _ in 0..count {
                    self.list(depth + 1)?;
                }
            }
            // At most as many as there are bytes left, as was checked.
            _ => self.skip(count * size)?,
        }
        Ok(format!("[{count} of {name}]"))
    }
}

/// A type of tensors: so many elements make a block of so many bytes.
struct Kind {
    id: u32,
    element: Element,
    elements: usize,
    bytes: usize,
}

impl Kind {
    fn name(&self) -> &'static str {
        self.element.name()
    }
}

const fn kind(id: u32, element: Element, elements: usize, bytes: usize) -> Kind {
    Kind { id, element, elements, bytes }
}

/// Blocks that are decoded.
const fn quantised(id: u32, blocks: &'static Blocks) -> Kind {
    kind(id, Element::Quantised(blocks), blocks.elements, blocks.bytes)
}

static KINDS: [Kind; 32] = [
    kind(0, Element::F32, 1, 4),
    kind(1, Element::F16, 1, 2),
    quantised(2, &blocks::Q4_0),
    quantised(3, &blocks::Q4_1),
    quantised(6, &blocks::Q5_0),
    quantised(7, &blocks::Q5_1),
    quantised(8, &blocks::Q8_0),
    quantised(10, &blocks::Q2_K),
    quantised(11, &blocks::Q3_K),
    quantised(12, &blocks::Q4_K),
    quantised(13, &blocks::Q5_K),
    quantised(14, &blocks::Q6_K),
    kind(16, Element::Other("IQ2_XXS"), 256, 66),
    kind(17, Element::Other("IQ2_XS"), 256, 74),
    kind(18, Element::Other("IQ3_XXS"), 256, 98),
    kind(19, Element::Other("IQ1_S"), 256, 50),
    kind(20, Element::Other("IQ4_NL"), 32, 18),
    kind(21, Element::Other("IQ3_S"), 256, 110),
    kind(22, Element::Other("IQ2_S"), 256, 82),
    kind(23, Element::Other("IQ4_XS"), 256, 136),
    kind(24, Element::I8, 1, 1),
    kind(25, Element::I16, 1, 2),
    kind(26, Element::I32, 1, 4),
    kind(27, Element::I64, 1, 8),
    kind(28, Element::F64, 1, 8),
    kind(29, Element::Other("IQ1_M"), 256, 56),
    kind(30, Element::BF16, 1, 2),
    kind(34, Element::Other("TQ1_0"), 256, 54),
    kind(35, Element::Other("TQ2_0"), 256, 66),
    kind(39, Element::Other("MXFP4"), 32, 17),
    kind(40, Element::Other("NVFP4"), 64, 36),
    kind(41, Element::Other("Q1_0"), 128, 18),
];
