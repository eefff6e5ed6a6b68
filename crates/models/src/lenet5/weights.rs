//! Key tables.

use libellus_weights::{Layout, Rule};

/// A PyTorch module with the layers `conv1`, `conv2`, `fc1`, `fc2` and `fc3`.
pub const PYTORCH: Layout = Layout::table(
    "pytorch",
    &[
        Rule::Transpose { ours: "fc1.weight" },
        Rule::Transpose { ours: "fc2.weight" },
        Rule::Transpose { ours: "fc3.weight" },
    ],
);
