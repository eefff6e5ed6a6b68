use std::{
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use tempfile::TempDir;

use super::*;
use crate::{Cifar, catalog::Layout};

/// How the server behaves.
#[derive(Clone, Default)]
struct Behaviour {
    /// It sends the whole file, whatever part is asked for.
    ignores_ranges: bool,
    /// Each of its responses ends after this many bytes.
    cuts_after: Option<usize>,
    /// It answers with this status instead.
    status: Option<u16>,
    /// It gives no length.
    hides_length: bool,
}

/// A server of one file on this machine.
struct Server {
    address: String,
    /// The range that each request asked for.
    ranges: Arc<Mutex<Vec<Option<u64>>>>,
}

impl Server {
    fn start(body: Vec<u8>, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/file.bin", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let seen = ranges.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &body, &behaviour, &seen);
            }
        });
        Self { address, ranges }
    }

    fn ranges(&self) -> Vec<Option<u64>> {
        self.ranges.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, body: &[u8], behaviour: &Behaviour, seen: &Mutex<Vec<Option<u64>>>) {
    let mut range = None;
    for line in BufReader::new(stream.try_clone().unwrap()).lines() {
        let line = line.unwrap().to_ascii_lowercase();
        if let Some(start) = line.strip_prefix("range: bytes=").and_then(|range| range.strip_suffix('-')) {
            range = Some(start.parse().unwrap());
        }
        if line.is_empty() {
            break;
        }
    }
    seen.lock().unwrap().push(range);
    let start = range.filter(|_| !behaviour.ignores_ranges).unwrap_or(0) as usize;
    let (status, rest) = match behaviour.status {
        Some(status) => (status, &b"what you want is not here"[..]),
        None if start >= body.len() && range.is_some() => (416, &[][..]),
        None if range.is_some() && !behaviour.ignores_ranges => (206, &body[start..]),
        None => (200, body),
    };
    let length = match behaviour.hides_length {
        true => String::new(),
        false => format!("content-length: {}\r\n", rest.len()),
    };
    let place = format!("content-range: bytes {start}-{}/{}\r\n", body.len().saturating_sub(1), body.len());
    let place = if status == 206 { place } else { String::new() };
    let head = format!("HTTP/1.1 {status} Whatever\r\n{length}{place}connection: close\r\n\r\n");
    let sent = behaviour.cuts_after.unwrap_or(rest.len()).min(rest.len());
    // The client may have gone away, as it should when the length is wrong.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&rest[..sent]));
}

fn body() -> Vec<u8> {
    (0..300_007u64).map(|place| (place * place % 251) as u8).collect()
}

fn hex(bytes: &[u8]) -> &'static str {
    let sum: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    sum.leak()
}

/// A data set of one file at this address, which should have this content.
fn entry(address: &str, published: &[u8]) -> &'static Entry {
    let file = RemoteFile {
        name: "file.bin",
        address: address.to_owned().leak(),
        sha256: hex(published),
        size: published.len() as u64,
    };
    Box::leak(Box::new(Entry {
        name: "thing",
        title: "a thing",
        classes: &["a", "b"],
        train: 1,
        test: 1,
        side: 1,
        licence: "none",
        homepage: "http://localhost",
        layout: Layout::Cifar(Cifar::Ten),
        files: Box::leak(Box::new([file])),
    }))
}

/// A data directory, and what a fetch into it does.
struct Target {
    dir: TempDir,
}

impl Target {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("thing").join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::create_dir_all(self.dir.path().join("thing")).unwrap();
        fs::write(self.path(name), bytes).unwrap();
    }

    fn fetch(&self, entry: &'static Entry) -> Result<Vec<Progress>, DataError> {
        let mut steps = Vec::new();
        // Without a proxy, whatever the environment says: the server is on this machine.
        let agent = Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
        let folder = fetch_with(&agent, entry, self.dir.path(), &mut |step| steps.push(*step))?;
        assert_eq!(folder, self.dir.path().join("thing"));
        Ok(steps)
    }

    fn assert_complete(&self) {
        assert!(fs::read(self.path("file.bin")).unwrap() == body());
        assert!(!self.path("file.bin.part").exists());
    }
}

#[test]
fn a_file_is_fetched_once() {
    let server = Server::start(body(), Behaviour::default());
    let target = Target::new();
    let entry = entry(&server.address, &body());
    let steps = target.fetch(entry).unwrap();
    target.assert_complete();
    assert!(steps.is_sorted_by_key(|step| step.received));
    assert_eq!(*steps.last().unwrap(), Progress { file: "file.bin", received: 300_007, total: 300_007 });
    assert_eq!(
        target.fetch(entry).unwrap(),
        [Progress { file: "file.bin", received: 300_007, total: 300_007 }]
    );
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn a_length_need_not_be_announced() {
    let server = Server::start(body(), Behaviour { hides_length: true, ..Behaviour::default() });
    let target = Target::new();
    target.fetch(entry(&server.address, &body())).unwrap();
    target.assert_complete();
}

#[test]
fn an_earlier_part_is_continued() {
    let server = Server::start(body(), Behaviour::default());
    let target = Target::new();
    target.put("file.bin.part", &body()[..100_003]);
    target.fetch(entry(&server.address, &body())).unwrap();
    target.assert_complete();
    assert_eq!(server.ranges(), [Some(100_003)]);
}

#[test]
fn a_whole_part_only_gets_its_name() {
    let target = Target::new();
    target.put("file.bin.part", &body());
    target.fetch(entry("http://127.0.0.1:1/file.bin", &body())).unwrap();
    target.assert_complete();
}

#[test]
fn a_download_that_breaks_off_goes_on() {
    let server = Server::start(body(), Behaviour { cuts_after: Some(130_000), ..Behaviour::default() });
    let target = Target::new();
    target.fetch(entry(&server.address, &body())).unwrap();
    target.assert_complete();
    assert_eq!(server.ranges(), [None, Some(130_000), Some(260_000)]);
}

#[test]
fn without_ranges_it_begins_again_and_ends_when_it_gets_no_further() {
    let behaviour = Behaviour { ignores_ranges: true, ..Behaviour::default() };
    let server = Server::start(body(), behaviour.clone());
    let target = Target::new();
    target.put("file.bin.part", &[9; 100_003]);
    target.fetch(entry(&server.address, &body())).unwrap();
    target.assert_complete();

    let server = Server::start(body(), Behaviour { cuts_after: Some(130_000), ..behaviour });
    let target = Target::new();
    let error = target.fetch(entry(&server.address, &body())).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the download of {} broke off at 130000 of 300007 bytes: try again to go on from there",
            server.address
        )
    );
    assert_eq!(fs::metadata(target.path("file.bin.part")).unwrap().len(), 130_000);
}

#[test]
fn a_part_that_is_too_long_is_replaced() {
    let server = Server::start(body(), Behaviour::default());
    let target = Target::new();
    target.put("file.bin.part", &[9; 400_000]);
    target.fetch(entry(&server.address, &body())).unwrap();
    target.assert_complete();
}

#[test]
fn another_content_is_discarded_and_both_sums_are_named() {
    let mut other = body();
    other[77] ^= 1;
    let server = Server::start(other.clone(), Behaviour::default());
    let target = Target::new();
    let error = target.fetch(entry(&server.address, &body())).unwrap_err().to_string();
    assert!(
        error.contains(hex(&other)) && error.contains(hex(&body())) && error.contains(&server.address),
        "{error}"
    );
    assert!(!target.path("file.bin.part").exists() && !target.path("file.bin").exists());
}

#[test]
fn another_size_is_refused() {
    let longer = [body(), vec![0]].concat();
    for hides_length in [false, true] {
        let server = Server::start(longer.clone(), Behaviour { hides_length, ..Behaviour::default() });
        let target = Target::new();
        let error = target.fetch(entry(&server.address, &body())).unwrap_err();
        assert!(matches!(error, DataError::DownloadSize { expected: 300_007, .. }), "{error}");
        assert!(!target.path("file.bin.part").exists());
    }
    // A server that has less than is here already.
    let server = Server::start(body()[..200_000].to_vec(), Behaviour::default());
    let target = Target::new();
    target.put("file.bin.part", &body()[..250_000]);
    let error = target.fetch(entry(&server.address, &body())).unwrap_err();
    assert!(matches!(error, DataError::DownloadSize { found: 200_000, .. }), "{error}");
    assert_eq!(server.ranges(), [Some(250_000), None]);
}

#[test]
fn a_missing_file_and_a_missing_server_are_named() {
    let server = Server::start(body(), Behaviour { status: Some(404), ..Behaviour::default() });
    let error = Target::new().fetch(entry(&server.address, &body())).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} answers with status 404: the file may have moved", server.address)
    );
    // Nothing listens on a port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("http://127.0.0.1:{port}/file.bin");
    let error = Target::new().fetch(entry(&address, &body())).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot reach {address}: check the network connection and try again")
    );
}

#[test]
fn another_file_in_its_place_is_left_alone() {
    let target = Target::new();
    target.put("file.bin", b"my own");
    let error = target.fetch(entry("http://127.0.0.1:1/file.bin", &body())).unwrap_err().to_string();
    assert!(error.contains("move it away") && error.contains(hex(b"my own")), "{error}");
    assert_eq!(fs::read(target.path("file.bin")).unwrap(), b"my own");
}

#[test]
fn embedded_data_need_no_fetch() {
    let error = Target::new().fetch(crate::catalog::find("digits").unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "data set digits is embedded in the program: there is nothing to fetch");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let target = Target::new();
    fs::write(target.dir.path().join("thing"), b"in the way").unwrap();
    let error = target.fetch(entry("http://127.0.0.1:1/file.bin", &body())).unwrap_err();
    assert!(matches!(error, DataError::Write { .. }), "{error}");
}
