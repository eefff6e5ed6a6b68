//! Running programs in the workspace.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Compiles every backend in that runs on any machine. One such build serves all checks but the plain `cargo xtask test`, which spares
/// whoever comes first the compilation of a GPU's software.
pub(crate) const WITH_BACKENDS: [&str; 2] = ["--features", "libellus-backend/ndarray,libellus-backend/wgpu"];

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// The cargo that runs this program, started at the root.
pub(crate) fn cargo() -> Command {
    command(&env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")).to_string_lossy())
}

/// A program started at the root.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Runs to the end, with the output on the terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = describe(command);
    println!("$ {line}");
    let status = command.status().with_context(|| format!("can't start `{line}`"))?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

/// Compiled tests of a library, of a program, or of a file in `tests`.
pub(crate) struct Tests {
    /// The package that they are of.
    pub(crate) package: String,
    /// The library, program or file.
    pub(crate) target: String,
    /// The package's, where they have to run.
    pub(crate) folder: PathBuf,
    pub(crate) executable: String,
}

/// Compiles all tests of the workspace with all backends, those in documentation excepted.
pub(crate) fn tests() -> Result<Vec<Tests>> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--tests", "--no-run", "--message-format=json"]).args(WITH_BACKENDS);
    println!("$ {}", describe(&command));
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the tests can't be built");
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(compiled_tests).collect())
}

/// The unit tests of the kernels, likewise.
pub(crate) fn tests_of_kernels() -> Result<Tests> {
    let kernels = tests()?.into_iter().find(|tests| tests.target == "libellus_kernels");
    kernels.context("cargo names no tests of libellus-kernels")
}

/// Those that a line of cargo's messages names.
fn compiled_tests(message: &str) -> Option<Tests> {
    let message: Value = serde_json::from_str(message).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
    let test = message["profile"]["test"].as_bool()?;
    // A package is `path#name@version`, or `path#version` if the folder has its name.
    let (_, package) = message["package_id"].as_str()?.rsplit_once('#')?;
    let package = match package.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => folder.file_name()?.to_str()?.to_owned(),
    };
    let [target, executable] = [&message["target"]["name"], &message["executable"]].map(text);
    test.then_some(Tests { package, target: target?, folder, executable: executable? })
}

/// The command as one types it.
fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = [program].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
