//! Key tables.

use libellus_weights::{Layout, Rule};

/// The networks of Y. Idelbayev's *pytorch_resnet_cifar10* (akamaster on GitHub) with its option A, which is the default
/// and what its published checkpoints have. It puts a quarter of the new number of channels before and behind the old
/// ones, which is the same as here because the number doubles.
pub const IDELBAYEV: Layout = Layout::table(
    "pytorch_resnet_cifar10",
    &[
        Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
        Rule::Rename { ours: "**.beta", theirs: "**.bias" },
        Rule::Rename { ours: "fc.*", theirs: "linear.*" },
        Rule::Transpose { ours: "fc.weight" },
        Rule::Drop { theirs: "**.num_batches_tracked" },
    ],
);
