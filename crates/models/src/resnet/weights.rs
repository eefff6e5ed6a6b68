//! Key tables.

use libellus_weights::{Layout, Rule};

/// torchvision's `resnet18` to `resnet152`, `resnext50_32x4d` and `wide_resnet50_2`.
pub const TORCHVISION: Layout = Layout::table(
    "torchvision",
    &[
        Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
        Rule::Rename { ours: "**.beta", theirs: "**.bias" },
        Rule::Rename { ours: "*.*.residual.shortcut.conv.*", theirs: "*.*.downsample.0.*" },
        Rule::Rename { ours: "*.*.residual.shortcut.norm.*", theirs: "*.*.downsample.1.*" },
        Rule::Transpose { ours: "fc.weight" },
        Rule::Drop { theirs: "**.num_batches_tracked" },
    ],
);
