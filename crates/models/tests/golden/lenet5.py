"""Golden numbers of LeNet-5 in both of its forms.

Run as `python lenet5.py`; writes lenet5_tanh and lenet5_relu beside itself. Versions: see golden.py.
"""

import torch
from torch import nn

from golden import write


class LeNet5(nn.Module):
    def __init__(self, in_channels, features, num_classes, activation, pool):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(features, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)
        self.activation = activation
        self.pool = pool

    def forward(self, x):
        x = self.pool(self.activation(self.conv1(x)))
        x = self.pool(self.activation(self.conv2(x)))
        x = self.activation(self.fc1(x.flatten(1)))
        return self.fc3(self.activation(self.fc2(x)))


torch.manual_seed(0)
for name, activation, pool, seed in [
    ("lenet5_tanh", torch.tanh, nn.AvgPool2d(2), 4),
    ("lenet5_relu", torch.relu, nn.MaxPool2d(2), 5),
]:
    write(
        name,
        # 13x17 pixels leave 1x2 after the second subsampling.
        LeNet5(2, 16 * 1 * 2, 3, activation, pool),
        image_shape=(3, 2, 13, 17),
        depths=["conv1", "fc1"],
        gradients=["conv1.weight", "fc3.weight"],
        seed=seed,
    )
