//! `cargo xtask docs`

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::cargo::{self, cargo, command, root};

/// Builds the API documentation and the book.
pub(crate) fn run() -> Result<()> {
    api()?;
    let has_mdbook = Command::new("mdbook").arg("--version").stdout(Stdio::null()).status().is_ok();
    match (root().join("docs/book.toml").exists(), has_mdbook) {
        (true, true) => cargo::run(command("mdbook").args(["build", "docs"]))?,
        (true, false) => {
            println!("the book in docs/ is not built: mdbook is not installed (`cargo install mdbook`)")
        }
        (false, _) => {}
    }
    Ok(())
}

/// Builds the API documentation of all crates; a warning is an error.
pub(crate) fn api() -> Result<()> {
    cargo::run(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}
