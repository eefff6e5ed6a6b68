//! From a name or a folder to a data set.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
};

use crate::{
    DataError, ImageClasses,
    catalog::{self, Entry, Layout},
    cifar::{Cifar, is_cifar_folder, open_cifar},
    digits::open_digits,
    folder::{has_subfolders, open_folder},
    idx::{is_idx_folder, open_idx},
};

/// Where images come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The digits that are part of the program.
    Digits,
    /// A known data set, in the data directory.
    Known(&'static Entry),
    /// A folder: of images, or of IDX or CIFAR files.
    Folder(PathBuf),
}

impl Source {
    /// Reads what a user names: a known data set, else a folder.
    ///
    /// A folder that is called like a known data set can be written as `./mnist`.
    ///
    /// # Errors
    /// [`DataError::UnknownDataset`] when it is neither known nor a folder, [`DataError::NoFolder`] when it is written as
    /// a path (with a separator) to nothing.
    pub fn parse(text: &str) -> Result<Self, DataError> {
        match catalog::find(text) {
            Ok(entry) if entry.layout == Layout::Embedded => Ok(Self::Digits),
            Ok(entry) => Ok(Self::Known(entry)),
            Err(_) if Path::new(text).is_dir() => Ok(Self::Folder(text.into())),
            Err(_) if text.contains(std::path::is_separator) => {
                Err(DataError::NoFolder { path: text.into() })
            }
            Err(unknown) => Err(unknown),
        }
    }
}

impl fmt::Display for Source {
    /// The text that [`Source::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digits => f.write_str("digits"),
            Self::Known(entry) => f.write_str(entry.name),
            Self::Folder(path) if catalog::find(&path.to_string_lossy()).is_ok() => {
                write!(f, "./{}", path.display())
            }
            Self::Folder(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How a test part is drawn where none is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpenOptions {
    /// What the draw depends on.
    pub seed: u64,
    /// Share of each class that is held out, between 0 and 1.
    pub test_fraction: f64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { seed: 0, test_fraction: 0.2 }
    }
}

/// Opens a data set.
///
/// A known data set is looked for in the folder of its name under `data_dir`, first in its published layout, then as a
/// folder of images. `data_dir` is used for nothing else.
///
/// # Errors
/// When the directory or the data set isn't there, and when its files are damaged.
pub fn open(source: &Source, data_dir: &Path, options: &OpenOptions) -> Result<ImageClasses, DataError> {
    match source {
        Source::Digits => open_digits(options),
        Source::Known(entry) => open_known(entry, data_dir, options),
        Source::Folder(folder) => open_any_folder(folder, options),
    }
}

/// The directory of the known data sets, where none is named: `LIBELLUS_DATA`, else `libellus` in the user's cache
/// directory, else `libellus-data` here.
pub fn default_data_dir() -> PathBuf {
    if let Some(path) = env::var_os("LIBELLUS_DATA").filter(|path| !path.is_empty()) {
        return path.into();
    }
    match cache_dir() {
        Some(cache) => cache.join("libellus"),
        None => "libellus-data".into(),
    }
}

/// The user's cache directory, where the system has one.
fn cache_dir() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(windows) {
        absolute("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        env::home_dir().map(|home| home.join("Library").join("Caches"))
    } else {
        absolute("XDG_CACHE_HOME").or_else(|| env::home_dir().map(|home| home.join(".cache")))
    }
}

fn open_known(
    entry: &'static Entry,
    data_dir: &Path,
    options: &OpenOptions,
) -> Result<ImageClasses, DataError> {
    let folder = entry.folder(data_dir);
    match entry.layout {
        Layout::Embedded => return open_digits(options),
        Layout::Idx if is_idx_folder(&folder) => return open_idx(entry.name, &folder, Some(entry.classes)),
        Layout::Cifar(cifar) if is_cifar_folder(&folder, cifar) => {
            return open_cifar(entry.name, &folder, cifar, entry.classes);
        }
        Layout::Idx | Layout::Cifar(_) => {}
    }
    if !is_directory(data_dir)? {
        return Err(DataError::NoDataDirectory { path: data_dir.to_owned(), name: entry.name });
    }
    if is_directory(&folder)? && has_subfolders(&folder)? {
        return open_folder(entry.name, &folder, options);
    }
    Err(DataError::NotFetched { name: entry.name, directory: data_dir.to_owned() })
}

fn open_any_folder(folder: &Path, options: &OpenOptions) -> Result<ImageClasses, DataError> {
    if !is_directory(folder)? {
        return Err(DataError::NoFolder { path: folder.to_owned() });
    }
    let name = folder.file_name().map_or_else(|| folder.to_string_lossy(), |name| name.to_string_lossy());
    if is_idx_folder(folder) {
        return open_idx(&name, folder, None);
    }
    for cifar in Cifar::ALL {
        if is_cifar_folder(folder, cifar) {
            let classes = catalog::ENTRIES.iter().find(|entry| entry.layout == Layout::Cifar(cifar));
            let classes = classes.expect("the catalogue has both CIFAR data sets").classes;
            return open_cifar(&name, folder, cifar, classes);
        }
    }
    if has_subfolders(folder)? {
        return open_folder(&name, folder, options);
    }
    Err(DataError::NothingInFolder { path: folder.to_owned() })
}

/// Whether the path is a directory; not being allowed to know is an error.
fn is_directory(path: &Path) -> Result<bool, DataError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_dir()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(DataError::read(path)(error)),
    }
}

#[cfg(test)]
mod tests;
