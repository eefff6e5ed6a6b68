//! Key tables.

use libellus_weights::{Layout, Rule};

/// milesial's *Pytorch-UNet* with either kind of upsampling. Without batch norms, which it always has, the numbers stay.
pub const PYTORCH_UNET: Layout = Layout::table(
    "pytorch-unet",
    &[
        Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
        Rule::Rename { ours: "**.beta", theirs: "**.bias" },
        Rule::Rename { ours: "**.conv1.*", theirs: "**.double_conv.0.*" },
        Rule::Rename { ours: "**.norm1.*", theirs: "**.double_conv.1.*" },
        Rule::Rename { ours: "**.conv2.*", theirs: "**.double_conv.3.*" },
        Rule::Rename { ours: "**.norm2.*", theirs: "**.double_conv.4.*" },
        Rule::Rename { ours: "down.0.**", theirs: "down1.maxpool_conv.1.**" },
        Rule::Rename { ours: "down.1.**", theirs: "down2.maxpool_conv.1.**" },
        Rule::Rename { ours: "down.2.**", theirs: "down3.maxpool_conv.1.**" },
        Rule::Rename { ours: "down.3.**", theirs: "down4.maxpool_conv.1.**" },
        // It has four levels; deeper ones go on counting.
        Rule::Rename { ours: "down.4.**", theirs: "down5.maxpool_conv.1.**" },
        Rule::Rename { ours: "down.5.**", theirs: "down6.maxpool_conv.1.**" },
        Rule::Rename { ours: "down.6.**", theirs: "down7.maxpool_conv.1.**" },
        Rule::Rename { ours: "down.7.**", theirs: "down8.maxpool_conv.1.**" },
        Rule::Rename { ours: "up.0.**", theirs: "up1.**" },
        Rule::Rename { ours: "up.1.**", theirs: "up2.**" },
        Rule::Rename { ours: "up.2.**", theirs: "up3.**" },
        Rule::Rename { ours: "up.3.**", theirs: "up4.**" },
        Rule::Rename { ours: "up.4.**", theirs: "up5.**" },
        Rule::Rename { ours: "up.5.**", theirs: "up6.**" },
        Rule::Rename { ours: "up.6.**", theirs: "up7.**" },
        Rule::Rename { ours: "up.7.**", theirs: "up8.**" },
        Rule::Rename { ours: "outc.*", theirs: "outc.conv.*" },
        Rule::Drop { theirs: "**.num_batches_tracked" },
    ],
);
