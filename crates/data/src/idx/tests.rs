use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// An IDX file of bytes.
fn idx(magic: u32, sizes: &[u32], bytes: &[u8]) -> Vec<u8> {
    let words = [&[magic], sizes].concat();
    words.into_iter().flat_map(u32::to_be_bytes).chain(bytes.iter().copied()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A folder with 5 training and 2 test images of 3 x 2 pixels, in which each pixel is known, of classes 0 to 2.
struct Folder {
    dir: TempDir,
}

impl Folder {
    fn new() -> Self {
        let folder = Self { dir: tempfile::tempdir().unwrap() };
        let pixels: Vec<u8> = (0..5 * 6).collect();
        folder.write("train-images-idx3-ubyte", &idx(0x803, &[5, 2, 3], &pixels));
        folder.write("train-labels-idx1-ubyte", &idx(0x801, &[5], &[0, 2, 1, 0, 2]));
        folder.write("t10k-images-idx3-ubyte.gz", &gzip(&idx(0x803, &[2, 2, 3], &[7; 12])));
        folder.write("t10k-labels-idx1-ubyte.gz", &gzip(&idx(0x801, &[2], &[1, 2])));
        folder
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path().join(name), bytes).unwrap();
    }

    fn open(&self) -> Result<ImageClasses, DataError> {
        open_idx("tiles", self.path(), Some(&["a", "b", "c"]))
    }

    /// The error's message, in which the folder is written as `DIR`.
    fn message(&self) -> String {
        self.open().unwrap_err().to_string().replace(&self.path().display().to_string(), "DIR")
    }
}

#[test]
fn plain_and_gzipped_files_are_read() {
    let images = Folder::new().open().unwrap();
    assert_eq!(images.classes, ["a", "b", "c"]);
    assert_eq!((images.train_labels(), images.test_labels()), (&[0, 2, 1, 0, 2][..], &[1, 2][..]));
    let sample = images.train.get(3).unwrap();
    assert_eq!((sample.image.width(), sample.image.height(), sample.label), (3, 2, 0));
    assert_eq!(sample.image.pixels(), [18, 19, 20, 21, 22, 23]);
    assert_eq!(images.test.get(1).unwrap().image.pixels(), [7; 6]);
    assert!(
        images.train.describe(3).starts_with("image 3 of ")
            && images.train.describe(3).ends_with("idx3-ubyte")
    );
}

#[test]
fn classes_are_the_labels_where_they_have_no_names() {
    let folder = Folder::new();
    assert_eq!(open_idx("tiles", folder.path(), None).unwrap().classes, ["0", "1", "2"]);
    assert!(is_idx_folder(folder.path()));
    assert!(!is_idx_folder(Path::new("nowhere")));
}

#[test]
fn the_other_spelling_of_the_names_is_known() {
    let folder = Folder::new();
    let rename = |old: &str, new: &str| fs::rename(folder.path().join(old), folder.path().join(new)).unwrap();
    rename("train-images-idx3-ubyte", "train-images.idx3-ubyte");
    rename("t10k-labels-idx1-ubyte.gz", "t10k-labels.idx1-ubyte.gz");
    folder.open().unwrap();
}

#[test]
fn damaged_files_are_named() {
    let images = |sizes: &[u32], bytes: usize| idx(0x803, sizes, &vec![0; bytes]);
    let cases: [(&str, Vec<u8>, &str); 12] = [
        (
            "train-images-idx3-ubyte",
            idx(0x801, &[5], &[0; 5]),
            "DIR/train-images-idx3-ubyte is not an IDX file of images: it begins with 0x00000801 instead of 0x00000803",
        ),
        (
            "train-images-idx3-ubyte",
            vec![],
            "is cut short: 4 bytes are declared, 0 are there; fetch or copy it again",
        ),
        (
            "train-images-idx3-ubyte",
            idx(0x803, &[5, 2], &[]),
            "is cut short: 16 bytes are declared, 12 are there",
        ),
        (
            "train-images-idx3-ubyte",
            images(&[5, 2, 3], 29),
            "is cut short: 46 bytes are declared, 45 are there",
        ),
        ("train-images-idx3-ubyte", images(&[5, 2, 3], 31), "goes on after the 46 bytes that it declares"),
        ("train-images-idx3-ubyte", images(&[5, 2, 0], 0), "declares images of 0 x 2 pixels"),
        (
            "train-images-idx3-ubyte",
            images(&[4, 2, 3], 24),
            "train-images-idx3-ubyte holds 4 images, but DIR/train-l",
        ),
        (
            "train-images-idx3-ubyte",
            images(&[u32::MAX; 3], 9),
            "declares 18446744073709551615 bytes of data, more than",
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            gzip(&images(&[60_000, 60_000, 3], 9)),
            "declares 10800000000 bytes of data, more than",
        ),
        (
            "train-labels-idx1-ubyte",
            idx(0x801, &[5], &[0, 1, 2, 3, 0]),
            "label 3 of sample 3 in DIR/train-labels",
        ),
        (
            "train-labels-idx1-ubyte",
            idx(0x801, &[6], &[0; 5]),
            "train-labels-idx1-ubyte is cut short: 14 bytes are",
        ),
        (
            "t10k-labels-idx1-ubyte.gz",
            idx(0x801, &[2], &[0, 255]),
            "label 255 of sample 1 in DIR/t10k-labels",
        ),
    ];
    for (name, bytes, expected) in cases {
        let folder = Folder::new();
        folder.write(name, &bytes);
        let message = folder.message();
        assert!(message.contains(expected), "{message}");
        assert!(message.contains(&format!("DIR/{name}")), "{message}");
    }
}

#[test]
fn damaged_gzip_is_named() {
    let whole = gzip(&idx(0x803, &[2, 2, 3], &[7; 12]));
    let folder = Folder::new();
    folder.write("t10k-images-idx3-ubyte.gz", &whole[..whole.len() - 11]);
    assert!(
        folder.message().starts_with("DIR/t10k-images-idx3-ubyte.gz is cut short"),
        "{}",
        folder.message()
    );
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    flipped[whole.len() - 5] ^= 1;
    folder.write("t10k-images-idx3-ubyte.gz", &flipped);
    assert_eq!(folder.message(), "cannot read DIR/t10k-images-idx3-ubyte.gz");
}

#[test]
fn a_missing_file_is_named() {
    let folder = Folder::new();
    fs::remove_file(folder.path().join("train-labels-idx1-ubyte")).unwrap();
    assert_eq!(
        folder.message(),
        "DIR/train-labels-idx1-ubyte.gz is missing, but DIR/train-images-idx3-ubyte is there: both are needed"
    );
    fs::remove_file(folder.path().join("train-images-idx3-ubyte")).unwrap();
    assert!(folder.message().starts_with("DIR holds no data set"), "{}", folder.message());
}

proptest! {
    /// Whatever is in the file, the reader gives images that fit their header, or an error, and takes no more memory than
    /// the bytes that arrive.
    #[test]
    fn changed_bytes_never_panic_or_fill_memory(
        position in 0usize..46,
        value: u8,
        end in 0usize..47,
        packed: bool,
    ) {
        let mut bytes = idx(0x803, &[5, 2, 3], &[9; 30]);
        bytes[position] = value;
        bytes.truncate(end);
        let path = Path::new("mutated");
        let limit = if packed { gzip_limit(gzip(&bytes).len() as u64) } else { bounded::LIMIT };
        if let Ok(images) = parse_images(&mut bytes.as_slice(), path, limit) {
            prop_assert_eq!(images.pixels.len(), images.count * images.width * images.height);
            prop_assert!(images.pixels.capacity() <= 46);
        }
        if let Ok(labels) = parse_labels(&mut bytes.as_slice(), path, limit) {
            prop_assert!(labels.capacity() <= 46);
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), magic in 0u32..2) {
        let bytes = [(0x801 + 2 * magic).to_be_bytes().as_slice(), &bytes].concat();
        let path = Path::new("arbitrary");
        let _ = parse_images(&mut bytes.as_slice(), path, bounded::LIMIT);
        let _ = parse_labels(&mut bytes.as_slice(), path, bounded::LIMIT);
        let _ = parse_images(&mut MultiGzDecoder::new(bytes.as_slice()), path, gzip_limit(bytes.len() as u64));
    }
}
