"""Golden numbers of the residual networks of He et al. 2016, section 4.2, with parameter-free shortcuts.

The module has the parameter names of Y. Idelbayev's pytorch_resnet_cifar10 and pads channels as it does. Run as
`python cifar_resnet.py`; writes cifar_resnet beside itself. Versions: see golden.py.
"""

import torch
from torch import nn
from torch.nn import functional as F

from golden import write


class Block(nn.Module):
    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.stride = stride

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        x = x[:, :, :: self.stride, :: self.stride]
        missing = y.shape[1] - x.shape[1]
        # The original pads by a quarter of the new channels at both sides, which is half of what is missing.
        x = F.pad(x, (0, 0, 0, 0, missing // 2, missing - missing // 2))
        return F.relu(x + y)


class CifarResNet(nn.Module):
    def __init__(self, blocks, width, in_channels, num_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = self.stage(blocks, width, width, 1)
        self.layer2 = self.stage(blocks, width, 2 * width, 2)
        self.layer3 = self.stage(blocks, 2 * width, 4 * width, 2)
        self.linear = nn.Linear(4 * width, num_classes)

    @staticmethod
    def stage(blocks, channels_in, channels_out, stride):
        first = Block(channels_in, channels_out, stride)
        return nn.Sequential(first, *[Block(channels_out, channels_out, 1) for _ in range(blocks - 1)])

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))


torch.manual_seed(0)
write(
    "cifar_resnet",
    CifarResNet(blocks=2, width=3, in_channels=2, num_classes=5),
    image_shape=(3, 2, 13, 11),
    depths=["layer3"],
    gradients=["conv1.weight", "linear.weight"],
    seed=3,
)
