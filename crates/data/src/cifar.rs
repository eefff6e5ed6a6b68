//! CIFAR-10 and CIFAR-100 in their binary version, unpacked or as the published archive.
//!
//! Krizhevsky 2009, *Learning Multiple Layers of Features from Tiny Images*: records of one label byte (CIFAR-10) or a
//! coarse and a fine one (CIFAR-100, of which the fine one counts here) and the 32 x 32 red, green and blue values.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use flate2::read::GzDecoder;

use crate::{
    Channels, DataError, ImageClasses, LabelledImages,
    bounded::{self, gzip_limit, read_declared},
    memory::PackedImages,
};

/// Pixels per row, and rows.
const SIDE: usize = 32;

/// Values of one colour.
const PLANE: usize = SIDE * SIDE;

/// Which of the two data sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cifar {
    /// 10 classes.
    Ten,
    /// 100 classes.
    Hundred,
}

impl Cifar {
    /// Both, in the order in which an unnamed folder is tried.
    pub(crate) const ALL: [Self; 2] = [Self::Ten, Self::Hundred];

    const fn classes(self) -> usize {
        match self {
            Self::Ten => 10,
            Self::Hundred => 100,
        }
    }

    const fn label_bytes(self) -> usize {
        match self {
            Self::Ten => 1,
            Self::Hundred => 2,
        }
    }

    /// Bytes per record.
    pub(crate) const fn record(self) -> usize {
        self.label_bytes() + 3 * PLANE
    }

    const fn archive(self) -> &'static str {
        match self {
            Self::Ten => "cifar-10-binary.tar.gz",
            Self::Hundred => "cifar-100-binary.tar.gz",
        }
    }

    /// The folder inside the archive.
    const fn folder(self) -> &'static str {
        match self {
            Self::Ten => "cifar-10-batches-bin",
            Self::Hundred => "cifar-100-binary",
        }
    }

    const fn train_files(self) -> &'static [&'static str] {
        match self {
            Self::Ten => &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
            ],
            Self::Hundred => &["train.bin"],
        }
    }

    const fn test_file(self) -> &'static str {
        match self {
            Self::Ten => "test_batch.bin",
            Self::Hundred => "test.bin",
        }
    }

    fn files(self) -> impl Iterator<Item = &'static str> {
        self.train_files().iter().copied().chain([self.test_file()])
    }
}

/// Opens the binary version in a folder: its files, the folder they are published in, or the published archive.
///
/// # Errors
/// When a file is missing, damaged or not made of records, and when a label has no class.
///
/// # Panics
/// If `classes` are not as many as the data set has.
pub fn open_cifar(
    name: &str,
    folder: &Path,
    cifar: Cifar,
    classes: &[&str],
) -> Result<ImageClasses, DataError> {
    assert_eq!(classes.len(), cifar.classes(), "class names of {name}");
    let mut batches = match locate(folder, cifar) {
        Some(Place::Files(folder)) => read_files(&folder, cifar)?,
        Some(Place::Archive(path)) => read_archive(&path, cifar)?,
        None => return Err(DataError::NothingInFolder { path: folder.to_owned() }),
    };
    let mut part = |files: &[&str]| {
        let batches = files.iter().filter_map(|&file| batches.remove(file));
        labelled(batches, cifar)
    };
    let train = part(cifar.train_files())?;
    let test = part(&[cifar.test_file()])?;
    ImageClasses::new(name, classes.iter().map(|&class| class.to_owned()).collect(), train, test)
}

/// Whether the folder holds the binary version.
pub(crate) fn is_cifar_folder(folder: &Path, cifar: Cifar) -> bool {
    locate(folder, cifar).is_some()
}

enum Place {
    Files(PathBuf),
    Archive(PathBuf),
}

fn locate(folder: &Path, cifar: Cifar) -> Option<Place> {
    for folder in [folder.to_owned(), folder.join(cifar.folder())] {
        if cifar.files().any(|file| folder.join(file).is_file()) {
            return Some(Place::Files(folder));
        }
    }
    let archive = folder.join(cifar.archive());
    archive.is_file().then_some(Place::Archive(archive))
}

/// The bytes of one published file, and where they come from.
struct Batch {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Published file name to content.
type Batches = BTreeMap<&'static str, Batch>;

fn read_files(folder: &Path, cifar: Cifar) -> Result<Batches, DataError> {
    let mut batches = Batches::new();
    for name in cifar.files() {
        let path = folder.join(name);
        let stored = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(DataError::MissingPart { missing: path, present: folder.to_owned() });
            }
            Err(error) => return Err(DataError::read(path)(error)),
        };
        let mut file = File::open(&path).map_err(DataError::read(&path))?;
        let bytes = read_declared(&mut file, &path, 0, stored, bounded::LIMIT)?;
        batches.insert(name, Batch { path, bytes });
    }
    Ok(batches)
}

fn read_archive(archive: &Path, cifar: Cifar) -> Result<Batches, DataError> {
    let stored = fs::metadata(archive).map_err(DataError::read(archive))?.len();
    let file = File::open(archive).map_err(DataError::read(archive))?;
    read_tar(GzDecoder::new(BufReader::with_capacity(1 << 16, file)), archive, gzip_limit(stored), cifar)
}

/// Reads the batches from an unpacked archive that holds at most `limit` bytes.
fn read_tar(reader: impl Read, archive: &Path, limit: u64, cifar: Cifar) -> Result<Batches, DataError> {
    let mut batches = Batches::new();
    for entry in tar::Archive::new(reader).entries().map_err(DataError::read(archive))? {
        let mut entry = entry.map_err(DataError::read(archive))?;
        let inside = entry.path().map_err(DataError::read(archive))?.into_owned();
        let Some(name) = cifar.files().find(|&file| inside.file_name().is_some_and(|found| found == file))
        else {
            continue;
        };
        let path = archive.join(&inside);
        let declared = entry.size();
        let bytes = read_declared(&mut entry, &path, 0, declared, limit)?;
        batches.insert(name, Batch { path, bytes });
    }
    match cifar.files().find(|file| !batches.contains_key(file)) {
        Some(missing) => Err(DataError::MissingPart {
            missing: archive.join(cifar.folder()).join(missing),
            present: archive.to_owned(),
        }),
        None => Ok(batches),
    }
}

fn labelled(batches: impl Iterator<Item = Batch>, cifar: Cifar) -> Result<LabelledImages, DataError> {
    let mut images = PackedImages {
        name: String::new(),
        width: SIDE,
        height: SIDE,
        channels: Channels::Rgb,
        pixels: Vec::new(),
        labels: Vec::new(),
    };
    for batch in batches {
        if images.name.is_empty() {
            images.name = batch.path.parent().unwrap_or(&batch.path).display().to_string();
        }
        append_records(&mut images, &batch.bytes, &batch.path, cifar)?;
    }
    Ok(LabelledImages { labels: images.labels.clone(), images: Arc::new(images) })
}

/// Appends the images of a file of records, their colours brought side by side.
pub(crate) fn append_records(
    images: &mut PackedImages,
    bytes: &[u8],
    path: &Path,
    cifar: Cifar,
) -> Result<(), DataError> {
    let (records, rest) = bytes.split_at(bytes.len() - bytes.len() % cifar.record());
    if !rest.is_empty() || records.is_empty() {
        return Err(DataError::CifarLength {
            path: path.to_owned(),
            bytes: bytes.len() as u64,
            record: cifar.record(),
        });
    }
    images.pixels.reserve(records.len() / cifar.record() * 3 * PLANE);
    for (index, record) in records.chunks_exact(cifar.record()).enumerate() {
        let (labels, planes) = record.split_at(cifar.label_bytes());
        let label = usize::from(labels[cifar.label_bytes() - 1]);
        if label >= cifar.classes() {
            return Err(DataError::LabelOutOfRange {
                path: path.to_owned(),
                index,
                label,
                classes: cifar.classes(),
            });
        }
        images.labels.push(label);
        let (red, rest) = planes.split_at(PLANE);
        let (green, blue) = rest.split_at(PLANE);
        images.pixels.extend((0..PLANE).flat_map(|pixel| [red[pixel], green[pixel], blue[pixel]]));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
