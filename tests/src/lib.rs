//! What the whole-program tests share: the program itself, small data sets, and a folder for each test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use tempfile::TempDir;

/// The `libellus` program of this build. `cargo test --workspace` has built it before any test runs; alone, this crate
/// builds it on first use.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let program = assert_cmd::cargo::cargo_bin("libellus");
    if !program.exists() {
        let status = Command::new(env!("CARGO")).args(["build", "--package", "libellus-cli"]).status();
        assert!(status.is_ok_and(|status| status.success()), "`cargo build --package libellus-cli` failed");
    }
    program
});

/// Says that a test was skipped, and why.
#[expect(clippy::print_stdout, reason = "the runner shows it with the test")]
pub fn skipped(why: &str) {
    println!("skipped: {why}");
}

/// A folder of its own for a test, with the program to run in it.
#[derive(Debug)]
pub struct Bench {
    folder: TempDir,
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Bench {
    /// An empty folder.
    ///
    /// # Panics
    /// When the system has no room for one.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The program with these words as arguments (split at spaces), to be run in the folder, untouched by the
    /// environment of whoever runs the tests.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(&*PROGRAM);
        command.args(arguments.split_whitespace()).current_dir(self.path());
        command
            .env_remove("LIBELLUS_DATA")
            .env_remove("LIBELLUS_LOG")
            .env("XDG_CACHE_HOME", self.path().join("cache"));
        command
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn run(&self, arguments: &str) -> Ran {
        Ran::from(self.command(arguments).output().expect("the program starts"))
    }

    /// Runs the program, which has to succeed, and gives what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub fn succeed(&self, arguments: &str) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "libellus {arguments}\n{}\n{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Runs the program to its end, with `input` as its standard input.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn run_with(&self, arguments: &str, input: &[u8]) -> Ran {
        let input = File::open(self.write("standard-input", input)).expect("it was written");
        Ran::from(self.command(arguments).stdin(input).output().expect("the program starts"))
    }

    /// Runs the program, which has to fail with `code` and say one line that contains all of `says`; no panic, no
    /// backtrace.
    ///
    /// # Panics
    /// When it does otherwise.
    pub fn fail(&self, arguments: &str, code: i32, says: &[&str]) {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(code), "libellus {arguments}\n{}\n{}", ran.stdout, ran.stderr);
        let lines: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("error:")).collect();
        assert_eq!(lines.len(), 1, "one line of error\n{}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        for part in says {
            assert!(lines[0].contains(part), "{part:?} is not in\n{}", ran.stderr);
        }
    }

    /// Writes a file, with its folders.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// Makes a folder of images: `count` of each class, 9x9 pixels, bright on the left or on the right.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn left_and_right(&self, name: &str, count: usize) -> PathBuf {
        for (class, bright) in [("left", 0..4_u32), ("right", 5..9)] {
            for number in 0..count {
                let image = image::GrayImage::from_fn(9, 9, |x, y| {
                    let noise = (x * 31 + y * 17 + number as u32 * 13) % 60;
                    image::Luma([if bright.contains(&x) { 190 + noise as u8 } else { noise as u8 }])
                });
                let path = self.path().join(name).join(class).join(format!("{number}.png"));
                std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
                image.save(path).expect("an image");
            }
        }
        self.path().join(name)
    }
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; `None` when it was killed.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said beside.
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
