//! What can be wrong with a checkpoint.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::pattern::matches;

/// A checkpoint that can't be read, written or fitted to a module. Every message is one line that names the
/// file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file can't be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file can't be written. What was there before is untouched.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file has no content.
    #[error("{} is empty (zero bytes); it is not a checkpoint", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else, or its first bytes are damaged.
    #[error("{} is not a safetensors file: {reason}", path.display())]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What gives it away.
        reason: String,
    },
    /// The file ends before its last tensor: an interrupted download or copy.
    #[error("{} is cut off: its header promises {expected} bytes, the file has {found}; fetch or copy it again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The size that follows from the header, in bytes.
        expected: u64,
        /// The size of the file, in bytes.
        found: u64,
    },
    /// The header contradicts itself.
    #[error("{}: the header is wrong for tensor `{tensor}`: {reason}", path.display())]
    BadTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such tensor in the file.
    #[error("{} has no tensor `{tensor}`", path.display())]
    NoSuchTensor {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        tensor: String,
    },
    /// The elements of a tensor are of a type that can't become a parameter.
    #[error("{}: tensor `{tensor}` holds {dtype} elements, which can't be loaded as {wanted}", path.display())]
    ElementType {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The element type in the file.
        dtype: String,
        /// The kind of parameter it was to fill.
        wanted: &'static str,
    },
    /// The tensors of the file aren't those of the module.
    #[error("{0}")]
    Mismatch(Box<Mismatch>),
    /// No known layout fits the file.
    #[error("{} fits none of the known layouts{}", path.display(), Nearest(nearest))]
    Unrecognized {
        /// The file.
        path: PathBuf,
        /// What separates it from each layout, the nearest first.
        nearest: Vec<Mismatch>,
    },
    /// Names and shapes alone can't tell what the file holds.
    #[error("{} fits both layout `{first}` and layout `{second}`, which read it differently; name one with --layout", path.display())]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// A layout that fits.
        first: &'static str,
        /// Another one.
        second: &'static str,
    },
    /// Two tensors that the model holds as one have different values.
    #[error("{}: `{tensor}` and `{alias}` differ, but the model uses one tensor for both", path.display())]
    NotTied {
        /// The file.
        path: PathBuf,
        /// Its name of the tensor.
        tensor: String,
        /// Its second name.
        alias: String,
    },
    /// A pattern of [`LoadOptions::ignore`](crate::LoadOptions::ignore) fits no parameter, so it is likely a
    /// slip.
    #[error("no parameter of the model fits the pattern `{pattern}` of those to leave as they are")]
    UselessPattern {
        /// The pattern.
        pattern: String,
    },
    /// Two parameters would go by the same name in the file.
    #[error("layout `{layout}` gives both `{first}` and `{second}` the name `{name}`")]
    NameClash {
        /// The layout.
        layout: &'static str,
        /// The name in the file.
        name: String,
        /// One of our names.
        first: String,
        /// The other.
        second: String,
    },
    /// A tensor of the module can't be stored.
    #[error("cannot save tensor `{tensor}`: {reason}")]
    Unsavable {
        /// Our name of it.
        tensor: String,
        /// Why not.
        reason: String,
    },
}

/// All differences between a checkpoint and a module. Names are those in the file, except for `missing` and
/// `misshaped`, where they are the module's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The file.
    pub path: PathBuf,
    /// The layout through which it was read.
    pub layout: &'static str,
    /// Parameters of the module (our names) that the file lacks, in the module's order.
    pub missing: Vec<String>,
    /// Tensors of the file (its names) that the module has no place for, sorted.
    pub unexpected: Vec<String>,
    /// Parameters whose shape is another one in the file, in the module's order.
    pub misshaped: Vec<ShapeMismatch>,
}

/// A parameter that has one shape in the module and another in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// Our name of the parameter.
    pub name: String,
    /// The shape the file should have (after the layout's transposition).
    pub expected: Vec<usize>,
    /// The shape in the file.
    pub found: Vec<usize>,
}

impl Mismatch {
    /// Whether only shapes differ, and only those of parameters whose names fit `pattern`: the sign of a
    /// checkpoint for another number of classes, if `pattern` is the head's.
    pub fn is_only_shape_of(&self, pattern: &str) -> bool {
        self.missing.is_empty()
            && self.unexpected.is_empty()
            && self.misshaped.iter().all(|mismatch| matches(pattern, &mismatch.name))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not fit the model", self.path.display())?;
        if self.layout != "native" {
            write!(f, " (read as `{}`)", self.layout)?;
        }
        f.write_str(": ")?;
        self.differences(SHOWN, f)
    }
}

/// The nearest layouts and why they don't fit, as the end of a message.
struct Nearest<'a>(&'a [Mismatch]);

impl fmt::Display for Nearest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mismatch) in self.0.iter().take(2).enumerate() {
            let lead = if index == 0 { "; nearest is" } else { "; then" };
            write!(f, "{lead} `{}`: ", mismatch.layout)?;
            mismatch.differences(2, f)?;
        }
        Ok(())
    }
}

impl Mismatch {
    /// Each kind of difference with its number and the first names.
    fn differences(&self, shown: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lead = "";
        let mut list = |title: &str, entries: Vec<String>| -> fmt::Result {
            if entries.is_empty() {
                return Ok(());
            }
            write!(f, "{lead}{} {title} ({}", entries.len(), entries[..entries.len().min(shown)].join(", "))?;
            if entries.len() > shown {
                write!(f, " and {} more", entries.len() - shown)?;
            }
            lead = "; ";
            write!(f, ")")
        };
        list("missing", self.missing.clone())?;
        list("unexpected", self.unexpected.clone())?;
        list("with another shape", self.misshaped.iter().map(ToString::to_string).collect())
    }
}

impl fmt::Display for ShapeMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: model {:?}, file {:?}", self.name, self.expected, self.found)
    }
}

/// So many names of each kind are spelt out in the message; the fields have them all.
const SHOWN: usize = 5;
