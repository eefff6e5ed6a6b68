//! What can be wrong with a checkpoint.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::pattern::matches;
use crate::read::format::FileFormat;
use crate::read::pytorch::problem::PickleProblem;

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
    /// The file is of no format that is read, or its first bytes are damaged.
    #[error("{} is no checkpoint: it {found}", path.display())]
    Unrecognised {
        /// The file.
        path: PathBuf,
        /// What it is, or how it begins.
        found: String,
    },
    /// The file is like a safetensors file, but isn't one.
    #[error("{} is not a safetensors file: {}", path.display(), one_line(reason))]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What gives it away.
        reason: String,
    },
    /// The file contradicts the rules of its format.
    #[error("{} is a damaged {format}: {}", path.display(), one_line(reason))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should be.
        format: FileFormat,
        /// What is wrong with it.
        reason: String,
    },
    /// The file claims something of a size that can't be, before memory was taken for it.
    #[error("{}: {} is said to be {claimed}, but can be {limit} at most", path.display(), one_line(what))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What is too large.
        what: String,
        /// What it is said to be, in bytes or pieces.
        claimed: u64,
        /// The most that it can be.
        limit: u64,
    },
    /// A part of an archive isn't what was written: a bit flipped on a disk or on the way.
    #[error("{}: entry `{}` is damaged (its checksum is {found:08x} instead of {expected:08x}); fetch or copy the file again", path.display(), one_line(entry))]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The entry of the archive.
        entry: String,
        /// The checksum (CRC-32) that was written with it.
        expected: u32,
        /// The one of what was read.
        found: u32,
    },
    /// A pickle names something that isn't part of a tensor. It was not run; nothing in a checkpoint is.
    #[error("{}: its pickle asks for `{global}`, which no table of tensors needs; it was not run (save `model.state_dict()` alone, or convert the file to safetensors where you trust it)", path.display())]
    RefusedGlobal {
        /// The file.
        path: PathBuf,
        /// Module and name, as Python would import it.
        global: String,
    },
    /// A pickle can't be interpreted.
    #[error("{}: its pickle is wrong at byte {offset}: {problem}", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// Where in the pickle (of an archive) or in the file.
        offset: u64,
        /// What is wrong.
        problem: PickleProblem,
    },
    /// A PyTorch file holds no table of tensors.
    #[error("{} holds no mapping from names to tensors; save `model.state_dict()`", path.display())]
    NoTensors {
        /// The file.
        path: PathBuf,
    },
    /// A PyTorch file holds several tables of tensors.
    #[error("{} holds several mappings from names to tensors: {}; say which one to open, or take it out with `libellus model convert --part`", path.display(), list(found))]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// Their keys.
        found: Vec<String>,
    },
    /// There is no such table of tensors in the file.
    #[error("{} has no mapping of tensors called `{}`{}", path.display(), one_line(part), others(found))]
    NoSuchPart {
        /// The file.
        path: PathBuf,
        /// The key asked for.
        part: String,
        /// Those that there are.
        found: Vec<String>,
    },
    /// A folder holds no checkpoint.
    #[error("{} is a directory without an index (`*.index.json`) and without `model.safetensors`; name the file in it", path.display())]
    NoCheckpoint {
        /// The folder.
        path: PathBuf,
    },
    /// A folder holds several checkpoints.
    #[error("{} is a directory with several indexes: {}; name one of them", path.display(), list(found))]
    SeveralIndexes {
        /// The folder.
        path: PathBuf,
        /// Their names.
        found: Vec<String>,
    },
    /// A file of a sharded checkpoint isn't there.
    #[error("{}: shard `{}`, which holds {tensors} of its tensors, can't be opened: {source}", path.display(), one_line(shard))]
    MissingShard {
        /// The index.
        path: PathBuf,
        /// The name of the file.
        shard: String,
        /// How many tensors are said to be in it.
        tensors: usize,
        /// Why it can't be opened.
        #[source]
        source: io::Error,
    },
    /// An index names a file that may be anywhere.
    #[error("{}: shard `{}` isn't the name of a file beside the index", path.display(), one_line(shard))]
    ShardOutside {
        /// The index.
        path: PathBuf,
        /// What it names.
        shard: String,
    },
    /// An index is wrong about a file.
    #[error("{} says that tensor `{}` is in shard `{}`, but it isn't", path.display(), one_line(tensor), one_line(shard))]
    NotInShard {
        /// The index.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Where it should be.
        shard: String,
    },
    /// A file of a sharded checkpoint holds a tensor that the index doesn't know.
    #[error("{} doesn't list tensor `{}`, which is in its shard `{}`", path.display(), one_line(tensor), one_line(shard))]
    Unlisted {
        /// The index.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The file that holds it.
        shard: String,
    },
    /// Two files of a sharded checkpoint hold one tensor.
    #[error("{}: tensor `{}` is in two shards, `{}` and `{}`", path.display(), one_line(tensor), one_line(first), one_line(second))]
    InTwoShards {
        /// The index.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// A file that holds it.
        first: String,
        /// Another one.
        second: String,
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
    #[error("{}: the header is wrong for tensor `{}`: {}", path.display(), one_line(tensor), one_line(reason))]
    BadTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such tensor in the file.
    #[error("{} has no tensor `{}`", path.display(), one_line(tensor))]
    NoSuchTensor {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        tensor: String,
    },
    /// The elements of a tensor are of a type that can't become a parameter.
    #[error("{}: tensor `{}` holds {dtype} elements, which can't be loaded as {wanted}", path.display(), one_line(tensor))]
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
    NoLayoutFits {
        /// The file.
        path: PathBuf,
        /// What separates it from each layout, the nearest first.
        nearest: Vec<Mismatch>,
    },
    /// Names and shapes alone can't tell what the file holds.
    #[error("{} fits both layout `{first}` and layout `{second}`, which read it differently; name one with --layout", path.display())]
    TwoLayoutsFit {
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

/// Text from a file, in which nothing moves a terminal's cursor.
fn one_line(text: &str) -> impl fmt::Display {
    let is_shown = |c: char| !c.is_control();
    let escape = |c: char| if is_shown(c) { c.to_string() } else { c.escape_default().to_string() };
    text.chars().map(escape).collect::<String>()
}

/// Names, separated by commas.
fn list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{}`", one_line(name))).collect();
    let more = names.len().saturating_sub(SHOWN);
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn others(found: &[String]) -> String {
    if found.is_empty() { String::new() } else { format!("; there are {}", list(found)) }
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
