//! Parallel texts: what is translated, and into what.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use libellus_data::{read_table, sample_rng};
use rand::seq::SliceRandom;

use crate::common::name_of;
use crate::error::TextError;

/// The columns of a `.jsonl` or `.csv` file.
const COLUMNS: [&str; 2] = ["source", "target"];

/// A text and its translations, each of which is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What is translated.
    pub source: String,
    /// The translations, at least one.
    pub targets: Vec<String>,
}

/// Where parallel texts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parallel {
    /// One file with both.
    ///
    /// - `.jsonl`, `.csv`: the columns `source` and `target`;
    /// - `.dict`: the form of the CMU Pronouncing Dictionary, in which a word's letters are translated into sounds: `word AH0 B`, another
    ///   pronunciation as `word(2) ...`, remarks behind `#`;
    /// - any other: a source, a tab and a target in each line, and behind another tab what is not read.
    Table(PathBuf),
    /// Two files, in which equal lines belong together.
    Lines {
        /// The sources.
        source: PathBuf,
        /// The targets.
        target: PathBuf,
    },
}

impl Parallel {
    /// What to call it: the name of the file, of the first of two, without an extension.
    pub fn name(&self) -> String {
        let (Self::Table(path) | Self::Lines { source: path, .. }) = self;
        name_of(path)
    }

    /// Whether it is a pronouncing dictionary.
    pub fn is_dictionary(&self) -> bool {
        matches!(self, Self::Table(path) if extension(path) == "dict")
    }

    /// All pairs, in the order in which sources first come; translations of the same source are together.
    ///
    /// # Errors
    /// When a file can't be read, is no UTF-8 or not in its form, when two files have not as many lines, and when there is no pair.
    pub fn read(&self) -> Result<Vec<Pair>, TextError> {
        let pairs = match self {
            Self::Table(path) => match &extension(path)[..] {
                "jsonl" | "csv" => {
                    let rows = read_table(path, COLUMNS)?;
                    rows.into_iter().map(|row| row.fields.into()).collect()
                }
                "dict" => dictionary(path)?,
                _ => tabs(path)?,
            },
            Self::Lines { source, target } => {
                let (sources, targets) = (read(source)?, read(target)?);
                let count = |text: &str| text.lines().count();
                if count(&sources) != count(&targets) {
                    return Err(TextError::OtherLines {
                        source_path: source.clone(),
                        source_lines: count(&sources),
                        target_path: target.clone(),
                        target_lines: count(&targets),
                    });
                }
                let lines = sources.lines().zip(targets.lines());
                lines.map(|(source, target)| (source.to_owned(), target.to_owned())).collect()
            }
        };
        let pairs = gather(pairs);
        let (Self::Table(path) | Self::Lines { source: path, .. }) = self;
        if pairs.is_empty() { Err(TextError::NoPairs { path: path.clone() }) } else { Ok(pairs) }
    }
}

/// Sounds of a dictionary without the digit that says how a vowel is stressed: `AH0 B AW1 T` becomes `AH B AW T`.
pub(super) fn without_stress(pairs: Vec<Pair>) -> Vec<Pair> {
    let sounds = |target: &str| {
        let sounds =
            target.split_whitespace().map(|sound| sound.trim_end_matches(|c: char| c.is_ascii_digit()));
        sounds.collect::<Vec<_>>().join(" ")
    };
    let all =
        pairs.iter().flat_map(|pair| pair.targets.iter().map(|target| (pair.source.clone(), sounds(target))));
    gather(all.collect())
}

/// Pairs of which these parts are held back, by source: a random choice that depends on `seed` alone. What remains comes first.
///
/// # Panics
/// When a share is not in [0, 1].
pub(super) fn hold_back(mut pairs: Vec<Pair>, shares: [f64; 2], seed: u64) -> [Vec<Pair>; 3] {
    assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "shares {shares:?} must be in [0, 1]");
    pairs.shuffle(&mut sample_rng(seed, u64::MAX, 1));
    let [first, second] = shares.map(|share| (pairs.len() as f64 * share).ceil() as usize);
    let second = pairs.split_off(pairs.len() - second.min(pairs.len()));
    let first = pairs.split_off(pairs.len() - first.min(pairs.len()));
    [pairs, first, second]
}

fn extension(path: &Path) -> String {
    path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase()
}

fn read(path: &Path) -> Result<String, TextError> {
    let path = || path.to_path_buf();
    let bytes = fs::read(path()).map_err(|source| TextError::Io { action: "read", path: path(), source })?;
    String::from_utf8(bytes)
        .map_err(|error| TextError::NotUtf8 { path: path(), position: error.utf8_error().valid_up_to() })
}

fn tabs(path: &Path) -> Result<Vec<(String, String)>, TextError> {
    let text = read(path)?;
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let pairs = lines.map(|(line, number)| {
        let mut fields = line.split('\t');
        match (fields.next(), fields.next()) {
            (Some(source), Some(target)) => Ok((source.to_owned(), target.to_owned())),
            _ => Err(TextError::NoTab { path: path.to_path_buf(), line: number }),
        }
    });
    pairs.collect()
}

fn dictionary(path: &Path) -> Result<Vec<(String, String)>, TextError> {
    let text = read(path)?;
    let lines = text.lines().zip(1..).map(|(line, number)| (line.split('#').next().unwrap_or(""), number));
    let entries = lines.filter(|(line, _)| !line.trim().is_empty() && !line.starts_with(";;;"));
    let pairs = entries.map(|(line, number)| {
        let (word, sounds) = line
            .trim()
            .split_once(char::is_whitespace)
            .ok_or_else(|| TextError::NoSounds { path: path.to_path_buf(), line: number })?;
        let is_number = |text: &&str| text.strip_suffix(')').is_some_and(|text| text.parse::<u32>().is_ok());
        let word = match word.rsplit_once('(') {
            Some((word, number)) if is_number(&number) && !word.is_empty() => word,
            _ => word,
        };
        Ok((word.to_owned(), sounds.trim().to_owned()))
    });
    pairs.collect()
}

/// Brings translations of the same source together, and leaves out pairs one side of which is blank.
fn gather(pairs: Vec<(String, String)>) -> Vec<Pair> {
    let mut gathered: Vec<Pair> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (source, target) in pairs {
        let (source, target) = (source.trim(), target.trim());
        if source.is_empty() || target.is_empty() {
            continue;
        }
        let place = *places.entry(source.to_owned()).or_insert_with(|| {
            gathered.push(Pair { source: source.to_owned(), targets: Vec::new() });
            gathered.len() - 1
        });
        let targets = &mut gathered[place].targets;
        if !targets.iter().any(|other| other == target) {
            targets.push(target.to_owned());
        }
    }
    gathered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(source: &str, targets: &[&str]) -> Pair {
        Pair { source: source.to_owned(), targets: targets.iter().map(|&text| text.to_owned()).collect() }
    }

    fn table(name: &str, text: &str) -> Result<Vec<Pair>, TextError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a writable folder");
        Parallel::Table(path).read()
    }

    #[test]
    fn every_form_is_read() {
        let text = "go\tgeh\tCC-BY\n\nstop\thalt\ngo\tgehe\ngo\tgeh\n \tnothing\n";
        let expected = [pair("go", &["geh", "gehe"]), pair("stop", &["halt"])];
        assert_eq!(table("a.tsv", text).unwrap(), expected);
        let text = "{\"source\": \"a\", \"target\": \"b\", \"id\": 3}\n";
        assert_eq!(table("a.jsonl", text).unwrap(), [pair("a", &["b"])]);
        assert_eq!(table("a.csv", "id,target,source\n1,\"b, c\",a\n").unwrap(), [pair("a", &["b, c"])]);
        let text = ";;; a remark\n'bout B AW1 T\nread  R EH1 D # past\nread(2) R IY1 D\n(paren P AH0\n";
        let expected =
            [pair("'bout", &["B AW1 T"]), pair("read", &["R EH1 D", "R IY1 D"]), pair("(paren", &["P AH0"])];
        assert_eq!(table("a.dict", text).unwrap(), expected);
        let stressed = [pair("record", &["R AH0 K AO1 R D", "R AH1 K AO0 R D"]), pair("b", &["B IY1"])];
        assert_eq!(
            without_stress(stressed.to_vec()),
            [pair("record", &["R AH K AO R D"]), pair("b", &["B IY"])]
        );

        let folder = tempfile::tempdir().expect("a temporary folder");
        let [source, target] = ["en", "de"].map(|name| folder.path().join(name));
        fs::write(&source, "one\ntwo\n").unwrap();
        fs::write(&target, "eins\nzwei").unwrap();
        let lines = Parallel::Lines { source, target: target.clone() };
        assert_eq!(lines.read().unwrap(), [pair("one", &["eins"]), pair("two", &["zwei"])]);
        fs::write(&target, "eins\n").unwrap();
        let error = lines.read().unwrap_err().to_string();
        assert!(error.contains("en has 2 lines") && error.contains("de 1"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |name: &str, text: &str| table(name, text).unwrap_err().to_string();
        assert!(error("a.tsv", "a\tb\nno tab\n").contains("a.tsv line 2"));
        assert!(error("a.dict", "\nword\n").contains("a.dict line 2"));
        assert!(error("a.tsv", "\n").contains("a.tsv"));
    }

    #[test]
    fn what_is_held_back_depends_on_the_seed_alone() {
        let pairs: Vec<Pair> = (0..100).map(|n| pair(&n.to_string(), &["x"])).collect();
        let parts = hold_back(pairs.clone(), [0.05, 0.1], 3);
        assert_eq!(parts.each_ref().map(Vec::len), [85, 5, 10]);
        let mut all: Vec<u32> = parts.iter().flatten().map(|pair| pair.source.parse().unwrap()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        assert_eq!(hold_back(pairs.clone(), [0.05, 0.1], 3), parts);
        assert_eq!(hold_back(pairs.clone(), [0.0, 0.1], 3)[2], parts[2]);
        assert_ne!(hold_back(pairs, [0.05, 0.1], 4)[2], parts[2]);
    }
}
