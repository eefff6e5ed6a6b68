//! What a person chooses for a run, on the command line and in a file.
//!
//! An application's options are one flat struct of `Option`s that serde writes as TOML: flags fill it, a file fills it,
//! [`RunOptions::or`] lays one over the other, and a run directory keeps the result as `config.toml`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::TrainError;
use crate::run_dir::RunDir;

/// Options that can't be read, or that can't be met.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A configuration file is wrong.
    #[error("{} line {line} `{text}`: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The line itself.
        text: String,
        /// What is wrong there.
        reason: String,
    },
    /// A configuration file can't be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An option is out of its range, or contradicts another.
    #[error("--{option}{}{value}: {reason}", if value.is_empty() { "" } else { " " })]
    Option {
        /// The option, as on the command line.
        option: &'static str,
        /// The value given.
        value: String,
        /// What is allowed.
        reason: String,
    },
}

impl OptionsError {
    /// An option with a value that can't be met.
    pub fn option(option: &'static str, value: impl ToString, reason: impl Into<String>) -> Self {
        Self::Option { option, value: value.to_string(), reason: reason.into() }
    }

    /// Whether the choices were wrong, rather than a file that couldn't be read.
    pub fn is_wrong_arguments(&self) -> bool {
        !matches!(self, Self::Read { .. })
    }
}

/// What a person chooses for a run: a flat struct of `Option`s, whose fields are flags of a command and keys of a file.
pub trait RunOptions: Clone + Default + Serialize + DeserializeOwned {
    /// What lists the options when it gets `--help`.
    const COMMAND: &'static str;
    /// Keys of which one, where it is given, displaces the other.
    const ALTERNATIVES: &'static [[&'static str; 2]] = &[];

    /// Reads a configuration file.
    ///
    /// # Errors
    /// When the file can't be read, is no TOML, or has an unknown key or a value of the wrong kind.
    fn from_file(path: &Path) -> Result<Self, OptionsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| OptionsError::Read { path: path.to_path_buf(), source })?;
        Self::from_toml(&text, path)
    }

    /// Reads the text of a configuration file; `path` is for messages.
    ///
    /// # Errors
    /// When it is no TOML, or has an unknown key or a value of the wrong kind.
    fn from_toml(text: &str, path: &Path) -> Result<Self, OptionsError> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count());
            OptionsError::File {
                path: path.to_path_buf(),
                line: line + 1,
                text: text.lines().nth(line).unwrap_or_default().trim().to_owned(),
                // The parser lists all known keys behind an unknown one; `--help` does that better.
                reason: match error.message().split_once(", expected one of") {
                    Some((unknown, _)) => format!("{unknown}; `{} --help` lists the options", Self::COMMAND),
                    None => error.message().lines().next().unwrap_or_default().to_owned(),
                },
            }
        })
    }

    /// The same choices as text of a configuration file.
    ///
    /// # Panics
    /// When they aren't a flat table of numbers, strings and lists.
    fn to_toml(&self) -> String {
        toml::to_string(self).expect("options are a flat table")
    }

    /// These choices, and those of `others` where these leave one open.
    ///
    /// # Panics
    /// When they aren't a flat table of numbers, strings and lists.
    #[must_use]
    fn or(&self, others: &Self) -> Self {
        merge(self, others, Self::ALTERNATIVES)
    }

    /// The options of a run: these, or where it goes on those that it was begun with, but for `device`, `threads` and `workers`, which
    /// may be given anew.
    ///
    /// # Errors
    /// When the run's configuration can't be read or understood, or was another one than these.
    ///
    /// # Panics
    /// When they aren't a flat table of numbers, strings and lists.
    fn at<E: From<OptionsError> + From<TrainError>>(&self, place: &Place) -> Result<Self, E> {
        let Place::Resume(folder) = place else { return Ok(self.clone()) };
        let saved = Self::from_toml(&RunDir::read_config(folder)?, &folder.join("config.toml"))?;
        let (free, fixed): (toml::Table, toml::Table) =
            table(self).into_iter().partition(|(key, _)| FREE.contains(&key.as_str()));
        refuse_other_options(&fixed, &saved)?;
        let mut options = table(&saved);
        options.extend(free);
        Ok(options.try_into().expect("a union of two sets of options is one"))
    }
}

/// What a run may be given anew when it goes on, since the result doesn't depend on it.
const FREE: [&str; 3] = ["device", "threads", "workers"];

/// These choices, and those of `others` where these leave one open. Of two keys that are `alternatives`, one that is given
/// here displaces the other's value there.
fn merge<T: Serialize + DeserializeOwned>(these: &T, others: &T, alternatives: &[[&str; 2]]) -> T {
    let given = table(these);
    let displaced = |key: &str| {
        alternatives.iter().any(|&[one, other]| {
            key == one && given.contains_key(other) || key == other && given.contains_key(one)
        })
    };
    let mut merged = given.clone();
    for (key, value) in table(others) {
        if !displaced(&key) {
            merged.entry(key).or_insert(value);
        }
    }
    merged.try_into().expect("a union of two sets of options is one")
}

/// Refuses to go on with a run, which was begun with the options `saved`, in another way: `wanted` are those given now.
fn refuse_other_options<T: Serialize>(wanted: &toml::Table, saved: &T) -> Result<(), OptionsError> {
    let was = table(saved);
    match wanted.iter().find(|&(key, value)| was.get(key) != Some(value)) {
        None => Ok(()),
        Some((key, value)) => Err(OptionsError::option(
            "resume",
            format!("with {key} = {value}"),
            match was.get(key) {
                Some(before) => {
                    format!(
                        "the run was begun with {key} = {before}; begin another one with --config and --out"
                    )
                }
                None => format!("the run was begun without {key}; begin another one with --config and --out"),
            },
        )),
    }
}

fn table<T: Serialize>(options: &T) -> toml::Table {
    toml::Table::try_from(options).expect("options are a flat table")
}

/// Where a run takes place.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a new folder, or in the first free one of its name.
    New(Option<PathBuf>),
    /// In the folder of a run that was stopped.
    Resume(PathBuf),
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Options {
        #[serde(skip_serializing_if = "Option::is_none")]
        lr: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        epochs: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        steps: Option<u64>,
    }

    impl RunOptions for Options {
        const COMMAND: &'static str = "libellus x train";
        const ALTERNATIVES: &'static [[&'static str; 2]] = &[["epochs", "steps"]];
    }

    #[test]
    fn what_is_given_displaces_its_alternative() {
        let these = Options { steps: Some(7), ..Options::default() };
        let others = Options { lr: Some(0.5), epochs: Some(3), steps: None };
        let merged = these.or(&others);
        assert_eq!(merged, Options { lr: Some(0.5), epochs: None, steps: Some(7) });
        assert_eq!(merge(&these, &others, &[]), Options { epochs: Some(3), ..merged });
    }

    #[test]
    fn a_run_goes_on_as_it_began() {
        let saved = Options { lr: Some(0.5), steps: Some(7), ..Options::default() };
        let refuse = |wanted: Options| refuse_other_options(&table(&wanted), &saved);
        assert!(refuse(Options { lr: Some(0.5), ..Options::default() }).is_ok());
        let error = |wanted: Options| refuse(wanted).unwrap_err().to_string();
        assert_eq!(
            error(Options { lr: Some(0.25), ..Options::default() }),
            "--resume with lr = 0.25: the run was begun with lr = 0.5; begin another one with --config and --out"
        );
        assert_eq!(
            error(Options { epochs: Some(2), ..Options::default() }),
            "--resume with epochs = 2: the run was begun without epochs; begin another one with --config and --out"
        );
    }

    #[test]
    fn a_run_goes_on_with_its_options_on_other_threads() {
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        struct Options {
            #[serde(skip_serializing_if = "Option::is_none")]
            steps: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            threads: Option<u64>,
        }
        impl RunOptions for Options {
            const COMMAND: &'static str = "libellus x train";
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let begun = Options { steps: Some(7), threads: Some(1) };
        drop(RunDir::create(&folder.path().join("run"), &begun.to_toml()).expect("a new run"));
        let place = Place::Resume(folder.path().join("run"));
        let at = |given: &Options| given.at::<TrainOrOptions>(&place);
        assert_eq!(at(&Options::default()).unwrap(), begun);
        let anew = Options { steps: Some(7), threads: Some(2) };
        assert_eq!(at(&anew).unwrap(), anew);
        assert!(at(&Options { steps: Some(8), threads: None }).is_err());
        assert_eq!(anew.at::<TrainOrOptions>(&Place::New(None)).unwrap(), anew);
    }

    #[derive(Debug, thiserror::Error)]
    enum TrainOrOptions {
        #[error(transparent)]
        Options(#[from] OptionsError),
        #[error(transparent)]
        Train(#[from] TrainError),
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = Options::from_toml("lr = 0.1\nrate = 3\n", Path::new("my.toml"));
        assert_eq!(
            error.unwrap_err().to_string(),
            "my.toml line 2 `rate = 3`: unknown field `rate`; `libellus x train --help` lists the options"
        );
    }
}
