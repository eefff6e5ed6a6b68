//! What can go wrong between a name or a folder and a batch.

use std::{io, path::PathBuf};

use crate::{DecodeError, TextError, TransformError};

/// Why data can't be opened, read or fetched.
///
/// Each message is one line that names the file, folder or value and, where the reader can do something, says what. The
/// underlying cause is left to [`source`](std::error::Error::source), so that a report that prints the chain says
/// nothing twice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The data directory is missing.
    #[error(
        "data directory {} does not exist: `libellus data fetch {name}` creates it, or name another with --data-dir or \
         LIBELLUS_DATA",
        path.display()
    )]
    NoDataDirectory {
        /// The directory.
        path: PathBuf,
        /// The data set that was looked for.
        name: &'static str,
    },
    /// The data directory holds nothing for a known data set.
    #[error(
        "{} holds no data set {name}: get it with `libellus data fetch {name}`, or name another directory with --data-dir \
         or LIBELLUS_DATA",
        directory.display()
    )]
    NotFetched {
        /// The data set.
        name: &'static str,
        /// The data directory.
        directory: PathBuf,
    },
    /// A name that is neither a known data set nor a folder.
    #[error("no data set or folder {name:?}: the known data sets are {}, anything else is read as a folder", known.join(", "))]
    UnknownDataset {
        /// The name as given.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// A folder of images that is missing.
    #[error("folder {} does not exist", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A folder in which no layout is recognised.
    #[error(
        "{} holds no data set: it needs a folder of images per class, IDX files, or CIFAR binary batches",
        path.display()
    )]
    NothingInFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A published layout of which a part is missing.
    #[error("{} is missing, but {} is there: both are needed", missing.display(), present.display())]
    MissingPart {
        /// The file that is not there.
        missing: PathBuf,
        /// The file that belongs to it.
        present: PathBuf,
    },
    /// A class without images.
    #[error("class folder {} holds no image: fill it or remove it", path.display())]
    EmptyClass {
        /// The folder of the class.
        path: PathBuf,
    },
    /// Nothing to tell apart.
    #[error("data set {name} has {found} class(es): classification needs at least two")]
    TooFewClasses {
        /// The data set.
        name: String,
        /// How many classes there are.
        found: usize,
    },
    /// A class that is in the test or the validation part, but not in the training part.
    #[error("{} has no counterpart among the training classes in {}", path.display(), train.display())]
    UnknownClass {
        /// The class folder of that part.
        path: PathBuf,
        /// The training folder.
        train: PathBuf,
    },
    /// A part without samples.
    #[error("data set {name} has no {part} images")]
    EmptyPart {
        /// The data set.
        name: String,
        /// `training`, `test` or `validation`.
        part: &'static str,
    },
    /// A label beyond the classes.
    #[error("label {label} of sample {index} in {} is out of range: there are {classes} classes, from 0", path.display())]
    LabelOutOfRange {
        /// The file.
        path: PathBuf,
        /// The sample, counted from 0.
        index: usize,
        /// The label found.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A file that doesn't begin as an IDX file of its kind.
    #[error("{} is not an IDX file of {kind}: it begins with {found:#010x} instead of {expected:#010x}", path.display())]
    IdxMagic {
        /// The file.
        path: PathBuf,
        /// `images` or `labels`.
        kind: &'static str,
        /// The first four bytes.
        found: u32,
        /// What they should be.
        expected: u32,
    },
    /// A size in a header that can't be meant.
    #[error("{} declares images of {width} x {height} pixels, which is not a size for images", path.display())]
    ImageSize {
        /// The file.
        path: PathBuf,
        /// Declared pixels per row.
        width: u64,
        /// Declared rows.
        height: u64,
    },
    /// A file shorter than its header says, or cut inside a record.
    #[error("{} is cut short: {expected} bytes are declared, {found} are there; fetch or copy it again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes the file should have, unpacked.
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
    /// A file longer than its header says.
    #[error("{} goes on after the {expected} bytes that it declares: it is damaged or something else", path.display())]
    TrailingBytes {
        /// The file.
        path: PathBuf,
        /// Bytes the file should have, unpacked.
        expected: u64,
    },
    /// A file that asks for more memory than it can justify.
    #[error("{} declares {declared} bytes of data, more than the {limit} that a file like it may have", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes declared.
        declared: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// Images and labels that don't belong together.
    #[error("{} holds {images} images, but {} holds {labels} labels", images_path.display(), labels_path.display())]
    CountMismatch {
        /// The file of images.
        images_path: PathBuf,
        /// How many it holds.
        images: usize,
        /// The file of labels.
        labels_path: PathBuf,
        /// How many it holds.
        labels: usize,
    },
    /// A file of CIFAR records whose length is not a whole number of them.
    #[error("{} is not a file of CIFAR records: {bytes} bytes are not a multiple of {record}", path.display())]
    CifarLength {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// Bytes per record.
        record: usize,
    },
    /// A file or folder that can't be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file or folder that can't be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// An image that can't be decoded.
    #[error("cannot decode {}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// Preprocessing that doesn't fit.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// A text, a tokeniser or a file of tokens that can't be used.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A sample that can't be prepared.
    #[error("cannot prepare {what}")]
    Sample {
        /// The sample, as its data set describes it.
        what: String,
        /// Why.
        #[source]
        source: Box<DataError>,
    },
    /// Images of different sizes in one batch.
    #[error(
        "a batch holds images of {first:?} and of {other:?} (channels, height, width): resize or crop them to one size"
    )]
    MixedSizes {
        /// Shape of the first image.
        first: [usize; 3],
        /// Another shape.
        other: [usize; 3],
    },
    /// A part that can't be held out.
    #[error("a test fraction of {fraction} is not between 0 and 1")]
    TestFraction {
        /// The fraction as given.
        fraction: f64,
    },
    /// A size of batches that isn't one.
    #[error("batch size {value:?} is neither a positive number nor `full`")]
    BatchSize {
        /// The value as given.
        value: String,
    },
    /// An epoch without batches.
    #[error(
        "{samples} samples make no full batch of {batch_size}: use smaller batches, or keep the last one"
    )]
    NoFullBatch {
        /// Number of samples.
        samples: usize,
        /// Samples per batch.
        batch_size: usize,
    },
    /// A data set without samples, given to a loader.
    #[error("the data set is empty")]
    EmptyDataset,
    /// A bug in a data set or transform, caught in a worker.
    #[error("preparing {what} panicked: {message}")]
    Panicked {
        /// The sample, as its data set describes it, or the batch.
        what: String,
        /// The panic's message.
        message: String,
    },
    /// Threads that can't be had.
    #[error("cannot start a worker thread: use fewer workers")]
    Spawn {
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A data set that is part of the program.
    #[error("data set {name} is embedded in the program: there is nothing to fetch")]
    NothingToFetch {
        /// The data set.
        name: &'static str,
    },
    /// A server that can't be reached.
    #[error("cannot reach {address}: check the network connection and try again")]
    Unreachable {
        /// The address asked for.
        address: String,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A server that doesn't give the file.
    #[error("{address} answers with status {status}: the file may have moved")]
    Status {
        /// The address asked for.
        address: String,
        /// The HTTP status.
        status: u16,
    },
    /// A download that broke off.
    #[error(
        "the download of {address} broke off at {received} of {size} bytes: try again to go on from there"
    )]
    BrokeOff {
        /// The address.
        address: String,
        /// Bytes on the disk now.
        received: u64,
        /// Bytes of the whole file.
        size: u64,
    },
    /// A download that is not the published file.
    #[error(
        "what {address} sent is not the published file and was discarded: its sha256 is {found} instead of {expected}"
    )]
    Checksum {
        /// The address.
        address: String,
        /// The published sum, in hexadecimal.
        expected: &'static str,
        /// The sum of what came.
        found: String,
    },
    /// A download of another size than the published file.
    #[error("what {address} sends is not the published file: it has {found} bytes instead of {expected}")]
    DownloadSize {
        /// The address.
        address: String,
        /// The published size.
        expected: u64,
        /// The size announced, or reached.
        found: u64,
    },
    /// A file that is in the place of a download but isn't it.
    #[error(
        "{} is there but is not the published file (sha256 {found} instead of {expected}): move it away to fetch it again",
        path.display()
    )]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// The published sum, in hexadecimal.
        expected: &'static str,
        /// The sum of what is there.
        found: String,
    },
}

impl DataError {
    /// `cannot read PATH`, to be given to `map_err`.
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read { path: path.into(), source }
    }

    /// `cannot write PATH`, to be given to `map_err`.
    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write { path: path.into(), source }
    }
}
