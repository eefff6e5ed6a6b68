"""Golden numbers of torchvision's VGG with and without batch norms, narrow enough for a small file.

Run as `python vgg.py`; writes vgg_plain and vgg_bn beside itself. Versions: see golden.py.
"""

import torch
from torch import nn
from torchvision.models.vgg import VGG, make_layers

from golden import write


def narrow(batch_norm):
    features = make_layers([2, "M", 4, 4, "M", 8, "M", 16, "M", 16, "M"], batch_norm=batch_norm)
    features[0] = nn.Conv2d(2, 2, kernel_size=3, padding=1)
    model = VGG(features, init_weights=False)
    model.classifier = nn.Sequential(
        nn.Linear(16 * 7 * 7, 11),
        nn.ReLU(),
        nn.Dropout(p=0.0),
        nn.Linear(11, 11),
        nn.ReLU(),
        nn.Dropout(p=0.0),
        nn.Linear(11, 5),
    )
    return model


torch.manual_seed(0)
# The last maps have 2x1 pixels, which the pooling spreads over 7x7.
for name, batch_norm, seed in [("vgg_plain", False, 1), ("vgg_bn", True, 2)]:
    model = narrow(batch_norm)
    write(
        name,
        model,
        image_shape=(2, 2, 65, 37),
        depths=["features", "avgpool"],
        gradients=["features.0.weight", "classifier.3.weight", "classifier.6.weight"],
        seed=seed,
    )
