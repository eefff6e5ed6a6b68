//! How the names and shapes in a file relate to a module's.

use burn::tensor::{Shape, TensorData};

use crate::pattern::{captures, fill, matches};

/// A table of rules that turns the names and shapes of a module's parameters (ours) into those of a file
/// (theirs).
///
/// It is data that stands beside the model it belongs to, and serves loading and saving alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// What the layout is called in messages and on the command line, such as `torchvision`.
    pub name: &'static str,
    /// The rules. Those that rename apply in order, each to the result of the one before.
    pub rules: &'static [Rule],
}

/// One line of a [`Layout`]. Patterns are dot-separated; `*` stands for one segment and `**` for any number
/// of them.
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
    /// A tensor of theirs that we have no use for. It may be there or not, and isn't written.
    Drop {
        /// Pattern of their name.
        theirs: &'static str,
    },
}

impl Layout {
    /// This project's own: names are the module's paths, shapes are the module's shapes.
    pub const NATIVE: Self = Self { name: "native", rules: &[] };

    /// The name in the file of our parameter `ours`.
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
        self.rules
            .iter()
            .any(|rule| matches!(rule, Rule::Drop { theirs: pattern } if matches(pattern, theirs)))
    }
}

/// The matrix `[rows, columns]` as `[columns, rows]`. Whole elements are moved as bytes, whatever their type.
pub(crate) fn transpose(data: TensorData) -> TensorData {
    let (bytes, shape, dtype) = data.into_parts();
    let [rows, columns] = shape.dims();
    let size = dtype.size();
    let mut moved = vec![0; bytes.len()];
    for (index, element) in bytes.chunks_exact(size).enumerate() {
        let (row, column) = (index / columns, index % columns);
        let target = (column * rows + row) * size;
        moved[target..target + size].copy_from_slice(element);
    }
    TensorData::from_bytes_vec(moved, Shape::new([columns, rows]), dtype)
}
