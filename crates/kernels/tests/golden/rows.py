"""Golden values and gradients of what works on vectors along the last dimension, in 64-bit floats.

Run as `python rows.py`; writes rows.safetensors beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, safetensors 0.8.0.

The loss is the sum of the output times `weight`. `extremes` are vectors with infinities, NaN and huge numbers; the
values there are those of 32-bit floats, where huge numbers overflow.
"""

from pathlib import Path

import safetensors.torch
import torch
from torch.nn import functional

SHAPE = (3, 5, 67)
WIDTH = SHAPE[-1]
INF, NAN = float("inf"), float("nan")
EXTREMES = [
    [1.0, -2.0, INF, 0.5],
    [1.0, -2.0, -INF, 0.5],
    [-INF, -INF, -INF, -INF],
    [1.0, NAN, 2.0, 3.0],
    [1e30, -1e30, 1e30, 0.0],
    [1e-40, -1e-40, 1e-41, 0.0],
    [88.0, 89.0, 90.0, 100.0],
    [3.0, 3.0, 3.0, 3.0],
]


def main():
    generator = torch.Generator().manual_seed(11)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    tensors = {
        "input": 3 * draw(*SHAPE) + 1,
        "weight": draw(*SHAPE),
        "gamma": 1 + 0.3 * draw(WIDTH),
        "beta": draw(WIDTH),
        "extremes": torch.tensor(EXTREMES),
    }
    x, weight, gamma, beta = (tensors[name].double() for name in ["input", "weight", "gamma", "beta"])
    parameters = [tensor.requires_grad_() for tensor in (x, gamma, beta)]
    functions = {
        "softmax": lambda x, _gamma, _beta: functional.softmax(x, -1),
        "log_softmax": lambda x, _gamma, _beta: functional.log_softmax(x, -1),
        "layer_norm": lambda x, gamma, beta: functional.layer_norm(x, x.shape[-1:], gamma, beta, 1e-5),
        "rms_norm": lambda x, gamma, _beta: functional.rms_norm(x, x.shape[-1:], gamma, 1e-5),
    }
    extremes = tensors["extremes"]
    for name, function in functions.items():
        value = function(*parameters)
        gradients = torch.autograd.grad((value * weight).sum(), parameters, allow_unused=True)
        tensors[f"{name}.value"] = value
        for parameter, gradient in zip(["input", "gamma", "beta"], gradients):
            if gradient is not None:
                tensors[f"{name}.{parameter}"] = gradient
        tensors[f"{name}.extremes"] = function(extremes, gamma[:4].float(), beta[:4].float())
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    safetensors.torch.save_file(tensors, Path(__file__).with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
