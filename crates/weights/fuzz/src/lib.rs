//! What every target does with its bytes: open them as a checkpoint, read every tensor, and watch the memory.
//!
//! Seeds are the golden files. From the folder `crates/weights`, with a nightly toolchain:
//!
//! ```console
//! $ cargo +nightly fuzz run --sanitizer none pytorch fuzz/corpus/pytorch tests/golden -- -rss_limit_mb=1024
//! ```

use libellus_weights::Checkpoint;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What opening a file may take beside twice its size, in bytes: buffers, and four times what the objects of a pickle may
/// take in a small file (a vector that grows is there twice, and the table of tensors is made from them).
const OPENING: usize = 32 << 20;

/// What reading a tensor may take beside twice the file and twice the tensor, in bytes: buffers.
const READING: usize = 4 << 20;

/// Tensors that claim more elements are left alone. A compressed file may really hold them.
const LARGE: usize = 1 << 22;

/// Opens `bytes` and reads what is in them.
///
/// # Panics
/// If an error isn't one line that names the file, a tensor isn't what was announced, or too much memory is taken.
pub fn check(bytes: &[u8]) {
    let (opened, peak) = peak_of(|| Checkpoint::from_bytes("fuzzed", bytes.to_vec()));
    assert!(peak <= 2 * bytes.len() + OPENING, "opening {} bytes took {peak}", bytes.len());
    let checkpoint = match opened {
        Ok(checkpoint) => checkpoint,
        Err(error) => return check_message(&error.to_string()),
    };
    for info in checkpoint.infos() {
        let claimed = info.shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
        let Some(elements) = claimed.filter(|elements| *elements <= LARGE) else {
            continue;
        };
        let (read, peak) = peak_of(|| checkpoint.tensor(info.name));
        // Eight bytes for the widest element.
        assert!(
            peak <= 2 * bytes.len() + 2 * 8 * elements + READING,
            "reading {elements} elements from {} bytes took {peak}",
            bytes.len()
        );
        match read {
            Ok(data) => assert_eq!(data.shape().as_slice(), info.shape),
            Err(error) => check_message(&error.to_string()),
        }
    }
}

fn check_message(message: &str) {
    assert!(message.contains("fuzzed"), "no file in: {message}");
    assert!(!message.contains('\n'), "more than one line: {message}");
}

fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = work();
    (result, MEMORY.peak_usage().saturating_sub(before))
}
