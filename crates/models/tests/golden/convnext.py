"""Golden numbers of torchvision's ConvNeXt, narrow enough for a small file.

Run as `python convnext.py`; writes convnext beside itself. Versions: see golden.py.
"""

import torch
from torch import nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

from golden import write

width = 3
model = ConvNeXt(
    [
        CNBlockConfig(width, 2 * width, 1),
        CNBlockConfig(2 * width, 4 * width, 2),
        CNBlockConfig(4 * width, 8 * width, 1),
        CNBlockConfig(8 * width, None, 1),
    ],
    stochastic_depth_prob=0.0,
    num_classes=5,
)
model.features[0][0] = nn.Conv2d(2, width, kernel_size=4, stride=4)

torch.manual_seed(0)
write(
    "convnext",
    model,
    image_shape=(2, 2, 67, 37),
    depths=["features.0", "features.3", "features.7"],
    gradients=["features.0.0.weight", "features.3.1.layer_scale", "features.3.1.block.3.weight", "classifier.2.weight"],
    seed=1,
)
