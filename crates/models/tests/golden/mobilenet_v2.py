"""Golden numbers of torchvision's MobileNetV2, narrow enough for a small file.

Run as `python mobilenet_v2.py`; writes mobilenet_v2 beside itself. Versions: see golden.py.
"""

import torch
from torch import nn
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.ops.misc import Conv2dNormActivation

from golden import write

# torchvision's class multiplies all channels by one factor, from 32 in the first convolution.
stem, last = 3, 13
factor = stem / 32
model = MobileNetV2(
    num_classes=5,
    width_mult=factor,
    round_nearest=1,
    inverted_residual_setting=[
        # Expansion, channels, blocks, stride.
        [1, 5 / factor, 1, 1],
        [3, 7 / factor, 2, 2],
        [3, 11 / factor, 2, 1],
    ],
)
model.features[0] = Conv2dNormActivation(2, stem, stride=2, activation_layer=nn.ReLU6)
model.features[-1] = Conv2dNormActivation(11, last, kernel_size=1, activation_layer=nn.ReLU6)
model.classifier = nn.Sequential(nn.Dropout(p=0.0), nn.Linear(last, 5))
model.last_channel = last


def stretch(model):
    """Scales that are large enough for some values to be cut at 6."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.mul_(1.5)


torch.manual_seed(0)
write(
    "mobilenet_v2",
    model,
    image_shape=(5, 2, 29, 19),
    depths=["features.1", "features.3", "features"],
    gradients=["features.0.0.weight", "features.2.conv.1.0.weight", "classifier.1.weight"],
    seed=7,
    adjust=stretch,
)
