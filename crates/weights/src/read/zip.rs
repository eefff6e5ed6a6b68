//! The directory of a ZIP archive, as PyTorch and NumPy write them.
//!
//! Format: PKWARE's APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.14 to 4.3.16 (end of it), with
//! the 64-bit fields. Neither encryption nor several disks nor methods other than "stored" and "deflated" are read. It is
//! read here rather than by the `zip` crate because entries have to be found at positions in the file and because that
//! crate believes what a directory says of sizes; inflating is `flate2`'s work.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::WeightsError;
use crate::read::MAX_TENSORS;
use crate::read::data::{Data, Packed, Packing};
use crate::read::format::FileFormat;
use crate::read::source::Source;

/// The entries of an archive, by name.
pub(crate) struct Archive {
    source: Arc<Source>,
    entries: BTreeMap<String, Entry>,
}

struct Entry {
    /// Where its local header is in the file.
    header: u64,
    /// Where the next header, or the directory, begins.
    end: u64,
    /// Bytes in the file, and unpacked.
    packed: u64,
    length: u64,
    crc: u32,
    is_deflated: bool,
}

/// Deflate can't shrink anything by more than this factor (258 bytes from two bits), beside the end of a block.
const MAX_DEFLATE: u64 = 1032;

const LOCAL: u32 = 0x0403_4b50;
const DIRECTORY: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;

/// The lengths of their fixed parts.
const LOCAL_SIZE: u64 = 30;
const DIRECTORY_SIZE: u64 = 46;
const END_SIZE: u64 = 22;
const END_64_SIZE: u64 = 56;
const LOCATOR_64_SIZE: u64 = 20;

/// Where the directory is.
struct Directory {
    start: u64,
    size: u64,
    entries: u64,
}

impl Archive {
    /// Reads the directory, and checks that every entry lies within the file and overlaps no other.
    pub(crate) fn open(source: &Arc<Source>) -> Result<Self, WeightsError> {
        let directory = find_directory(source)?;
        let mut bytes = vec![0; directory.size as usize];
        source.read_at(directory.start, &mut bytes)?;

        let mut entries = BTreeMap::new();
        let mut rest = bytes.as_slice();
        for _ in 0..directory.entries {
            let (name, entry) = entry(source, &mut rest)?;
            if entries.insert(name.clone(), entry).is_some() {
                return Err(damaged(source, format!("entry `{name}` occurs twice")));
            }
        }
        if !rest.is_empty() {
            let reason = format!("{} bytes of its directory belong to no entry", rest.len());
            return Err(damaged(source, reason));
        }

        let mut by_position: Vec<(&String, &mut Entry)> = entries.iter_mut().collect();
        by_position.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.header));
        let mut end = directory.start;
        for (name, entry) in by_position {
            entry.end = end;
            let least = entry.header.saturating_add(LOCAL_SIZE).saturating_add(entry.packed);
            if least > end {
                return Err(damaged(source, format!("entry `{name}` reaches into what follows it")));
            }
            end = entry.header;
        }
        Ok(Self { source: Arc::clone(source), entries })
    }

    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Where the bytes of an entry are. `None` if there is none of this name.
    pub(crate) fn data(&self, name: &str, format: FileFormat) -> Result<Option<Data>, WeightsError> {
        let Some(entry) = self.entries.get(name) else {
            return Ok(None);
        };
        let mut header = [0; LOCAL_SIZE as usize];
        self.source.read_at(entry.header, &mut header)?;
        let mut fields = header.as_slice();
        let wrong = |what: &str| damaged(&self.source, format!("entry `{name}`: {what}"));
        if u32_of(&mut fields) != Some(LOCAL) {
            return Err(wrong("there is no header where the directory says"));
        }
        fields = &header[26..];
        let lengths = u16_of(&mut fields).zip(u16_of(&mut fields));
        let (name_length, extra_length) = lengths.ok_or_else(|| wrong("its header is cut off"))?;
        let start = entry.header + LOCAL_SIZE + u64::from(name_length) + u64::from(extra_length);
        if start.saturating_add(entry.packed) > entry.end {
            return Err(wrong("it reaches into what follows it"));
        }
        let mut own_name = vec![0; usize::from(name_length)];
        self.source.read_at(entry.header + LOCAL_SIZE, &mut own_name)?;
        if own_name != name.as_bytes() {
            return Err(wrong("its header has another name than the directory"));
        }
        let packing = match entry.is_deflated {
            true => Packing::Deflated { length: entry.packed },
            false => Packing::Stored,
        };
        // PyTorch writes 0 when it is told to leave checksums out.
        let crc = (entry.crc != 0).then_some(entry.crc);
        let packed = Packed { name: name.to_owned(), format, packing, crc };
        Ok(Some(Data {
            source: Arc::clone(&self.source),
            start,
            length: entry.length,
            lead: 0,
            entry: Some(Arc::new(packed)),
        }))
    }
}

fn damaged(source: &Source, reason: String) -> WeightsError {
    WeightsError::Malformed { path: source.path().to_owned(), format: FileFormat::Zip, reason }
}

fn find_directory(source: &Source) -> Result<Directory, WeightsError> {
    // It stands at the end of the file, before a comment of at most 65535 bytes.
    let length = source.length();
    let tail_length = length.min(END_SIZE + 0xffff);
    let tail_start = length - tail_length;
    let mut tail = vec![0; tail_length as usize];
    source.read_at(tail_start, &mut tail)?;
    let is_end = |at: &usize| {
        let mut fields = &tail[*at..];
        let comment = tail.get(*at + 20..*at + 22).map_or(0, |size| u16::from_le_bytes([size[0], size[1]]));
        u32_of(&mut fields) == Some(END) && *at + END_SIZE as usize + usize::from(comment) == tail.len()
    };
    let last = tail.len().saturating_sub(END_SIZE as usize);
    let at = (0..=last).rev().find(is_end).ok_or_else(|| {
        damaged(source, "its directory is missing at the end: it is cut off; fetch or copy it again".into())
    })?;
    let wrong = |reason: &str| damaged(source, reason.to_owned());
    let cut_off = || wrong("the end of its directory is cut off");
    let mut fields = &tail[at + 4..];
    let end = tail_start + at as u64;

    let (disk, first_disk) = u16_of(&mut fields).zip(u16_of(&mut fields)).ok_or_else(cut_off)?;
    let (here, all) = u16_of(&mut fields).zip(u16_of(&mut fields)).ok_or_else(cut_off)?;
    let (size, start) = u32_of(&mut fields).zip(u32_of(&mut fields)).ok_or_else(cut_off)?;
    let mut directory = Directory { start: start.into(), size: size.into(), entries: all.into() };
    let mut limit = end;

    let locator = end.checked_sub(LOCATOR_64_SIZE);
    let mut bytes = [0; LOCATOR_64_SIZE as usize];
    if let Some(locator) = locator {
        source.read_at(locator, &mut bytes)?;
    }
    let mut fields = bytes.as_slice();
    if locator.is_some() && u32_of(&mut fields) == Some(LOCATOR_64) {
        let _disk = u32_of(&mut fields);
        let at = u64_of(&mut fields).ok_or_else(cut_off)?;
        if at.saturating_add(END_64_SIZE) > end {
            return Err(wrong("the end of its directory is said to lie beyond the file"));
        }
        let mut bytes = [0; END_64_SIZE as usize];
        source.read_at(at, &mut bytes)?;
        let mut fields = bytes.as_slice();
        if u32_of(&mut fields) != Some(END_64) {
            return Err(wrong("the end of its directory isn't where it says"));
        }
        fields = &bytes[32..];
        let entries = u64_of(&mut fields).ok_or_else(cut_off)?;
        let size = u64_of(&mut fields).ok_or_else(cut_off)?;
        let start = u64_of(&mut fields).ok_or_else(cut_off)?;
        directory = Directory { start, size, entries };
        limit = at;
    } else if disk != 0 || first_disk != 0 || here != all {
        return Err(wrong("it is one of several disks"));
    }
    if directory.start.checked_add(directory.size).is_none_or(|end| end > limit) {
        return Err(wrong("its directory is said to lie beyond the file"));
    }
    if directory.entries > MAX_TENSORS as u64 {
        return Err(WeightsError::TooLarge {
            path: source.path().to_owned(),
            what: "the number of its entries".into(),
            claimed: directory.entries,
            limit: MAX_TENSORS as u64,
        });
    }
    if directory.entries > directory.size / DIRECTORY_SIZE {
        let Directory { size, entries, .. } = directory;
        return Err(damaged(source, format!("{entries} entries can't be in a directory of {size} bytes")));
    }
    Ok(directory)
}

/// Takes one entry off the directory. Its `end` isn't known yet.
fn entry(source: &Source, rest: &mut &[u8]) -> Result<(String, Entry), WeightsError> {
    let cut_off = || damaged(source, "its directory is cut off".into());
    let fixed = take(rest, DIRECTORY_SIZE as usize).ok_or_else(cut_off)?;
    let mut fields = fixed;
    if u32_of(&mut fields) != Some(DIRECTORY) {
        return Err(damaged(source, "its directory has something else than entries".into()));
    }
    fields = &fixed[8..];
    let (flags, method) = u16_of(&mut fields).zip(u16_of(&mut fields)).ok_or_else(cut_off)?;
    fields = &fixed[16..];
    let crc = u32_of(&mut fields).ok_or_else(cut_off)?;
    let (packed, length) = u32_of(&mut fields).zip(u32_of(&mut fields)).ok_or_else(cut_off)?;
    let mut lengths = || u16_of(&mut fields).map(usize::from);
    let (name, extra, comment) = match (lengths(), lengths(), lengths()) {
        (Some(name), Some(extra), Some(comment)) => (name, extra, comment),
        _ => return Err(cut_off()),
    };
    fields = &fixed[42..];
    let header = u32_of(&mut fields).ok_or_else(cut_off)?;
    let name = take(rest, name).ok_or_else(cut_off)?;
    let extra = take(rest, extra).ok_or_else(cut_off)?;
    take(rest, comment).ok_or_else(cut_off)?;

    let name = std::str::from_utf8(name)
        .map_err(|_| damaged(source, format!("an entry's name isn't UTF-8: {}", name.escape_ascii())))?
        .to_owned();
    let wrong = |reason: String| damaged(source, format!("entry `{name}`: {reason}"));
    let mut entry = Entry {
        header: header.into(),
        end: 0,
        packed: packed.into(),
        length: length.into(),
        crc,
        is_deflated: method == 8,
    };
    widen(&mut entry, extra).ok_or_else(|| wrong("its 64-bit sizes are missing".into()))?;

    if flags & 1 != 0 {
        return Err(wrong("it is encrypted".into()));
    }
    match method {
        0 if entry.packed != entry.length => {
            let Entry { packed, length, .. } = entry;
            return Err(wrong(format!("it is stored as it is, but in {packed} bytes rather than {length}")));
        }
        8 if entry.length > entry.packed.saturating_mul(MAX_DEFLATE).saturating_add(MAX_DEFLATE) => {
            return Err(WeightsError::TooLarge {
                path: source.path().to_owned(),
                what: format!("entry `{name}`, unpacked,"),
                claimed: entry.length,
                limit: entry.packed.saturating_mul(MAX_DEFLATE).saturating_add(MAX_DEFLATE),
            });
        }
        0 | 8 => {}
        method => {
            return Err(wrong(format!("its compression method, {method}, is neither stored nor deflated")));
        }
    }
    Ok((name, entry))
}

/// Puts in the 64-bit sizes from the extra fields, for those that have all bits set. `None` if they aren't there.
fn widen(entry: &mut Entry, mut extra: &[u8]) -> Option<()> {
    let mut wide: &[u8] = &[];
    while let Some((kind, size)) = u16_of(&mut extra).zip(u16_of(&mut extra)) {
        let field = take(&mut extra, size.into())?;
        if kind == 1 {
            wide = field;
        }
    }
    for size in [&mut entry.length, &mut entry.packed, &mut entry.header] {
        if *size == u64::from(u32::MAX) {
            *size = u64_of(&mut wide)?;
        }
    }
    Some(())
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

fn u16_of(fields: &mut &[u8]) -> Option<u16> {
    Some(u16::from_le_bytes(take(fields, 2)?.try_into().ok()?))
}

fn u32_of(fields: &mut &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(take(fields, 4)?.try_into().ok()?))
}

fn u64_of(fields: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(take(fields, 8)?.try_into().ok()?))
}
