use std::fs;
use std::io;

use libellus_backend::testing::device;

use super::*;
use crate::{sweep_temporary_files, write_atomic};

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_new_content_replaces_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for content in ["first, and longer", "second"] {
        write_atomic(&path, |file| file.write_all(content.as_bytes())).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    assert_eq!(files(folder.path()), ["file"]);
}

#[test]
fn a_disk_that_fills_up_leaves_the_old_file_and_no_litter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "old").unwrap();
    let error = write_atomic(&path, |file| {
        file.write_all(&[0; 100_000])?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    })
    .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(files(folder.path()), ["file"]);
}

#[test]
fn a_panic_while_writing_leaves_the_old_file_and_no_litter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "old").unwrap();
    let result = std::panic::catch_unwind(|| write_atomic(&path, |_| panic!("on purpose")));
    assert!(result.is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(files(folder.path()), ["file"]);
}

#[cfg(unix)]
#[test]
fn the_file_is_as_readable_as_any_other() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
    write_atomic(&ours, |file| file.write_all(b"x")).unwrap();
    fs::write(&plain, "x").unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&plain));
}

#[test]
fn what_a_kill_leaves_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".libellus-abc123.tmp"), "half").unwrap();
    fs::write(folder.path().join("kept.tmp"), "whole").unwrap();
    assert_eq!(sweep_temporary_files(folder.path()).unwrap(), 1);
    assert_eq!(files(folder.path()), ["kept.tmp"]);
}

#[test]
fn saving_into_a_missing_folder_names_the_path_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("net.safetensors");
    let error = save(&net(&device()), &path, &Layout::NATIVE, &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot write {}: ", path.display())), "{error}");
    assert_eq!(error.matches("missing").count(), 1, "{error}");
}
