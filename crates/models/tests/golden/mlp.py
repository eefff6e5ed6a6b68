"""Golden numbers of a multilayer perceptron.

Run as `python mlp.py`; writes mlp beside itself. Versions: see golden.py.
"""

import torch
from torch import nn

from golden import write


class Mlp(nn.Module):
    def __init__(self, widths, num_classes):
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))
        self.head = nn.Linear(widths[-1], num_classes)

    def forward(self, x):
        x = x.flatten(1)
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        return self.head(x)


torch.manual_seed(0)
write(
    "mlp",
    Mlp([2 * 5 * 7, 13, 11], num_classes=3),
    image_shape=(3, 2, 5, 7),
    depths=["hidden.0", "hidden.1"],
    gradients=["hidden.0.weight", "head.weight"],
    seed=6,
)
