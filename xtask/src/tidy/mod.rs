//! `cargo xtask tidy`: what the compiler and clippy don't check.
//!
//! Each check looks at a [`Tree`] and gives its findings as lines that start with the path of a file.

mod anatomy;
mod arrows;
mod content;
mod golden;
mod manifests;
mod tree;

use anyhow::{Result, ensure};

use crate::cargo::root;
use tree::Tree;

/// Runs all checks on the files that git knows, and prints what they find.
pub(crate) fn run() -> Result<()> {
    let tree = Tree::of_git(root())?;
    let checks = [arrows::check, manifests::check, anatomy::check, golden::check, content::check];
    let findings: Vec<String> = checks.iter().flat_map(|check| check(&tree)).collect();
    for finding in &findings {
        println!("{finding}");
    }
    ensure!(findings.is_empty(), "tidy has {} findings", findings.len());
    println!("tidy: {} files are in order", tree.len());
    Ok(())
}
