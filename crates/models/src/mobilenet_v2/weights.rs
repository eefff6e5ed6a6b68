//! Key tables.

use libellus_weights::{Layout, Rule};

/// torchvision's `mobilenet_v2`. The first block has no expansion, so its parts have other numbers.
pub const TORCHVISION: Layout = Layout::table(
    "torchvision",
    &[
        Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
        Rule::Rename { ours: "**.beta", theirs: "**.bias" },
        Rule::Rename { ours: "features.*.conv.*", theirs: "features.*.0.*" },
        Rule::Rename { ours: "features.*.norm.*", theirs: "features.*.1.*" },
        Rule::Rename { ours: "features.1.depthwise.conv.*", theirs: "features.1.conv.0.0.*" },
        Rule::Rename { ours: "features.1.depthwise.norm.*", theirs: "features.1.conv.0.1.*" },
        Rule::Rename { ours: "features.1.project.conv.*", theirs: "features.1.conv.1.*" },
        Rule::Rename { ours: "features.1.project.norm.*", theirs: "features.1.conv.2.*" },
        Rule::Rename { ours: "features.*.expand.conv.*", theirs: "features.*.conv.0.0.*" },
        Rule::Rename { ours: "features.*.expand.norm.*", theirs: "features.*.conv.0.1.*" },
        Rule::Rename { ours: "features.*.depthwise.conv.*", theirs: "features.*.conv.1.0.*" },
        Rule::Rename { ours: "features.*.depthwise.norm.*", theirs: "features.*.conv.1.1.*" },
        Rule::Rename { ours: "features.*.project.conv.*", theirs: "features.*.conv.2.*" },
        Rule::Rename { ours: "features.*.project.norm.*", theirs: "features.*.conv.3.*" },
        Rule::Rename { ours: "classifier.*", theirs: "classifier.1.*" },
        Rule::Transpose { ours: "classifier.weight" },
        Rule::Drop { theirs: "**.num_batches_tracked" },
    ],
);
