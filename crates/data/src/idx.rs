//! MNIST's IDX files, plain or gzipped: MNIST, Fashion-MNIST and all that copy their layout.
//!
//! LeCun, Cortes and Burges 1998, *The MNIST database of handwritten digits*: big-endian header (magic number, number of
//! items, for images rows and columns), then one byte per pixel or label. Whether a file is gzipped is read from its
//! first bytes, not from its name.

use std::{
    fs::{self, File},
    io::{BufReader, Read, Seek},
    path::{Path, PathBuf},
    sync::Arc,
};

use flate2::read::MultiGzDecoder;

use crate::{
    Channels, DataError, ImageClasses, LabelledImages,
    bounded::{self, expect_end, gzip_limit, read_declared},
    memory::PackedImages,
};

const IMAGES_MAGIC: u32 = 0x803;
const LABELS_MAGIC: u32 = 0x801;

/// Opens the four files of a folder in MNIST's layout.
///
/// Without `classes`, they are the numbers from 0 to the largest training label.
///
/// # Errors
/// When a file is missing, damaged, or not of its kind, when images and labels don't belong together, and when a label
/// has no class.
pub fn open_idx(name: &str, folder: &Path, classes: Option<&[&str]>) -> Result<ImageClasses, DataError> {
    let train = Part::find(folder, "train")?;
    let test = Part::find(folder, "t10k")?;
    let (Some(train), Some(test)) = (train, test) else {
        return Err(DataError::NothingInFolder { path: folder.to_owned() });
    };
    let classes: Vec<String> = match classes {
        Some(names) => names.iter().map(|&class| class.to_owned()).collect(),
        None => {
            let largest = read_labels(&train.labels)?.into_iter().max();
            (0..largest.map_or(0, |label| usize::from(label) + 1)).map(|label| label.to_string()).collect()
        }
    };
    let train = train.read(classes.len())?;
    let test = test.read(classes.len())?;
    ImageClasses::new(name, classes, train, test)
}

/// Whether the folder has at least one file of the layout.
pub(crate) fn is_idx_folder(folder: &Path) -> bool {
    ["train", "t10k"].iter().any(|part| !matches!(Part::find(folder, part), Ok(None)))
}

/// The two files of the training or the test part.
struct Part {
    images: PathBuf,
    labels: PathBuf,
}

impl Part {
    /// The files of a part, under the names that are in use; nothing when neither is there.
    fn find(folder: &Path, part: &str) -> Result<Option<Self>, DataError> {
        let find = |kind: &str| {
            let spellings =
                [format!("{part}-{kind}-ubyte"), format!("{part}-{}-ubyte", kind.replace('-', "."))];
            let packed = spellings.iter().map(|name| format!("{name}.gz"));
            let mut paths = spellings.iter().cloned().chain(packed).map(|name| folder.join(name));
            paths.find(|path| path.is_file())
        };
        match (find("images-idx3"), find("labels-idx1")) {
            (Some(images), Some(labels)) => Ok(Some(Self { images, labels })),
            (None, None) => Ok(None),
            (Some(present), None) => Err(DataError::MissingPart {
                missing: folder.join(format!("{part}-labels-idx1-ubyte.gz")),
                present,
            }),
            (None, Some(present)) => Err(DataError::MissingPart {
                missing: folder.join(format!("{part}-images-idx3-ubyte.gz")),
                present,
            }),
        }
    }

    fn read(&self, classes: usize) -> Result<LabelledImages, DataError> {
        let labels = read_labels(&self.labels)?;
        let images = read_images(&self.images)?;
        let images = with_labels(images, &self.images, labels, &self.labels, classes)?;
        Ok(LabelledImages { labels: images.labels.clone(), images: Arc::new(images) })
    }
}

/// The pixels of an IDX file of images.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct IdxImages {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) count: usize,
    pub(crate) pixels: Vec<u8>,
}

/// Puts images and labels together.
pub(crate) fn with_labels(
    images: IdxImages,
    images_path: &Path,
    labels: Vec<u8>,
    labels_path: &Path,
    classes: usize,
) -> Result<PackedImages, DataError> {
    if images.count != labels.len() {
        return Err(DataError::CountMismatch {
            images_path: images_path.to_owned(),
            images: images.count,
            labels_path: labels_path.to_owned(),
            labels: labels.len(),
        });
    }
    let labels: Vec<usize> = labels.into_iter().map(usize::from).collect();
    if let Some(index) = labels.iter().position(|&label| label >= classes) {
        return Err(DataError::LabelOutOfRange {
            path: labels_path.to_owned(),
            index,
            label: labels[index],
            classes,
        });
    }
    Ok(PackedImages {
        name: images_path.display().to_string(),
        width: images.width,
        height: images.height,
        channels: Channels::Grey,
        pixels: images.pixels,
        labels,
    })
}

fn read_images(path: &Path) -> Result<IdxImages, DataError> {
    let mut file = open(path)?;
    parse_images(&mut file.reader, path, file.limit)
}

fn read_labels(path: &Path) -> Result<Vec<u8>, DataError> {
    let mut file = open(path)?;
    parse_labels(&mut file.reader, path, file.limit)
}

/// A file, unpacked as it is read, and the most bytes that are taken from it.
struct Opened {
    reader: Box<dyn Read>,
    limit: u64,
}

fn open(path: &Path) -> Result<Opened, DataError> {
    let stored = fs::metadata(path).map_err(DataError::read(path))?.len();
    let mut file = File::open(path).map_err(DataError::read(path))?;
    let mut start = Vec::new();
    file.by_ref().take(2).read_to_end(&mut start).map_err(DataError::read(path))?;
    file.rewind().map_err(DataError::read(path))?;
    let file = BufReader::with_capacity(1 << 16, file);
    Ok(if start == [0x1f, 0x8b] {
        Opened { reader: Box::new(MultiGzDecoder::new(file)), limit: gzip_limit(stored) }
    } else {
        Opened { reader: Box::new(file), limit: bounded::LIMIT }
    })
}

/// Reads images from the unpacked content of a file, at most `limit` bytes of them.
pub(crate) fn parse_images(reader: &mut impl Read, path: &Path, limit: u64) -> Result<IdxImages, DataError> {
    let [count, height, width] = header(reader, path, "images", IMAGES_MAGIC)?;
    if width == 0 || height == 0 {
        return Err(DataError::ImageSize { path: path.to_owned(), width, height });
    }
    // Three 32-bit numbers can exceed 64 bits; whatever does is refused as too large.
    let declared = count.saturating_mul(height).saturating_mul(width);
    let pixels = read_declared(reader, path, 16, declared, limit)?;
    expect_end(reader, path, 16 + declared)?;
    Ok(IdxImages { width: width as usize, height: height as usize, count: count as usize, pixels })
}

/// Reads labels from the unpacked content of a file, at most `limit` of them.
pub(crate) fn parse_labels(reader: &mut impl Read, path: &Path, limit: u64) -> Result<Vec<u8>, DataError> {
    let [count] = header(reader, path, "labels", LABELS_MAGIC)?;
    let labels = read_declared(reader, path, 8, count, limit)?;
    expect_end(reader, path, 8 + count)?;
    Ok(labels)
}

/// The magic number, which is checked, and the `N` sizes that follow it.
fn header<const N: usize>(
    reader: &mut impl Read,
    path: &Path,
    kind: &'static str,
    expected: u32,
) -> Result<[u64; N], DataError> {
    let bytes = read_declared(reader, path, 0, 4, u64::MAX)?;
    let found = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    if found != expected {
        return Err(DataError::IdxMagic { path: path.to_owned(), kind, found, expected });
    }
    let bytes = read_declared(reader, path, 4, 4 * N as u64, u64::MAX)?;
    let words = bytes.as_chunks::<4>().0;
    Ok(std::array::from_fn(|axis| u64::from(u32::from_be_bytes(words[axis]))))
}

#[cfg(test)]
mod tests;
