//! Which crate may use which.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::manifests::{dependencies, parse};
use super::tree::Tree;

/// The crates, those that know least first: each may use those before it. `apps` stands for all applications, which
/// never use one another.
const ORDER: [&str; 13] = [
    "backend", "kernels", "layers", "losses", "optim", "weights", "models", "data", "train", "inspect",
    "apps", "libellus", "cli",
];

/// What a crate must not use although the order would let it.
const FORBIDDEN: [Forbidden; 4] = [
    Forbidden {
        by: |folder| folder == "data",
        of: |dependency| dependency.starts_with("burn") || dependency.starts_with("libellus"),
        because: "data knows no tensors and no models",
    },
    Forbidden {
        by: |folder| folder == "models",
        of: |dependency| ["libellus-losses", "libellus-optim"].contains(&dependency),
        because: "an architecture knows neither losses nor how it is trained",
    },
    Forbidden {
        by: |folder| folder != "kernels" && folder != "backend",
        of: |dependency| dependency.starts_with("cubecl") || dependency.starts_with("wgpu"),
        because: "only kernels and backend know what is beneath burn",
    },
    Forbidden {
        by: |folder| folder != "cli",
        of: |dependency| dependency == "anyhow",
        because: "libraries have errors with types",
    },
];

struct Forbidden {
    by: fn(folder: &str) -> bool,
    of: fn(dependency: &str) -> bool,
    because: &'static str,
}

/// A crate under `crates/`.
struct Member {
    path: String,
    /// Its name in [`ORDER`].
    folder: String,
    manifest: Table,
}

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let members: BTreeMap<String, Member> = members(tree);
    members.iter().flat_map(|(package, member)| check_member(package, member, &members)).collect()
}

fn members(tree: &Tree) -> BTreeMap<String, Member> {
    let mut members = BTreeMap::new();
    for (path, _) in tree.files() {
        let folder = match path.split('/').collect::<Vec<_>>()[..] {
            ["crates", "apps", _, "Cargo.toml"] => "apps",
            ["crates", folder, "Cargo.toml"] => folder,
            _ => continue,
        };
        // What is no manifest is found by the check of manifests.
        let Ok(manifest) = parse(tree, path) else { continue };
        let package = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
        let package = package.unwrap_or_default().to_owned();
        members.insert(package, Member { path: path.to_owned(), folder: folder.to_owned(), manifest });
    }
    members
}

fn check_member(package: &str, member: &Member, members: &BTreeMap<String, Member>) -> Vec<String> {
    let Member { path, folder, manifest } = member;
    let place = |folder: &str| ORDER.iter().position(|known| *known == folder);
    let Some(own_place) = place(folder) else {
        return vec![format!("{path}: this crate has no place in the order of xtask/src/tidy/arrows.rs")];
    };
    let mut findings = Vec::new();
    let expected = match path.split('/').rev().nth(1) {
        Some("libellus") => "libellus".to_owned(),
        folder => format!("libellus-{}", folder.unwrap_or_default()),
    };
    if package != expected {
        findings.push(format!("{path}: the package in this folder has to be named `{expected}`"));
    }
    for (dependency, _) in dependencies(manifest) {
        if let Some(other) = members.get(dependency)
            && place(&other.folder).is_some_and(|other_place| other_place >= own_place)
        {
            let reason = match (folder.as_str(), other.folder.as_str()) {
                ("apps", "apps") => "move what both applications need into a crate before them".to_owned(),
                (own, other) => format!("{other} comes after {own} in the order of crates"),
            };
            findings.push(format!("{path}: must not use `{dependency}`: {reason}"));
        }
        for rule in FORBIDDEN.iter().filter(|rule| (rule.by)(folder) && (rule.of)(dependency)) {
            findings.push(format!("{path}: must not use `{dependency}`: {}", rule.because));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::Tree;

    fn tree(crates: &[(&str, &str, &str)]) -> Tree {
        let files: Vec<(String, String)> = crates
            .iter()
            .map(|(folder, package, dependencies)| {
                let manifest = format!("[package]\nname = \"{package}\"\n{dependencies}");
                (format!("crates/{folder}/Cargo.toml"), manifest)
            })
            .collect();
        Tree::of(&files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>())
    }

    #[test]
    fn arrows_to_crates_before_are_fine() {
        let found = check(&tree(&[
            ("backend", "libellus-backend", "[dependencies]\nburn.workspace = true\n"),
            ("layers", "libellus-layers", "[dependencies]\nlibellus-backend.workspace = true\n"),
            ("apps/graph", "libellus-graph", "[dev-dependencies]\nlibellus-layers.workspace = true\n"),
            (
                "libellus",
                "libellus",
                "[dependencies]\nlibellus-graph = { workspace = true, optional = true }\n",
            ),
            ("cli", "libellus-cli", "[dependencies]\nlibellus.workspace = true\nclap.workspace = true\n"),
        ]));
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn arrows_to_crates_after_are_found() {
        for table in
            ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"]
        {
            let found = check(&tree(&[
                ("layers", "libellus-layers", &format!("[{table}]\nlibellus-models.workspace = true\n")),
                ("models", "libellus-models", ""),
            ]));
            let line = "crates/layers/Cargo.toml: must not use `libellus-models`: models comes after layers in the \
                        order of crates";
            assert_eq!(found, [line]);
        }
    }

    #[test]
    fn applications_do_not_use_one_another() {
        let found = check(&tree(&[
            ("apps/a", "libellus-a", "[dependencies]\nlibellus-b.workspace = true\n"),
            ("apps/b", "libellus-b", ""),
        ]));
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("both applications"), "{found:?}");
    }

    #[test]
    fn what_a_crate_must_not_know_is_found() {
        for (folder, dependency) in [
            ("data", "burn"),
            ("data", "libellus-backend"),
            ("models", "libellus-losses"),
            ("layers", "cubecl"),
            ("train", "anyhow"),
        ] {
            let dependencies = format!("[dependencies]\n{dependency}.workspace = true\n");
            let found = check(&tree(&[(folder, &format!("libellus-{folder}"), &dependencies)]));
            assert_eq!(found.len(), 1, "{folder} uses {dependency}: {found:?}");
        }
    }

    #[test]
    fn folders_and_packages_have_one_name() {
        assert!(check(&tree(&[("layers", "layers", "")]))[0].contains("has to be named `libellus-layers`"));
        assert!(check(&tree(&[("misc", "libellus-misc", "")]))[0].contains("no place in the order"));
    }
}
