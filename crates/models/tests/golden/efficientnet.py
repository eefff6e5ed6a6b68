"""Golden numbers of torchvision's EfficientNet, narrow enough for a small file.

Run as `python efficientnet.py`; writes efficientnet beside itself. Versions: see golden.py.
"""

import torch
from torch import nn
from torchvision.models.efficientnet import EfficientNet, MBConv, _MBConvConfig
from torchvision.ops.misc import Conv2dNormActivation

from golden import write


class Stage(_MBConvConfig):
    """A stage whose channels are not rounded to multiples of eight."""

    def __init__(self, expansion, kernel, stride, channels_in, channels_out, blocks):
        super().__init__(expansion, kernel, stride, channels_in, channels_out, blocks, MBConv)

    @staticmethod
    def adjust_channels(channels, factor, _least=None):
        return channels * factor


model = EfficientNet(
    [Stage(1, 3, 1, 3, 5, 2), Stage(3, 5, 2, 5, 13, 2), Stage(3, 3, 1, 13, 11, 1)],
    dropout=0.0,
    stochastic_depth_prob=0.0,
    num_classes=5,
    last_channel=17,
)
model.features[0] = Conv2dNormActivation(2, 3, stride=2, activation_layer=nn.SiLU)

torch.manual_seed(0)
write(
    "efficientnet",
    model,
    image_shape=(5, 2, 29, 19),
    depths=["features.1", "features.2", "features"],
    gradients=["features.0.0.weight", "features.2.1.block.2.fc1.weight", "classifier.1.weight"],
    seed=1,
)
