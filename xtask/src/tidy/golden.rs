//! Golden files are small and stand beside the script that made them.

use super::tree::Tree;

/// The most a golden file may have, in bytes.
const MAX_BYTES: usize = 100_000;

/// What scripts write.
const DATA: [&str; 3] = ["safetensors", "json", "npz"];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, content) in tree.files() {
        let Some((folder, file)) =
            path.rsplit_once('/').filter(|(folder, _)| folder.ends_with("tests/golden"))
        else {
            continue;
        };
        if content.len() > MAX_BYTES {
            findings.push(format!("{path}: has {} bytes, more than {MAX_BYTES}", content.len()));
        }
        if let Some((stem, extension)) = file.rsplit_once('.')
            && DATA.contains(&extension)
            && !has_script(tree, folder, stem)
        {
            findings.push(format!("{path}: has no script that made it; expected {folder}/{stem}.py"));
        }
    }
    findings
}

/// Whether a script has this name or, since one script may write several files, its beginning up to a `_` or `.`.
fn has_script(tree: &Tree, folder: &str, stem: &str) -> bool {
    let ends = stem.match_indices(['_', '.']).map(|(end, _)| end).chain([stem.len()]);
    ends.into_iter().any(|end| tree.contains(&format!("{folder}/{}.py", &stem[..end])))
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, check};
    use crate::tidy::tree::Tree;

    #[test]
    fn data_beside_its_script_is_fine() {
        let tree = Tree::of(&[
            ("crates/a/tests/golden/resnet.py", ""),
            ("crates/a/tests/golden/resnet.safetensors", ""),
            ("crates/a/tests/golden/resnet_tiny.json", ""),
            ("crates/a/src/other.json", ""),
        ]);
        assert!(check(&tree).is_empty());
    }

    #[test]
    fn data_without_script_is_found() {
        let tree =
            Tree::of(&[("crates/a/tests/golden/res.py", ""), ("crates/a/tests/golden/resnet.json", "")]);
        assert_eq!(check(&tree).len(), 1);
    }

    #[test]
    fn large_files_are_found() {
        let large = "x".repeat(MAX_BYTES + 1);
        let tree = Tree::of(&[("crates/a/tests/golden/a.py", ""), ("crates/a/tests/golden/a.json", &large)]);
        assert_eq!(check(&tree).len(), 1);
    }
}
