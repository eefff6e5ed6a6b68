"""Golden values and gradients of cross entropy without a reduction, in 64-bit floats.

Run as `python cross_entropy.py`; writes cross_entropy.safetensors beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, safetensors 0.8.0.

The loss is the sum of the output times `weight`. `large` logits are the same moved up by 10,000. `extremes` are samples with
infinities, NaN and huge numbers; the values there are those of 32-bit floats, where huge numbers overflow.
"""

from pathlib import Path

import safetensors.torch
import torch
from torch.nn import functional

SAMPLES, CLASSES = 13, 67
INF, NAN = float("inf"), float("nan")
EXTREMES = [
    [1.0, -2.0, INF, 0.5],
    [1.0, -2.0, -INF, 0.5],
    [-INF, -2.0, 1.0, 0.5],
    [-INF, -INF, -INF, -INF],
    [1.0, NAN, 2.0, 3.0],
    [1e30, -1e30, 1e30, 0.0],
    [-1e30, 1e30, 1e30, 0.0],
    [1e-40, -1e-40, 1e-41, 0.0],
    [88.0, 89.0, 90.0, 100.0],
    [3.0, 3.0, 3.0, 3.0],
]


def main():
    generator = torch.Generator().manual_seed(17)
    logits = 3 * torch.randn(SAMPLES, CLASSES, generator=generator) + 1
    tensors = {
        "logits": logits,
        "large": logits + 10_000,
        "weight": torch.randn(SAMPLES, generator=generator),
        "extremes": torch.tensor(EXTREMES),
    }
    labels = torch.randint(CLASSES, (SAMPLES,), generator=generator)
    # Integers below 2^24 are exact as floats.
    tensors["labels"] = labels.float()
    for smoothing in (0.0, 0.1, 1.0):
        for name in ("logits", "large"):
            x = tensors[name].double().requires_grad_()
            value = functional.cross_entropy(x, labels, reduction="none", label_smoothing=smoothing)
            (gradient,) = torch.autograd.grad((value * tensors["weight"].double()).sum(), x)
            tensors[f"{name}.{smoothing}.value"] = value
            tensors[f"{name}.{smoothing}.gradient"] = gradient
        zeros = torch.zeros(len(EXTREMES), dtype=torch.long)
        x = tensors["extremes"].clone().requires_grad_()
        value = functional.cross_entropy(x, zeros, reduction="none", label_smoothing=smoothing)
        (gradient,) = torch.autograd.grad(value.sum(), x)
        tensors[f"extremes.{smoothing}.value"] = value
        tensors[f"extremes.{smoothing}.gradient"] = gradient
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    safetensors.torch.save_file(tensors, Path(__file__).with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
