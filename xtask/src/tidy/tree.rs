//! The files of a checkout.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The files of a checkout in memory, by their path from the root with `/` between the parts.
pub(super) struct Tree {
    files: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    /// The files that git tracks, and those that it would with `git add --all`.
    pub(super) fn of_git(root: &Path) -> Result<Self> {
        let mut git = Command::new("git");
        git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed = git.output().context("can't start git, which lists the files to check")?;
        ensure!(
            listed.status.success(),
            "git can't list the files: {}",
            String::from_utf8_lossy(&listed.stderr)
        );

        let mut files = BTreeMap::new();
        for path in
            String::from_utf8(listed.stdout).context("a file's name is not UTF-8")?.split_terminator('\0')
        {
            match fs::read(root.join(path)) {
                Ok(content) => drop(files.insert(path.to_owned(), content)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("can't read {path}")),
            }
        }
        Ok(Self { files })
    }

    /// A made-up checkout.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
        Self { files: files.collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    pub(super) fn contains(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Every file with its content, sorted by path.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// The file as text, when it exists and is text.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).and_then(|content| as_text(content))
    }

    /// The names of the folders directly in `parent`.
    pub(super) fn folders(&self, parent: &str) -> BTreeSet<&str> {
        let below = self.files.keys().filter_map(|path| path.strip_prefix(parent)?.strip_prefix('/'));
        below.filter_map(|path| path.split_once('/')).map(|(folder, _)| folder).collect()
    }
}

/// The content of a text file; nothing for a binary one.
pub(super) fn as_text(content: &[u8]) -> Option<&str> {
    std::str::from_utf8(content).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::{Tree, as_text};

    #[test]
    fn folders_are_those_directly_inside() {
        let tree = Tree::of(&[
            ("a/b/c.rs", ""),
            ("a/b/d/e.rs", ""),
            ("a/f/g.rs", ""),
            ("a/h.rs", ""),
            ("ab/i/j.rs", ""),
        ]);
        assert_eq!(tree.folders("a").into_iter().collect::<Vec<_>>(), ["b", "f"]);
        assert!(tree.folders("none").is_empty());
    }

    #[test]
    fn binary_is_what_is_no_text() {
        assert_eq!(as_text("grün".as_bytes()), Some("grün"));
        assert_eq!(as_text(b"\x89PNG"), None);
        assert_eq!(as_text(b"a\0b"), None);
    }
}
