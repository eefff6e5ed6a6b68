use std::io::ErrorKind;

use tempfile::TempDir;

use super::*;
use crate::{Channels, Image, encode_png};

/// A folder with these files; images are one grey pixel of the value that their name begins with.
fn folder(files: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let value = stem.trim_start_matches('.').split('-').next().unwrap().parse().unwrap_or(0);
        let image = Image::new(1, 1, Channels::Grey, vec![value]);
        fs::write(&path, encode_png(&image)).unwrap();
    }
    dir
}

fn open(dir: &TempDir) -> Result<ImageClasses, DataError> {
    open_folder("things", dir.path(), &OpenOptions::default())
}

/// The error's message, in which the folder is written as `DIR`.
fn message(dir: &TempDir) -> String {
    open(dir).unwrap_err().to_string().replace(&dir.path().display().to_string(), "DIR")
}

/// The grey values of a part and its labels.
fn content(images: &Arc<dyn Dataset<Item = Sample>>) -> Vec<(u8, usize)> {
    let samples = (0..images.len()).map(|index| images.get(index).unwrap());
    samples.map(|sample| (sample.image.pixels()[0], sample.label)).collect()
}

#[test]
fn a_given_split_is_kept() {
    for test in ["test", "val", "valid", "validation"] {
        let in_test = |file: &str| format!("{test}/{file}");
        let dir = folder(&["train/dog/3.png", "train/cat/2.png", "train/cat/1.PNG", &in_test("dog/4.png")]);
        let images = open(&dir).unwrap();
        assert_eq!(images.classes, ["cat", "dog"]);
        assert_eq!(content(&images.train), [(1, 0), (2, 0), (3, 1)]);
        assert_eq!(content(&images.test), [(4, 1)]);
        assert_eq!((images.train_labels(), images.test_labels()), (&[0, 0, 1][..], &[1][..]));
        assert!(images.validation.is_none());
    }
}

#[test]
fn validation_beside_a_test_part_is_validation() {
    for validation in VALIDATION_FOLDERS {
        let in_validation = |file: &str| format!("{validation}/{file}");
        let dir = folder(&[
            "train/dog/3.png",
            "train/cat/2.png",
            "test/cat/5.png",
            "test/dog/6.png",
            &in_validation("dog/4.png"),
        ]);
        let images = open(&dir).unwrap();
        assert_eq!(content(&images.train), [(2, 0), (3, 1)]);
        assert_eq!(content(&images.test), [(5, 0), (6, 1)]);
        assert_eq!(content(images.validation.as_ref().unwrap()), [(4, 1)]);
    }
}

#[test]
fn a_split_is_drawn_where_none_is_given() {
    let files: Vec<String> = (0..10).map(|file| format!("{}/{file}.png", ["b", "a"][file % 2])).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let dir = folder(&files);
    let images = open(&dir).unwrap();
    assert_eq!((images.train_labels(), images.test_labels()), (&[0, 0, 0, 0, 1, 1, 1, 1][..], &[0, 1][..]));
    let mut all = [content(&images.train), content(&images.test)].concat();
    all.sort_unstable();
    // Odd numbers are in class `a`.
    assert_eq!(all, (0..10).map(|file| (file, 1 - usize::from(file % 2))).collect::<Vec<_>>());
    let drawn = |seed| {
        let options = OpenOptions { seed, ..OpenOptions::default() };
        content(&open_folder("things", dir.path(), &options).unwrap().test)
    };
    assert_eq!(drawn(2), drawn(2));
    assert!((0..9).any(|seed| drawn(seed) != drawn(2)));
}

#[test]
fn train_alone_is_the_data_and_among_others_a_class() {
    let dir = folder(&["train/a/1.png", "train/a/2.png", "train/b/3.png", "train/b/4.png"]);
    assert_eq!(open(&dir).unwrap().classes, ["a", "b"]);
    let dir = folder(&["train/1.png", "train/2.png", "tram/3.png", "tram/4.png"]);
    assert_eq!(open(&dir).unwrap().classes, ["train", "tram"]);
}

#[test]
fn images_are_found_below_classes_and_other_files_passed_over() {
    let files = [
        "a/x/2.png",
        "a/1.png",
        "a/notes.txt",
        "a/.3.png",
        "b/y/z/4.png",
        "b/5-b.png",
        ".git/6.png",
        "7.png",
    ];
    let dir = folder(&files);
    let images = open(&dir).unwrap();
    assert_eq!(images.classes, ["a", "b"]);
    let mut all = [content(&images.train), content(&images.test)].concat();
    all.sort_unstable();
    assert_eq!(all, [(1, 0), (2, 0), (4, 1), (5, 1)]);
}

#[test]
fn unusable_folders_are_named() {
    let dir = folder(&["a/1.png", "a/2.png", "b/notes.txt"]);
    assert_eq!(message(&dir), "class folder DIR/b holds no image: fill it or remove it");
    let dir = folder(&["train/a/1.png", "train/b/2.png", "test/a/3.png", "test/c/4.png"]);
    assert_eq!(message(&dir), "DIR/test/c has no counterpart among the training classes in DIR/train");
    let dir = folder(&["train/a/1.png", "train/b/2.png", "test/a/3.png", "val/d/4.png"]);
    assert_eq!(message(&dir), "DIR/val/d has no counterpart among the training classes in DIR/train");
    let dir = folder(&["train/a/1.png", "train/b/2.png", "test/notes.txt"]);
    let nothing =
        "holds no data set: it needs a folder of images per class, IDX files, or CIFAR binary batches";
    assert_eq!(message(&dir), format!("DIR/test {nothing}"));
    let dir = folder(&["a/1.png", "a/2.png"]);
    assert_eq!(message(&dir), "data set things has 1 class(es): classification needs at least two");
    let dir = folder(&["a/1.png", "b/2.png"]);
    assert_eq!(message(&dir), "data set things has no test images");
}

#[test]
fn a_broken_image_is_named_when_it_is_read() {
    let dir = folder(&["train/a/1.png", "train/b/2.png", "test/a/3.png"]);
    fs::write(dir.path().join("train/b/2.png"), b"no image").unwrap();
    let images = open(&dir).unwrap();
    let error = images.train.get(1).unwrap_err();
    assert!(error.to_string().contains("2.png"), "{error}");
    assert!(images.train.describe(1).ends_with("2.png"));
}

#[cfg(unix)]
#[test]
fn what_may_not_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;

    let dir = folder(&["a/1.png", "a/2.png", "b/3.png", "b/4.png"]);
    let closed = dir.path().join("b");
    let set = |mode| fs::set_permissions(&closed, fs::Permissions::from_mode(mode)).unwrap();
    set(0o000);
    let readable = fs::read_dir(&closed).is_ok();
    let result = open(&dir);
    set(0o755);
    if readable {
        println!("skipped: this user may read everything");
        return;
    }
    match result {
        Err(DataError::Read { path, source }) => {
            assert_eq!((path, source.kind()), (closed, ErrorKind::PermissionDenied));
        }
        other => panic!("{other:?}"),
    }
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_to_itself_is_named() {
    let dir = folder(&["a/1.png", "b/2.png"]);
    std::os::unix::fs::symlink(dir.path().join("b"), dir.path().join("b/again")).unwrap();
    assert_eq!(message(&dir), "cannot read DIR/b/again");
}
