//! Architectures and applications look alike, and an architecture is entered everywhere it has to be.

use super::tree::Tree;

/// The files of an architecture's folder.
const ARCHITECTURE: [&str; 5] = ["mod.rs", "config.rs", "model.rs", "weights.rs", "tests.rs"];

/// The files of an application's `src`.
const APPLICATION: [&str; 5] = ["lib.rs", "data.rs", "task.rs", "train.rs", "infer.rs"];

const MODELS: &str = "crates/models/src";
const REGISTRY: &str = "crates/models/src/registry.rs";
const CHANGELOG: &str = "CHANGELOG.md";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for name in tree.folders(MODELS) {
        findings.extend(missing(tree, &format!("{MODELS}/{name}"), &ARCHITECTURE));
        findings.extend(not_entered(tree, name));
    }
    for name in tree.folders("crates/apps") {
        findings.extend(missing(tree, &format!("crates/apps/{name}/src"), &APPLICATION));
    }
    findings
}

fn missing(tree: &Tree, folder: &str, files: &[&str]) -> Vec<String> {
    let paths = files.iter().map(|file| format!("{folder}/{file}"));
    paths.filter(|path| !tree.contains(path)).map(|path| format!("{path}: is missing")).collect()
}

/// The three places besides its folder where an architecture has to be.
fn not_entered(tree: &Tree, name: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if !tree.text(REGISTRY).is_some_and(|registry| has_word(registry, name)) {
        findings.push(format!("{REGISTRY}: has no preset of the architecture `{name}`"));
    }
    if !tree.text(CHANGELOG).is_some_and(|changelog| has_word(changelog, &format!("models::{name}"))) {
        findings.push(format!("{CHANGELOG}: has no line about the architecture; mention `models::{name}`"));
    }
    let script = format!("crates/models/tests/golden/{name}.py");
    if !tree.contains(&script) {
        findings.push(format!(
            "{script}: is missing; it makes the golden file from the reference implementation"
        ));
    }
    findings
}

/// Whether `word` stands in `text` with no letter, digit or underscore beside it.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(start, _)| {
        !text[..start].ends_with(is_part) && !text[start + word.len()..].starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::{check, has_word};
    use crate::tidy::tree::Tree;

    const COMPLETE: [(&str, &str); 13] = [
        ("crates/models/src/vit/mod.rs", ""),
        ("crates/models/src/vit/config.rs", ""),
        ("crates/models/src/vit/model.rs", ""),
        ("crates/models/src/vit/weights.rs", ""),
        ("crates/models/src/vit/tests.rs", ""),
        ("crates/models/src/registry.rs", "use crate::vit;"),
        ("crates/models/tests/golden/vit.py", ""),
        ("CHANGELOG.md", "- `models::vit`: Vision Transformer"),
        ("crates/apps/graph/src/lib.rs", ""),
        ("crates/apps/graph/src/data.rs", ""),
        ("crates/apps/graph/src/task.rs", ""),
        ("crates/apps/graph/src/train.rs", ""),
        ("crates/apps/graph/src/infer.rs", ""),
    ];

    #[test]
    fn a_complete_tree_is_fine() {
        assert!(check(&Tree::of(&COMPLETE)).is_empty());
    }

    #[test]
    fn each_missing_file_is_found() {
        for missing in 0..COMPLETE.len() {
            let mut files = COMPLETE.to_vec();
            let (path, _) = files.remove(missing);
            let findings = check(&Tree::of(&files));
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert!(findings[0].starts_with(&format!("{path}: ")), "{findings:?}");
        }
    }

    #[test]
    fn another_name_does_not_count() {
        for (path, text) in
            [("crates/models/src/registry.rs", "use crate::vit_b;"), ("CHANGELOG.md", "`models::vit3`")]
        {
            let files = COMPLETE.map(|(known, old)| (known, if known == path { text } else { old }));
            assert_eq!(check(&Tree::of(&files)).len(), 1, "{path}");
        }
    }

    #[test]
    fn words_have_edges() {
        assert!(has_word("resnet, vit", "vit"));
        assert!(has_word("cifar_resnet resnet", "resnet"));
        assert!(!has_word("cifar_resnet", "resnet"));
    }
}
