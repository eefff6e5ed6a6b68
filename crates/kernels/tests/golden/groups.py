"""Golden values and gradients of group normalisation, in 64-bit floats.

Run as `python groups.py`; writes groups.safetensors beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, safetensors 0.8.0.

The loss is the sum of the output times `weight`. `three` has three groups, a scale and a shift; `plain` has neither.
"""

from pathlib import Path

import safetensors.torch
import torch
from torch.nn import functional

SHAPE = (3, 15, 5, 7)
CHANNELS = SHAPE[1]


def main():
    generator = torch.Generator().manual_seed(13)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    tensors = {
        "input": 2 * draw(*SHAPE) + 3 * draw(1, CHANNELS, 1, 1),
        "weight": draw(*SHAPE),
        "gamma": 1 + 0.3 * draw(CHANNELS),
        "beta": draw(CHANNELS),
    }
    double = {name: tensor.double() for name, tensor in tensors.items()}
    names = ["input", "gamma", "beta"]
    x, gamma, beta = parameters = [double[name].requires_grad_() for name in names]
    for name, value, inputs in [
        ("three", functional.group_norm(x, 3, gamma, beta, 1e-5), parameters),
        ("plain", functional.group_norm(x, 5), [x]),
    ]:
        gradients = torch.autograd.grad((value * double["weight"]).sum(), inputs)
        tensors[f"{name}.value"] = value
        for parameter, gradient in zip(names, gradients):
            tensors[f"{name}.{parameter}"] = gradient
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    safetensors.torch.save_file(tensors, Path(__file__).with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
