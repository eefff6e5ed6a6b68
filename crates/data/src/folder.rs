//! Folders of images, one folder per class.
//!
//! As torchvision's `ImageFolder`: the folders are the classes, sorted by name, and all images in and below a folder
//! belong to its class. *Differences*: hidden files and folders (with a leading dot) are passed over, TIFF files end in
//! `.tif` or `.tiff`, and a folder without a given split gets one drawn.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    DataError, Dataset, ImageClasses, LabelledImages, OpenOptions, Sample, decode_file,
    memory::{CacheLimits, Cached},
    split::stratified,
};

/// Names of the folder of the validation part beside a folder `train`, in order of preference.
const VALIDATION_FOLDERS: [&str; 3] = ["val", "valid", "validation"];

/// Endings of the files that are taken for images, in lower case.
const ENDINGS: [&str; 8] = ["bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp"];

/// Opens a folder of images: `train/CLASS/...`, `test/CLASS/...` and `val/CLASS/...` (or `valid`, `validation`) where there
/// are these, else `CLASS/...`, of which a stratified part is held out.
///
/// Beside `train`, either of the two others may be missing. A `val` without a `test` is the test part, as in ImageNet.
///
/// Small images are kept in memory once they are decoded, see [`CacheLimits`].
///
/// # Errors
/// When a folder can't be read, a class has no images or is not among those of `train`, or there are fewer than two classes.
pub fn open_folder(name: &str, folder: &Path, options: &OpenOptions) -> Result<ImageClasses, DataError> {
    let train_folder = folder.join("train");
    if !train_folder.is_dir() {
        return draw(name, folder, options);
    }
    let validation = VALIDATION_FOLDERS.iter().map(|name| folder.join(name)).find(|path| path.is_dir());
    let test = Some(folder.join("test")).filter(|path| path.is_dir());
    match (test, validation) {
        (Some(test), Some(validation)) => {
            let images = given(name, &train_folder, &test)?;
            let validation = held_out(&validation, &train_folder, &images.classes)?;
            images.with_validation(validation)
        }
        (Some(test), None) | (None, Some(test)) => given(name, &train_folder, &test),
        // A folder `train` on its own is the data; among others it is a class like they are.
        (None, None) if subfolders(folder)?.len() == 1 => draw(name, &train_folder, options),
        (None, None) => draw(name, folder, options),
    }
}

/// Whether the folder has folders in it.
pub(crate) fn has_subfolders(folder: &Path) -> Result<bool, DataError> {
    Ok(!subfolders(folder)?.is_empty())
}

fn given(name: &str, train_folder: &Path, test_folder: &Path) -> Result<ImageClasses, DataError> {
    let classes = class_names(train_folder)?;
    let train = FolderImages::list(train_folder, &classes)?.labelled();
    let test = held_out(test_folder, train_folder, &classes)?;
    ImageClasses::new(name, classes, train, test)
}

/// The images of a part beside the training part, whose classes are `classes`.
fn held_out(folder: &Path, train_folder: &Path, classes: &[String]) -> Result<LabelledImages, DataError> {
    match class_names(folder)?.iter().find(|class| !classes.contains(class)) {
        Some(unknown) => {
            Err(DataError::UnknownClass { path: folder.join(unknown), train: train_folder.to_owned() })
        }
        None => Ok(FolderImages::list(folder, classes)?.labelled()),
    }
}

fn draw(name: &str, folder: &Path, options: &OpenOptions) -> Result<ImageClasses, DataError> {
    let classes = class_names(folder)?;
    let images = FolderImages::list(folder, &classes)?.labelled();
    let split = stratified(&images.labels, options.test_fraction, options.seed)?;
    ImageClasses::new(name, classes, images.subset(split.train), images.subset(split.test))
}

/// The image files of a folder of classes.
struct FolderImages {
    paths: Vec<PathBuf>,
    labels: Vec<usize>,
}

impl FolderImages {
    /// Lists the files of those classes that have a folder here, sorted by class and path.
    fn list(folder: &Path, classes: &[String]) -> Result<Self, DataError> {
        let mut images = Self { paths: Vec::new(), labels: Vec::new() };
        for (label, class) in classes.iter().enumerate() {
            let class_folder = folder.join(class);
            if !class_folder.is_dir() {
                continue;
            }
            let paths = image_files(&class_folder)?;
            if paths.is_empty() {
                return Err(DataError::EmptyClass { path: class_folder });
            }
            images.labels.resize(images.labels.len() + paths.len(), label);
            images.paths.extend(paths);
        }
        Ok(images)
    }

    fn labelled(self) -> LabelledImages {
        LabelledImages {
            labels: self.labels.clone(),
            images: Arc::new(Cached::new(self, CacheLimits::default())),
        }
    }
}

impl Dataset for FolderImages {
    type Item = Sample;

    fn len(&self) -> usize {
        self.paths.len()
    }

    fn get(&self, index: usize) -> Result<Sample, DataError> {
        Ok(Sample { image: decode_file(&self.paths[index])?, label: self.labels[index] })
    }

    fn describe(&self, index: usize) -> String {
        self.paths[index].display().to_string()
    }
}

/// The image files in a folder and below it, sorted.
///
/// # Errors
/// [`DataError::Read`] when a folder can't be read.
pub fn image_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut paths = Vec::new();
    let walk = walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name();
    for entry in walk.into_iter().filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.path())) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(folder).to_owned();
            DataError::Read { path, source: error.into() }
        })?;
        if entry.file_type().is_file() && is_image(entry.path()) {
            paths.push(entry.into_path());
        }
    }
    Ok(paths)
}

/// The names of the class folders, of which there is at least one, sorted.
fn class_names(folder: &Path) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    for path in subfolders(folder)? {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            let source = io::Error::new(io::ErrorKind::InvalidData, "the name is not UTF-8");
            return Err(DataError::Read { path, source });
        };
        names.push(name.to_owned());
    }
    if names.is_empty() {
        return Err(DataError::NothingInFolder { path: folder.to_owned() });
    }
    Ok(names)
}

/// The folders in a folder that are not hidden, sorted.
fn subfolders(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(DataError::read(folder))? {
        let path = entry.map_err(DataError::read(folder))?.path();
        if path.is_dir() && !is_hidden(&path) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_image(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests;
