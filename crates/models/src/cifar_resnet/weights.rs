//! Key tables.

use libellus_weights::{Layout, Rule};

/// The networks of Y. Idelbayev's *pytorch_resnet_cifar10*.
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
