//! Key tables.

use libellus_weights::{Layout, Rule};

/// A PyTorch module with a `ModuleList` of `Linear` named `hidden` and a `Linear` named `head`.
pub const PYTORCH: Layout = Layout::table(
    "pytorch",
    &[Rule::Transpose { ours: "hidden.*.weight" }, Rule::Transpose { ours: "head.weight" }],
);
