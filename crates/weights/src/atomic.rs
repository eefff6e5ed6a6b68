//! Files that are either the old ones or the new ones, whatever happens.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Files that `write_atomic` is still writing begin and end with these.
const PREFIX: &str = ".libellus-";
const SUFFIX: &str = ".tmp";

/// Writes the file at `path`, replacing what is there only when all of it has reached the disk.
///
/// `write` fills a temporary file in the same folder, which is synced and renamed over `path`; then the
/// folder is synced. A kill or a power cut at any moment leaves the old file or the new one. If `write` or
/// the disk fails, the old file is untouched and the temporary one is gone; only a kill leaves it behind, for
/// [`sweep_temporary_files`].
///
/// # Errors
/// Whatever `write` returns, and any failure of the file system. The error says what happened, not to which
/// file: name the path where you report it.
pub fn write_atomic(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    {
        // As `File::create` would: what the user's umask allows, rather than the owner only.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut temporary = builder.tempfile_in(folder).map_err(|error| plain(&error))?;
    {
        let mut buffered = BufWriter::with_capacity(1 << 20, temporary.as_file_mut());
        write(&mut buffered)?;
        buffered.flush()?;
    }
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|failed| failed.error)?;
    // The rename itself is durable once the folder is. Windows can't open folders, and does without.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// Removes what [`write_atomic`] left in `folder` when its process was killed, and returns how many files
/// that were.
///
/// Call it only where no other process is writing.
///
/// # Errors
/// Any failure to list the folder or remove a file.
pub fn sweep_temporary_files(folder: &Path) -> io::Result<usize> {
    let mut swept = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The system's error without the path of the temporary file, which tells a user nothing.
fn plain(error: &io::Error) -> io::Error {
    match error
        .get_ref()
        .and_then(|inner| inner.source())
        .and_then(|source| source.downcast_ref::<io::Error>())
    {
        Some(system) => match system.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(system.kind(), system.to_string()),
        },
        None => io::Error::new(error.kind(), error.kind().to_string()),
    }
}
