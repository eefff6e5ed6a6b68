//! Key tables.

use libellus_weights::{Layout, Rule};

/// torchvision's `efficientnet_b0` to `efficientnet_b4`. The blocks of the first stage have no expansion, so their parts
/// have other numbers.
pub const TORCHVISION: Layout = Layout::table(
    "torchvision",
    &[
        Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
        Rule::Rename { ours: "**.beta", theirs: "**.bias" },
        Rule::Rename { ours: "features.*.conv.*", theirs: "features.*.0.*" },
        Rule::Rename { ours: "features.*.norm.*", theirs: "features.*.1.*" },
        Rule::Rename { ours: "features.1.*.depthwise.conv.*", theirs: "features.1.*.block.0.0.*" },
        Rule::Rename { ours: "features.1.*.depthwise.norm.*", theirs: "features.1.*.block.0.1.*" },
        Rule::Rename { ours: "features.1.*.squeeze.*.*", theirs: "features.1.*.block.1.*.*" },
        Rule::Rename { ours: "features.1.*.project.conv.*", theirs: "features.1.*.block.2.0.*" },
        Rule::Rename { ours: "features.1.*.project.norm.*", theirs: "features.1.*.block.2.1.*" },
        Rule::Rename { ours: "features.*.*.expand.conv.*", theirs: "features.*.*.block.0.0.*" },
        Rule::Rename { ours: "features.*.*.expand.norm.*", theirs: "features.*.*.block.0.1.*" },
        Rule::Rename { ours: "features.*.*.depthwise.conv.*", theirs: "features.*.*.block.1.0.*" },
        Rule::Rename { ours: "features.*.*.depthwise.norm.*", theirs: "features.*.*.block.1.1.*" },
        Rule::Rename { ours: "features.*.*.squeeze.*.*", theirs: "features.*.*.block.2.*.*" },
        Rule::Rename { ours: "features.*.*.project.conv.*", theirs: "features.*.*.block.3.0.*" },
        Rule::Rename { ours: "features.*.*.project.norm.*", theirs: "features.*.*.block.3.1.*" },
        Rule::Rename { ours: "classifier.*", theirs: "classifier.1.*" },
        Rule::Transpose { ours: "classifier.weight" },
        Rule::Drop { theirs: "**.num_batches_tracked" },
    ],
);
