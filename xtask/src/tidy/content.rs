//! What no file may hold.

use super::tree::{Tree, as_text};

/// The most a binary file may have, in bytes: the history of a repository keeps every version of it.
const MAX_BINARY_BYTES: usize = 100_000;

/// Unfinished or left-over code. (Written in parts, so that this file passes.)
const UNFINISHED: [&str; 4] =
    [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("db", "g!("), concat!("#[ign", "ore")];

/// What begins an exception from the lint against it.
const UNSAFE: &str = concat!("uns", "afe_code");

/// The beginnings of paths that exist on somebody's machine only.
const MACHINE_PATHS: [&str; 6] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/tm", "p/"),
    concat!("/wo", "rk/"),
    concat!("C:", "\\"),
];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    tree.files().flat_map(|(path, content)| check_file(path, content)).collect()
}

fn check_file(path: &str, content: &[u8]) -> Vec<String> {
    let Some(text) = as_text(content) else {
        let too_large = content.len() > MAX_BINARY_BYTES;
        let finding =
            format!("{path}: is binary and has {} bytes, more than {MAX_BINARY_BYTES}", content.len());
        return too_large.then_some(finding).into_iter().collect();
    };
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{path}:{}", number + 1);
        if path.ends_with(".rs")
            && let Some(left_over) = UNFINISHED.iter().find(|left_over| line.contains(**left_over))
        {
            findings.push(format!("{place}: `{left_over}` is unfinished work"));
        }
        if path.ends_with(".rs") && !path.starts_with("crates/kernels/") && line.contains(UNSAFE) {
            findings.push(format!("{place}: only crates/kernels may have `{UNSAFE}`"));
        }
        if let Some(machine_path) =
            MACHINE_PATHS.iter().find(|machine_path| begins_a_path(line, machine_path))
        {
            findings.push(format!("{place}: a path below `{machine_path}` is there on one machine only"));
        }
    }
    findings
}

/// Whether `start` stands in `line` as the beginning of a path, not in the middle of one or of an address.
fn begins_a_path(line: &str, start: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || "_-.~/$}*".contains(c);
    line.match_indices(start).any(|(position, _)| !line[..position].ends_with(continues))
}

#[cfg(test)]
mod tests {
    use super::{MACHINE_PATHS, MAX_BINARY_BYTES, UNFINISHED, UNSAFE, check};
    use crate::tidy::tree::Tree;

    #[test]
    fn unfinished_code_is_found_with_its_line() {
        for left_over in UNFINISHED {
            let found = check(&Tree::of(&[("a.rs", &format!("fn a() {{\n    {left_over}\n}}\n"))]));
            assert_eq!(found.len(), 1, "{left_over}");
            assert!(found[0].starts_with("a.rs:2: "), "{found:?}");
        }
        let prose = format!("no {} in the code", UNFINISHED[0]);
        assert!(check(&Tree::of(&[("CONTRIBUTING.md", &prose)])).is_empty());
    }

    #[test]
    fn only_kernels_may_be_unsafe() {
        let code = format!("#[expect({UNSAFE}, reason = \"speed\")]\n");
        assert_eq!(check(&Tree::of(&[("crates/models/src/a.rs", &code)])).len(), 1);
        assert!(check(&Tree::of(&[("crates/kernels/src/a.rs", &code)])).is_empty());
    }

    #[test]
    fn machine_paths_are_found_in_every_file() {
        for path in MACHINE_PATHS {
            let found = check(&Tree::of(&[("docs/a.md", &format!("see `{path}me/x`"))]));
            assert_eq!(found.len(), 1, "{path}");
        }
        for fine in [format!("https://a.example{}b", MACHINE_PATHS[0]), format!("data{}b", MACHINE_PATHS[4])]
        {
            assert!(check(&Tree::of(&[("docs/a.md", &fine)])).is_empty(), "{fine}");
        }
    }

    #[test]
    fn large_binary_files_are_found() {
        let binary = "\0".repeat(MAX_BINARY_BYTES + 1);
        assert_eq!(check(&Tree::of(&[("a.png", &binary)])).len(), 1);
        assert!(check(&Tree::of(&[("a.png", &binary[1..])])).is_empty());
        assert!(check(&Tree::of(&[("a.svg", &"x".repeat(MAX_BINARY_BYTES + 1))])).is_empty());
    }
}
