//! Key tables.

use libellus_weights::{Layout, Rule};

/// torchvision's `vgg11` to `vgg19` and `vgg11_bn` to `vgg19_bn`.
pub const TORCHVISION: Layout = Layout::table(
    "torchvision",
    &[
        Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
        Rule::Rename { ours: "**.beta", theirs: "**.bias" },
        Rule::Rename { ours: "fc1.*", theirs: "classifier.0.*" },
        Rule::Rename { ours: "fc2.*", theirs: "classifier.3.*" },
        Rule::Rename { ours: "head.*", theirs: "classifier.6.*" },
        Rule::Transpose { ours: "fc1.weight" },
        Rule::Transpose { ours: "fc2.weight" },
        Rule::Transpose { ours: "head.weight" },
        Rule::Drop { theirs: "**.num_batches_tracked" },
    ],
);
