use crate::{Channels, Image, encode_png};

use super::*;

fn put(path: PathBuf) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, encode_png(&Image::filled(3, 2, Channels::Rgb, [1, 2, 3]))).unwrap();
}

fn put_classes(folder: &Path) {
    for file in ["a/1.png", "a/2.png", "b/1.png", "b/2.png"] {
        put(folder.join(file));
    }
}

fn open_here(source: &Source, data_dir: &Path) -> Result<ImageClasses, DataError> {
    open(source, data_dir, &OpenOptions::default())
}

#[test]
fn names_come_before_folders() {
    assert_eq!(Source::parse("digits").unwrap(), Source::Digits);
    let mnist = Source::parse("mnist").unwrap();
    assert!(matches!(mnist, Source::Known(entry) if entry.name == "mnist"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    assert_eq!(Source::parse(path).unwrap(), Source::Folder(path.into()));
    for source in [Source::Digits, mnist, Source::Folder(path.into())] {
        assert_eq!(Source::parse(&source.to_string()).unwrap(), source);
    }
    assert_eq!(Source::Folder("mnist".into()).to_string(), "./mnist");
}

#[test]
fn what_is_neither_gets_a_message() {
    let message = |text: &str| Source::parse(text).unwrap_err().to_string();
    assert!(
        message("emnist")
            .starts_with("no data set or folder \"emnist\": the known data sets are digits, mnist")
    );
    assert_eq!(message("no/such/place"), "folder no/such/place does not exist");
}

#[test]
fn digits_need_no_data_directory() {
    assert_eq!(open_here(&Source::Digits, Path::new("nowhere")).unwrap().name, "digits");
}

#[test]
fn a_known_data_set_may_be_there_as_image_folders() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::parse("cifar10").unwrap();
    let entry = catalog::find("cifar10").unwrap();
    assert!(!entry.is_present(dir.path()));
    put_classes(&dir.path().join("cifar10"));
    assert!(entry.is_present(dir.path()));
    let images = open_here(&source, dir.path()).unwrap();
    assert_eq!((images.name.as_str(), images.train.len(), images.test.len()), ("cifar10", 2, 2));
}

#[test]
fn a_data_directory_without_the_data_set_says_how_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    let message = |data_dir: &Path| {
        let error = open_here(&Source::parse("mnist").unwrap(), data_dir).unwrap_err();
        error.to_string().replace(&dir.path().display().to_string(), "DIR")
    };
    let missing = "DIR holds no data set mnist: get it with `libellus data fetch mnist`, or name another directory with \
                   --data-dir or LIBELLUS_DATA";
    assert_eq!(message(dir.path()), missing);
    fs::create_dir(dir.path().join("mnist")).unwrap();
    assert_eq!(message(dir.path()), missing);
    assert_eq!(
        message(&dir.path().join("data")),
        "data directory DIR/data does not exist: `libellus data fetch mnist` creates it, or name another with --data-dir \
         or LIBELLUS_DATA"
    );
}

#[test]
fn a_folder_without_data_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let message = |folder: &Path| {
        let error = open_here(&Source::Folder(folder.to_owned()), Path::new("nowhere")).unwrap_err();
        error.to_string().replace(&dir.path().display().to_string(), "DIR")
    };
    assert_eq!(message(&dir.path().join("gone")), "folder DIR/gone does not exist");
    put(dir.path().join("1.png"));
    let nothing =
        "DIR holds no data set: it needs a folder of images per class, IDX files, or CIFAR binary batches";
    assert_eq!(message(dir.path()), nothing);
}

#[test]
fn a_folder_is_named_after_itself() {
    let dir = tempfile::tempdir().unwrap();
    put_classes(&dir.path().join("leaves"));
    let images = open_here(&Source::Folder(dir.path().join("leaves")), Path::new("nowhere")).unwrap();
    assert_eq!(images.name, "leaves");
}

/// The known data sets that are on this machine: whole, and in order.
#[test]
fn data_at_hand_are_read() {
    let Some(data_dir) = env::var_os("LIBELLUS_DATA").map(PathBuf::from) else {
        println!("skipped: LIBELLUS_DATA names no data directory");
        return;
    };
    for entry in &catalog::ENTRIES {
        if !entry.is_present(&data_dir) {
            println!("skipped: {} holds no {entry}", data_dir.display());
            continue;
        }
        let images = open_here(&Source::Known(entry), &data_dir).unwrap();
        assert_eq!(images.classes, entry.classes, "{entry}");
        for (part, labels) in [(&images.train, images.train_labels()), (&images.test, images.test_labels())] {
            let last = part.len() - 1;
            let sample = part.get(last).unwrap();
            assert_eq!((sample.image.width(), sample.image.height()), (entry.side, entry.side), "{entry}");
            assert_eq!(sample.label, labels[last], "{entry}");
        }
    }
}
