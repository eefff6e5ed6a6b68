"""Golden numbers of torchvision's ResNet with each kind of block, narrow enough for a small file.

Run as `python resnet.py`; writes resnet_basic, resnet_bottleneck and resnet_grouped beside itself. Versions: see golden.py.
"""

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from golden import write


def narrow(block, width, depths, in_channels, num_classes, groups=1, width_per_group=64):
    """torchvision's class fixes the width at 64: its layers are built again, by its own `_make_layer`."""
    model = ResNet(block, depths, num_classes=num_classes, groups=groups, width_per_group=width_per_group)
    model.inplanes = width
    model.conv1 = nn.Conv2d(in_channels, width, kernel_size=7, stride=2, padding=3, bias=False)
    model.bn1 = nn.BatchNorm2d(width)
    model.layer1 = model._make_layer(block, width, depths[0])
    model.layer2 = model._make_layer(block, 2 * width, depths[1], stride=2)
    model.layer3 = model._make_layer(block, 4 * width, depths[2], stride=2)
    model.layer4 = model._make_layer(block, 8 * width, depths[3], stride=2)
    model.fc = nn.Linear(8 * width * block.expansion, num_classes)
    return model


torch.manual_seed(0)
models = {
    "resnet_basic": (narrow(BasicBlock, width=3, depths=[1, 2, 1, 1], in_channels=2, num_classes=5), 1),
    "resnet_bottleneck": (narrow(Bottleneck, width=3, depths=[1, 2, 1, 1], in_channels=2, num_classes=5), 12),
    # Each of three groups has half the channels of the stage in its 3x3 convolutions.
    "resnet_grouped": (
        narrow(Bottleneck, 2, [1, 2, 1, 1], in_channels=2, num_classes=5, groups=3, width_per_group=32),
        1,
    ),
}
for name, (model, seed) in models.items():
    write(
        name,
        model,
        image_shape=(5, 2, 37, 23),
        depths=["layer2", "layer4"],
        gradients=["conv1.weight", "fc.weight"],
        seed=seed,
    )
