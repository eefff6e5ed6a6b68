//! How the names and shapes in a file relate to a module's.

use std::borrow::Cow;

use crate::pattern::{captures, fill, matches};

/// A table of rules that turns the names and shapes of a module's parameters (ours) into those of a file
/// (theirs).
///
/// It is data that stands beside the model it belongs to, and serves loading and saving alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// What the layout is called in messages and on the command line, such as `torchvision`.
    pub name: &'static str,
    /// The rules. Those that rename apply in order, each to the result of the one before.
    pub rules: Cow<'static, [Rule]>,
}

/// One line of a [`Layout`].
///
/// Patterns are dot-separated; `*` stands for one segment, `**` for any number of them, and `layer_*` for one segment that
/// begins so. A tensor's *stored form* is what stands in the file: its transpose where a [`Rule::Transpose`] says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// A name that fits `ours` becomes `theirs`; what the wildcards of the one stand for takes the place of
    /// those of the other, in order, so both have the same wildcards.
    Rename {
        /// Pattern of our name.
        ours: &'static str,
        /// Their name for it.
        theirs: &'static str,
    },
    /// The matrix is stored transposed: ours is `[d_input, d_output]` and theirs `[d_output, d_input]`, as in
    /// every `nn.Linear` of PyTorch.
    Transpose {
        /// Pattern of our name (before any renaming).
        ours: &'static str,
    },
    /// One tensor of ours is stored as several: equal parts along a dimension, in this order.
    Split {
        /// Pattern of our name (before any renaming).
        ours: &'static str,
        /// Their final names, filled from the wildcards of `ours`.
        theirs: &'static [&'static str],
        /// Dimension of the stored form.
        dim: usize,
    },
    /// Several tensors of ours are stored as one: concatenated along a dimension, in this order.
    Join {
        /// Patterns of our names (before any renaming), all with the same wildcards.
        ours: &'static [&'static str],
        /// Their final name, filled from the wildcards of `ours`.
        theirs: &'static str,
        /// Dimension of the stored form.
        dim: usize,
    },
    /// A second name under which the same tensor is stored once more (tied weights). It is written too. Where it is
    /// read it may be absent, but if it is there, its values must be the same.
    Alias {
        /// Pattern of our name (before any renaming).
        ours: &'static str,
        /// Their second name, filled from the wildcards of `ours`.
        theirs: &'static str,
    },
    /// As [`Rule::Alias`], but not written: the published files leave it out.
    UnwrittenAlias {
        /// Pattern of our name (before any renaming).
        ours: &'static str,
        /// Their second name, filled from the wildcards of `ours`.
        theirs: &'static str,
    },
    /// The rows of each head of a projection of queries or keys are stored in the order in which llama.cpp rotates
    /// them, as neighbouring pairs `0, D/2, 1, D/2 + 1, ...`, where ours are two halves.
    RopePairs {
        /// Pattern of our name (before any renaming).
        ours: &'static str,
        /// Rows `D` of each head.
        head_dim: usize,
    },
    /// A first segment that all names of a file may share. It isn't written.
    Prefix {
        /// The segment.
        theirs: &'static str,
    },
    /// A tensor of theirs that we have no use for. It may be there or not, and isn't written.
    Drop {
        /// Pattern of their name.
        theirs: &'static str,
    },
}

/// Where one tensor of ours is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) relation: Relation,
    /// Whether the stored form is the transpose.
    pub(crate) transposed: bool,
    /// Whether the stored form's rows are in pairs, and the number of rows of a head.
    pub(crate) rope_pairs: Option<usize>,
    pub(crate) aliases: Vec<Alias>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Relation {
    /// Under this name.
    Whole(String),
    /// In equal parts under these names.
    Parts { theirs: Vec<String>, dim: usize },
    /// As part of this one, between these tensors of ours.
    Member { theirs: String, dim: usize, ours: Vec<String> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alias {
    pub(crate) theirs: String,
    pub(crate) written: bool,
}

impl Layout {
    /// This project's own: names are the module's paths, shapes are the module's shapes.
    pub const NATIVE: Self = Self::table("native", &[]);

    /// A layout that is the same for every size of a model.
    pub const fn table(name: &'static str, rules: &'static [Rule]) -> Self {
        Self { name, rules: Cow::Borrowed(rules) }
    }

    /// A layout whose rules depend on the model's configuration.
    pub fn new(name: &'static str, rules: Vec<Rule>) -> Self {
        Self { name, rules: Cow::Owned(rules) }
    }

    /// The name in the file of our parameter `ours`, as far as renaming goes.
    pub fn theirs(&self, ours: &str) -> String {
        self.rules.iter().fold(ours.to_owned(), |name, rule| match rule {
            Rule::Rename { ours, theirs } => match captures(ours, &name) {
                Some(captured) => fill(theirs, &captured),
                None => name,
            },
            _ => name,
        })
    }

    /// Whether our parameter `ours` is stored transposed.
    pub fn is_transposed(&self, ours: &str) -> bool {
        self.rules
            .iter()
            .any(|rule| matches!(rule, Rule::Transpose { ours: pattern } if matches(pattern, ours)))
    }

    /// Whether the tensor `theirs` of a file may be left unused.
    pub fn drops(&self, theirs: &str) -> bool {
        let dropped = |name: &str| {
            self.rules
                .iter()
                .any(|rule| matches!(rule, Rule::Drop { theirs: pattern } if matches(pattern, name)))
        };
        dropped(theirs) || self.without_prefix(theirs).is_some_and(dropped)
    }

    /// `theirs` without the layout's optional prefix, if it has it.
    pub(crate) fn without_prefix<'a>(&self, theirs: &'a str) -> Option<&'a str> {
        self.prefixes().find_map(|prefix| theirs.strip_prefix(prefix)?.strip_prefix('.'))
    }

    /// `theirs` with the layout's optional prefix, if it has one.
    pub(crate) fn with_prefix(&self, theirs: &str) -> Option<String> {
        self.prefixes().next().map(|prefix| format!("{prefix}.{theirs}"))
    }

    fn prefixes(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.rules.iter().filter_map(|rule| match rule {
            Rule::Prefix { theirs } => Some(*theirs),
            _ => None,
        })
    }

    /// Where our parameter `ours` is stored.
    pub(crate) fn place(&self, ours: &str) -> Placement {
        let mut placement = Placement {
            relation: Relation::Whole(String::new()),
            transposed: self.is_transposed(ours),
            rope_pairs: None,
            aliases: Vec::new(),
        };
        let mut relation = None;
        for rule in self.rules.iter() {
            match rule {
                Rule::Split { ours: pattern, theirs, dim } => {
                    if let Some(captured) = captures(pattern, ours) {
                        let theirs = theirs.iter().map(|name| fill(name, &captured)).collect();
                        relation = Some(Relation::Parts { theirs, dim: *dim });
                    }
                }
                Rule::Join { ours: patterns, theirs, dim } => {
                    if let Some(captured) = patterns.iter().find_map(|pattern| captures(pattern, ours)) {
                        relation = Some(Relation::Member {
                            theirs: fill(theirs, &captured),
                            dim: *dim,
                            ours: patterns.iter().map(|pattern| fill(pattern, &captured)).collect(),
                        });
                    }
                }
                Rule::Alias { ours: pattern, theirs } | Rule::UnwrittenAlias { ours: pattern, theirs } => {
                    if let Some(captured) = captures(pattern, ours) {
                        let written = matches!(rule, Rule::Alias { .. });
                        placement.aliases.push(Alias { theirs: fill(theirs, &captured), written });
                    }
                }
                Rule::RopePairs { ours: pattern, head_dim } if matches(pattern, ours) => {
                    placement.rope_pairs = Some(*head_dim);
                }
                Rule::RopePairs { .. }
                | Rule::Rename { .. }
                | Rule::Transpose { .. }
                | Rule::Prefix { .. }
                | Rule::Drop { .. } => {}
            }
        }
        placement.relation = relation.unwrap_or_else(|| Relation::Whole(self.theirs(ours)));
        placement
    }
}
