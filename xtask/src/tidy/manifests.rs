//! Manifests: every dependency is pinned once, for all crates, and every crate has the workspace's lints.

use toml::{Table, Value};

use super::tree::Tree;

/// The tables of a manifest that hold dependencies.
const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, _) in tree.files().filter(|(path, _)| path.rsplit('/').next() == Some("Cargo.toml")) {
        match parse(tree, path) {
            Err(error) => findings.push(format!("{path}: {error}")),
            Ok(manifest) if path == "Cargo.toml" => findings.extend(unpinned(&manifest)),
            Ok(manifest) => findings.extend(not_inherited(path, &manifest)),
        }
    }
    findings
}

/// The manifest at `path`.
pub(super) fn parse(tree: &Tree, path: &str) -> Result<Table, String> {
    let text = tree.text(path).ok_or("is missing or no text")?;
    text.parse().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// All dependencies of a manifest, those of single targets too.
pub(super) fn dependencies(manifest: &Table) -> impl Iterator<Item = (&str, &Value)> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let holders = [manifest].into_iter().chain(targets.filter_map(Value::as_table));
    let tables = holders.flat_map(|holder| KINDS.iter().filter_map(|kind| holder.get(*kind)?.as_table()));
    tables.flatten().map(|(name, value)| (name.as_str(), value))
}

fn unpinned(root: &Table) -> Vec<String> {
    let workspace = root.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    let dependencies = workspace.and_then(Value::as_table).into_iter().flatten();
    let loose = dependencies.filter(|(_, value)| {
        let version = value.as_str().or_else(|| value.get("version")?.as_str());
        value.get("path").is_none() && !version.is_some_and(|version| version.starts_with('='))
    });
    loose
        .map(|(name, _)| format!("Cargo.toml: `{name}` is not pinned; write its version as \"=x.y.z\""))
        .collect()
}

fn not_inherited(path: &str, manifest: &Table) -> Vec<String> {
    let inherits = |value: &Value| value.get("workspace").and_then(Value::as_bool) == Some(true);
    let mut findings: Vec<String> = dependencies(manifest)
        .filter(|(_, value)| !inherits(value))
        .map(|(name, _)| format!("{path}: `{name}` has to be `{name}.workspace = true`, pinned in the root"))
        .collect();
    if !manifest.get("lints").is_some_and(inherits) {
        findings.push(format!("{path}: lacks `[lints]` with `workspace = true`"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::Tree;

    const GOOD: &str = "[lints]\nworkspace = true\n[dependencies]\nserde.workspace = true\n";

    #[test]
    fn pinned_and_inherited_is_fine() {
        let root = "[workspace.dependencies]\nserde = \"=1.0.2\"\nburn = { version = \"=0.22.1\" }\nown = { path = \"x\" }\n";
        assert!(check(&Tree::of(&[("Cargo.toml", root), ("crates/a/Cargo.toml", GOOD)])).is_empty());
    }

    #[test]
    fn loose_versions_are_found() {
        let root = "[workspace.dependencies]\na = \"1.0\"\nb = { version = \"^2\" }\nc = \"=3.0.0\"\n";
        let findings = check(&Tree::of(&[("Cargo.toml", root)]));
        assert_eq!(findings.len(), 2);
        assert!(findings[0].contains("`a`") && findings[1].contains("`b`"), "{findings:?}");
    }

    #[test]
    fn own_versions_and_lints_are_found() {
        let crate_toml =
            "[dev-dependencies]\nserde = \"=1.0.2\"\n[target.'cfg(unix)'.dependencies]\nlibc = \"1\"\n";
        let findings = check(&Tree::of(&[("crates/a/Cargo.toml", crate_toml)]));
        assert_eq!(findings.len(), 3);
        assert!(findings[0].contains("`serde`") && findings[1].contains("`libc`"), "{findings:?}");
        assert!(findings[2].contains("[lints]"), "{findings:?}");
    }

    #[test]
    fn a_broken_manifest_is_named() {
        let findings = check(&Tree::of(&[("crates/a/Cargo.toml", "[lints")]));
        assert!(findings[0].starts_with("crates/a/Cargo.toml: "), "{findings:?}");
    }
}
