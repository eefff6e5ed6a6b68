//! Fetching known data sets from where they are published.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest, Sha256};
use ureq::{Agent, Body, http::Response};

use crate::{
    DataError,
    catalog::{Entry, RemoteFile},
};

/// How far a fetch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The file that is on its way.
    pub file: &'static str,
    /// Bytes that are there, of all files of the data set.
    pub received: u64,
    /// Bytes of all files of the data set.
    pub total: u64,
}

/// Fetches the files of a known data set into its folder under `data_dir` and gives that folder.
///
/// Files that are there are checked and left as they are. A download goes to a `.part` file and goes on from its end
/// when it broke off, in this call or an earlier one; it gets its name once its size and sum are right. `progress` is
/// called often.
///
/// # Errors
/// When the server can't be reached or doesn't have the file, when what it sends is not the published file (which is
/// then discarded), when another file is in its place (which is left alone), and when the disk can't be written.
pub fn fetch(
    entry: &'static Entry,
    data_dir: &Path,
    progress: &mut dyn FnMut(&Progress),
) -> Result<PathBuf, DataError> {
    let config = Agent::config_builder()
        .user_agent(concat!("libellus/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(Duration::from_secs(60)));
    fetch_with(&config.build().new_agent(), entry, data_dir, progress)
}

fn fetch_with(
    agent: &Agent,
    entry: &'static Entry,
    data_dir: &Path,
    progress: &mut dyn FnMut(&Progress),
) -> Result<PathBuf, DataError> {
    if entry.files.is_empty() {
        return Err(DataError::NothingToFetch { name: entry.name });
    }
    let folder = entry.folder(data_dir);
    fs::create_dir_all(&folder).map_err(DataError::write(&folder))?;
    let mut before = 0;
    for file in entry.files {
        let total = entry.download_size();
        let mut report =
            |received| progress(&Progress { file: file.name, received: before + received, total });
        fetch_file(agent, file, &folder, &mut report)?;
        before += file.size;
    }
    Ok(folder)
}

fn fetch_file(
    agent: &Agent,
    file: &'static RemoteFile,
    folder: &Path,
    report: &mut dyn FnMut(u64),
) -> Result<(), DataError> {
    let path = folder.join(file.name);
    if path.try_exists().map_err(DataError::read(&path))? {
        let found = sha256(&path)?;
        report(file.size);
        return match found == file.sha256 {
            true => Ok(()),
            false => Err(DataError::OtherFile { path, expected: file.sha256, found }),
        };
    }
    let part = folder.join(format!("{}.part", file.name));
    loop {
        let before = length(&part)?;
        match receive(agent, file, &part, report) {
            Ok(()) => break,
            // As long as each attempt gets further than the last one, go on.
            Err(DataError::BrokeOff { received, .. }) if received > before => {
                tracing::warn!(address = file.address, received, "the download broke off, going on");
            }
            Err(error) => return Err(error),
        }
    }
    let found = sha256(&part)?;
    if found != file.sha256 {
        fs::remove_file(&part).map_err(DataError::write(&part))?;
        return Err(DataError::Checksum { address: file.address.to_owned(), expected: file.sha256, found });
    }
    fs::rename(&part, &path).map_err(DataError::write(&path))?;
    sync_folder(folder)
}

/// Appends what is missing to a partial download, and sees to it that it is on the disk.
fn receive(
    agent: &Agent,
    file: &RemoteFile,
    part: &Path,
    report: &mut dyn FnMut(u64),
) -> Result<(), DataError> {
    let mut start = length(part)?;
    if start == file.size {
        return Ok(());
    }
    if start > file.size {
        fs::remove_file(part).map_err(DataError::write(part))?;
        start = 0;
    }
    let mut response = request(agent, file, start)?;
    if response.status() == 416 {
        // The server has fewer bytes than are here: they are of something else.
        fs::remove_file(part).map_err(DataError::write(part))?;
        start = 0;
        response = request(agent, file, start)?;
    }
    match response.status().as_u16() {
        206 if continues_at(&response, start) => {}
        200 => start = 0,
        status => return Err(DataError::Status { address: file.address.to_owned(), status }),
    }
    let other_size =
        |found| DataError::DownloadSize { address: file.address.to_owned(), expected: file.size, found };
    let announced = response.body().content_length().map(|length| start + length);
    if let Some(found) = announced.filter(|&length| length != file.size) {
        return Err(other_size(found));
    }
    let mut options = OpenOptions::new();
    options.create(true).write(true).append(start > 0).truncate(start == 0);
    let mut output = options.open(part).map_err(DataError::write(part))?;
    let mut input = response.into_body().into_with_config().limit(u64::MAX).reader();
    let mut received = start;
    let mut buffer = vec![0; 1 << 16];
    while received < file.size {
        // An end and an error are the same here: there is no more.
        let count = input.read(&mut buffer).unwrap_or(0);
        if count == 0 {
            return Err(DataError::BrokeOff { address: file.address.to_owned(), received, size: file.size });
        }
        received += count as u64;
        if received > file.size {
            fs::remove_file(part).map_err(DataError::write(part))?;
            return Err(other_size(received));
        }
        output.write_all(&buffer[..count]).map_err(DataError::write(part))?;
        report(received);
    }
    output.sync_all().map_err(DataError::write(part))
}

fn request(agent: &Agent, file: &RemoteFile, start: u64) -> Result<Response<Body>, DataError> {
    let mut request = agent.get(file.address);
    if start > 0 {
        request = request.header("range", format!("bytes={start}-"));
    }
    request
        .call()
        .map_err(|error| DataError::Unreachable { address: file.address.to_owned(), source: error.into() })
}

/// Whether a partial response begins where it was asked to.
fn continues_at(response: &Response<Body>, start: u64) -> bool {
    let range = response.headers().get("content-range").and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {start}-")))
}

/// Length of a file, 0 when it isn't there.
fn length(path: &Path) -> Result<u64, DataError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(DataError::read(path)(error)),
    }
}

/// The sum of a file, in lower-case hexadecimal.
fn sha256(path: &Path) -> Result<String, DataError> {
    let mut file = File::open(path).map_err(DataError::read(path))?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(DataError::read(path))? {
            0 => return Ok(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            count => sum.update(&buffer[..count]),
        }
    }
}

/// Makes a rename in the folder last. Only Unix systems can, and need to.
fn sync_folder(folder: &Path) -> Result<(), DataError> {
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(DataError::write(folder))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
