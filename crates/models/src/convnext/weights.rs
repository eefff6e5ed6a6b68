//! Key tables.

use libellus_weights::{Layout, Rule};

/// torchvision's `convnext_tiny`, `convnext_small` and `convnext_base`, whose stages take turns with what is between them.
pub const TORCHVISION: Layout = Layout::table(
    "torchvision",
    &[
        Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
        Rule::Rename { ours: "**.beta", theirs: "**.bias" },
        Rule::Rename { ours: "stem.conv.*", theirs: "features.0.0.*" },
        Rule::Rename { ours: "stem.norm.*", theirs: "features.0.1.*" },
        Rule::Rename { ours: "stages.1.downsample.norm.*", theirs: "features.2.0.*" },
        Rule::Rename { ours: "stages.1.downsample.conv.*", theirs: "features.2.1.*" },
        Rule::Rename { ours: "stages.2.downsample.norm.*", theirs: "features.4.0.*" },
        Rule::Rename { ours: "stages.2.downsample.conv.*", theirs: "features.4.1.*" },
        Rule::Rename { ours: "stages.3.downsample.norm.*", theirs: "features.6.0.*" },
        Rule::Rename { ours: "stages.3.downsample.conv.*", theirs: "features.6.1.*" },
        Rule::Rename { ours: "stages.0.blocks.**", theirs: "features.1.**" },
        Rule::Rename { ours: "stages.1.blocks.**", theirs: "features.3.**" },
        Rule::Rename { ours: "stages.2.blocks.**", theirs: "features.5.**" },
        Rule::Rename { ours: "stages.3.blocks.**", theirs: "features.7.**" },
        Rule::Rename { ours: "features.*.*.conv.*", theirs: "features.*.*.block.0.*" },
        Rule::Rename { ours: "features.*.*.norm.*", theirs: "features.*.*.block.2.*" },
        Rule::Rename { ours: "features.*.*.expand.*", theirs: "features.*.*.block.3.*" },
        Rule::Rename { ours: "features.*.*.project.*", theirs: "features.*.*.block.5.*" },
        Rule::Rename { ours: "norm.*", theirs: "classifier.0.*" },
        Rule::Rename { ours: "head.*", theirs: "classifier.2.*" },
        Rule::Transpose { ours: "stages.*.blocks.*.expand.weight" },
        Rule::Transpose { ours: "stages.*.blocks.*.project.weight" },
        Rule::Transpose { ours: "head.weight" },
    ],
);
