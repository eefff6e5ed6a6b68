//! NumPy's `.npy` and `.npz`.
//!
//! Format: `numpy.lib.format`, versions 1.0 to 3.0. A file begins with a magic number and a header that is a Python
//! dictionary; only the dictionary that NumPy writes is understood, by a parser of its own. An `.npz` is a ZIP archive of
//! such files, whose names without `.npy` are the names of the tensors.

use std::sync::Arc;

use crate::error::WeightsError;
use crate::read::Contents;
use crate::read::data::Data;
use crate::read::element::{ByteOrder, Element, element_count};
use crate::read::format::FileFormat;
use crate::read::source::Source;
use crate::read::tensor::{Located, View};
use crate::read::zip::Archive;

/// Longest header that is read, in bytes. NumPy's own limit, unless told otherwise, is 10000.
const MAX_HEADER: u64 = 1 << 16;

/// Most dimensions, as in NumPy.
const MAX_RANK: usize = 64;

/// Whether all entries are arrays.
pub(crate) fn is_npz(archive: &Archive) -> bool {
    archive.names().all(|name| name.ends_with(".npy"))
}

/// The arrays of an archive.
pub(crate) fn npz(archive: &Archive) -> Result<Contents, WeightsError> {
    let mut contents = Contents::default();
    for entry in archive.names() {
        let name = entry.strip_suffix(".npy").unwrap_or(entry);
        if let Some(data) = archive.data(entry, FileFormat::Npz)? {
            contents.tensors.insert(name.to_owned(), array(data, name, FileFormat::Npz)?);
        }
    }
    Ok(contents)
}

/// A single array, which is named after its file.
pub(crate) fn npy(source: &Arc<Source>) -> Result<Contents, WeightsError> {
    let name = source.path().file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let data = Data::plain(source, 0, source.length());
    let mut contents = Contents::default();
    contents.tensors.insert(name.clone(), array(data, &name, FileFormat::Npy)?);
    Ok(contents)
}

fn array(mut data: Data, name: &str, format: FileFormat) -> Result<Located, WeightsError> {
    let path = data.source.path().to_owned();
    let bad =
        |reason: String| WeightsError::BadTensor { path: path.clone(), tensor: name.to_owned(), reason };
    let mut reader = data.reader();
    let mut start = [0; 12];
    let known = if reader.left() < 12 { 10 } else { 12 };
    if reader.left() < 10 {
        return Err(bad(format!("it has {} bytes, less than the header of an array", reader.left())));
    }
    reader.read(&mut start[..known])?;
    if !start.starts_with(b"\x93NUMPY") {
        return Err(bad("it doesn't begin as an array does".into()));
    }
    let (before, size) = match start[6] {
        1 => (10, u64::from(u16::from_le_bytes([start[8], start[9]]))),
        2 | 3 if known == 12 => {
            (12, u64::from(u32::from_le_bytes([start[8], start[9], start[10], start[11]])))
        }
        2 | 3 => return Err(bad("its header is cut off".into())),
        version => return Err(bad(format!("version {version} of the array format isn't read"))),
    };
    if size > MAX_HEADER || before + size > data.length {
        let limit = MAX_HEADER.min(data.length - before);
        return Err(WeightsError::TooLarge {
            path,
            what: format!("the header of `{name}`"),
            claimed: size,
            limit,
        });
    }
    let mut header = start[before as usize..known].to_vec();
    header.truncate(size as usize);
    let already = header.len();
    header.resize(size as usize, 0);
    reader.read(&mut header[already..])?;
    drop(reader);
    let header = std::str::from_utf8(&header).map_err(|_| bad("its header isn't text".into()))?;
    let Header { descr, is_fortran, shape } = Header::parse(header)
        .ok_or_else(|| bad(format!("its header isn't understood: {}", header.trim_end())))?;

    let (element, order, item) = element_of(&descr).ok_or_else(|| {
        bad(format!(
            "its elements are `{descr}`; only numbers, booleans and text of fixed size can be in a checkpoint"
        ))
    })?;
    let count = element_count(&shape).ok_or_else(|| bad(format!("its shape {shape:?} is too large")))?;
    let expected = (count as u64)
        .checked_mul(item)
        .and_then(|size_of_data| size_of_data.checked_add(before + size))
        .ok_or_else(|| bad(format!("its shape {shape:?} is too large")))?;
    if expected != data.length {
        return Err(match format {
            FileFormat::Npy if expected > data.length => {
                WeightsError::Truncated { path, expected, found: data.length }
            }
            _ => bad(format!(
                "its shape {shape:?} of `{descr}` needs {expected} bytes, it has {}",
                data.length
            )),
        });
    }
    let view = if is_fortran && shape.len() > 1 {
        let mut strides = vec![1_usize; shape.len()];
        for index in 1..shape.len() {
            strides[index] = strides[index - 1].saturating_mul(shape[index - 1]);
        }
        View::new(&shape, &strides, 0, count as u64, data.length).map_err(&bad)?
    } else {
        View::Contiguous { first: 0 }
    };
    data.lead = before + size;
    Ok(Located { shape, element, order, data, view })
}

/// What the dictionary says.
struct Header {
    descr: String,
    is_fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }` and nothing else.
    fn parse(text: &str) -> Option<Self> {
        let (mut descr, mut is_fortran, mut shape) = (None, None, None);
        let mut rest = Text(text.trim());
        rest.expect("{")?;
        while !rest.accept("}") {
            let is_twice = match rest.quoted()? {
                "descr" => {
                    rest.expect(":")?;
                    descr.replace(rest.quoted()?.to_owned()).is_some()
                }
                "fortran_order" => {
                    rest.expect(":")?;
                    is_fortran.replace(rest.boolean()?).is_some()
                }
                "shape" => {
                    rest.expect(":")?;
                    shape.replace(rest.tuple()?).is_some()
                }
                _ => return None,
            };
            if is_twice {
                return None;
            }
            if !rest.accept(",") {
                rest.expect("}")?;
                break;
            }
        }
        rest.0.is_empty().then_some(())?;
        Some(Self { descr: descr?, is_fortran: is_fortran?, shape: shape? })
    }
}

/// What is left to parse.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn accept(&mut self, token: &str) -> bool {
        match self.0.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Option<()> {
        self.accept(token).then_some(())
    }

    fn quoted(&mut self) -> Option<&'a str> {
        let quote = if self.accept("'") { '\'' } else { self.accept("\"").then_some('"')? };
        let (text, rest) = self.0.split_once(quote)?;
        (!text.contains('\\')).then_some(())?;
        self.0 = rest;
        Some(text)
    }

    fn boolean(&mut self) -> Option<bool> {
        if self.accept("True") { Some(true) } else { self.accept("False").then_some(false) }
    }

    fn tuple(&mut self) -> Option<Vec<usize>> {
        let mut numbers = Vec::new();
        self.expect("(")?;
        while !self.accept(")") {
            let text = self.0.trim_start();
            let digits = text.find(|c: char| !c.is_ascii_digit())?;
            numbers.push(text[..digits].parse().ok()?);
            // NumPy on Python 2 wrote long numbers as `3L`.
            self.0 = text[digits..].strip_prefix('L').unwrap_or(&text[digits..]);
            if numbers.len() > MAX_RANK {
                return None;
            }
            if !self.accept(",") {
                self.expect(")")?;
                break;
            }
        }
        Some(numbers)
    }
}

/// The element type, byte order and bytes of an item, of a description such as `<f4`.
fn element_of(descr: &str) -> Option<(Element, ByteOrder, u64)> {
    let mut rest = descr.chars();
    let order = match rest.next()? {
        '<' | '|' => ByteOrder::Little,
        '>' => ByteOrder::Big,
        '=' if cfg!(target_endian = "little") => ByteOrder::Little,
        '=' => ByteOrder::Big,
        _ => return None,
    };
    let (kind, size) = rest.as_str().split_at_checked(1)?;
    // `M8[ns]` has a unit.
    let size = size.split('[').next()?;
    let size: u64 = size.parse().ok()?;
    let (element, item) = match (kind, size) {
        ("f", 8) => (Element::F64, 8),
        ("f", 4) => (Element::F32, 4),
        ("f", 2) => (Element::F16, 2),
        ("i", 8) => (Element::I64, 8),
        ("i", 4) => (Element::I32, 4),
        ("i", 2) => (Element::I16, 2),
        ("i", 1) => (Element::I8, 1),
        ("u", 8) => (Element::U64, 8),
        ("u", 4) => (Element::U32, 4),
        ("u", 2) => (Element::U16, 2),
        ("u", 1) => (Element::U8, 1),
        ("b", 1) => (Element::Bool, 1),
        ("f", size) => (Element::Other("a long floating-point type"), size),
        ("c", size) => (Element::Other("complex"), size),
        ("U", size) => (Element::Other("text"), size.checked_mul(4)?),
        ("S" | "a", size) => (Element::Other("bytes"), size),
        ("V", size) => (Element::Other("raw"), size),
        ("M" | "m", size) => (Element::Other("time"), size),
        _ => return None,
    };
    Some((element, order, item))
}
