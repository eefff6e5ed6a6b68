use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::catalog;

/// A record whose red, green and blue values are 1, 2 and 3 above `base` in the first pixel, and `base` elsewhere.
fn record(labels: &[u8], base: u8) -> Vec<u8> {
    let plane = |first: u8| [vec![first], vec![base; PLANE - 1]].concat();
    [labels.to_vec(), plane(base + 1), plane(base + 2), plane(base + 3)].concat()
}

fn classes(cifar: Cifar) -> &'static [&'static str] {
    let name = match cifar {
        Cifar::Ten => "cifar10",
        Cifar::Hundred => "cifar100",
    };
    catalog::find(name).unwrap().classes
}

/// One record per training file and two for testing, under their published names.
fn published(cifar: Cifar) -> Vec<(&'static str, Vec<u8>)> {
    let labels = |label: u8| match cifar {
        Cifar::Ten => vec![label],
        Cifar::Hundred => vec![0, label],
    };
    let train =
        cifar.train_files().iter().zip(1..).map(|(&file, base)| (file, record(&labels(base + 2), 10 * base)));
    let test = [record(&labels(9), 100), record(&labels(0), 110)].concat();
    train.chain([(cifar.test_file(), test)]).collect()
}

fn unpacked(cifar: Cifar, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (name, bytes) in published(cifar) {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

fn archive(cifar: Cifar, files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("{}/{name}", cifar.folder()), bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn message(dir: &TempDir, cifar: Cifar) -> String {
    let error = open_cifar("tiny", dir.path(), cifar, classes(cifar)).unwrap_err();
    error.to_string().replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn files_and_archives_are_read_alike() {
    for cifar in Cifar::ALL {
        let places =
            [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        unpacked(cifar, places[0].path());
        unpacked(cifar, &places[1].path().join(cifar.folder()));
        fs::write(places[2].path().join(cifar.archive()), archive(cifar, &published(cifar))).unwrap();
        for place in &places {
            let images = open_cifar("tiny", place.path(), cifar, classes(cifar)).unwrap();
            assert_eq!(images.test_labels(), [9, 0]);
            let labels = (3..3 + cifar.train_files().len()).collect::<Vec<_>>();
            assert_eq!(images.train_labels(), labels);
            let sample = images.train.get(labels.len() - 1).unwrap();
            let base = 10 * labels.len() as u8;
            assert_eq!(sample.image.pixel(0, 0), [base + 1, base + 2, base + 3]);
            assert_eq!(sample.image.pixel(31, 31), [base; 3]);
            assert_eq!((sample.image.width(), sample.image.height()), (32, 32));
        }
    }
}

#[test]
fn damaged_files_are_named() {
    let cases = [
        (vec![], "DIR/data_batch_2.bin is not a file of CIFAR records: 0 bytes are not a multiple of 3073"),
        (
            record(&[3], 1)[..3000].to_vec(),
            "DIR/data_batch_2.bin is not a file of CIFAR records: 3000 bytes are not",
        ),
        (
            [record(&[3], 1), record(&[10], 1)].concat(),
            "label 10 of sample 1 in DIR/data_batch_2.bin is out of range: there are 10 classes, from 0",
        ),
    ];
    for (bytes, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        unpacked(Cifar::Ten, dir.path());
        fs::write(dir.path().join("data_batch_2.bin"), bytes).unwrap();
        assert!(message(&dir, Cifar::Ten).starts_with(expected), "{}", message(&dir, Cifar::Ten));
    }
}

#[test]
fn a_missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    unpacked(Cifar::Ten, dir.path());
    fs::remove_file(dir.path().join("data_batch_4.bin")).unwrap();
    assert_eq!(
        message(&dir, Cifar::Ten),
        "DIR/data_batch_4.bin is missing, but DIR is there: both are needed"
    );
    let dir = tempfile::tempdir().unwrap();
    let files = published(Cifar::Hundred);
    fs::write(dir.path().join("cifar-100-binary.tar.gz"), archive(Cifar::Hundred, &files[..1])).unwrap();
    assert_eq!(
        message(&dir, Cifar::Hundred),
        "DIR/cifar-100-binary.tar.gz/cifar-100-binary/test.bin is missing, but DIR/cifar-100-binary.tar.gz is there: \
         both are needed"
    );
}

#[test]
fn damaged_archives_are_named() {
    let whole = archive(Cifar::Ten, &published(Cifar::Ten));
    for end in [0, 5, whole.len() / 2, whole.len() - 20] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cifar-10-binary.tar.gz"), &whole[..end]).unwrap();
        let message = message(&dir, Cifar::Ten);
        assert!(message.contains("DIR/cifar-10-binary.tar.gz"), "{message}");
    }
}

#[test]
fn a_size_beyond_the_archive_is_refused_before_memory_is_taken() {
    let mut header = tar::Header::new_gnu();
    header.set_path("cifar-100-binary/train.bin").unwrap();
    header.set_size(1 << 32);
    header.set_cksum();
    let dir = tempfile::tempdir().unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(header.as_bytes()).unwrap();
    fs::write(dir.path().join("cifar-100-binary.tar.gz"), packed.finish().unwrap()).unwrap();
    let message = message(&dir, Cifar::Hundred);
    assert!(message.contains("train.bin declares 4294967296 bytes of data, more than the"), "{message}");
}

proptest! {
    #[test]
    fn records_of_any_bytes_never_panic(first: u8, second: u8, len in 0usize..7000, hundred: bool) {
        let cifar = if hundred { Cifar::Hundred } else { Cifar::Ten };
        let mut images = PackedImages {
            name: String::new(),
            width: SIDE,
            height: SIDE,
            channels: Channels::Rgb,
            pixels: Vec::new(),
            labels: Vec::new(),
        };
        let mut bytes = vec![first; len];
        if let Some(byte) = bytes.get_mut(cifar.record()) {
            *byte = second;
        }
        if append_records(&mut images, &bytes, Path::new("mutated"), cifar).is_ok() {
            prop_assert_eq!(images.pixels.len(), images.labels.len() * 3 * PLANE);
            prop_assert!(images.labels.iter().all(|&label| label < cifar.classes()));
        }
    }

    #[test]
    fn changed_archives_never_panic_or_fill_memory(position in 0usize..1600, value: u8) {
        // The headers of an archive, uncompressed: that is where sizes and names are.
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(3074);
        tar.append_data(&mut header, "cifar-100-binary/train.bin", record(&[0, 1], 5).as_slice()).unwrap();
        let mut bytes = tar.into_inner().unwrap();
        bytes[position] = value;
        let limit = bytes.len() as u64;
        if let Ok(batches) = read_tar(bytes.as_slice(), Path::new("mutated"), limit, Cifar::Hundred) {
            prop_assert!(batches.values().all(|batch| batch.bytes.capacity() as u64 <= limit));
        }
    }
}
