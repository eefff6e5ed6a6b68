"""Golden values and slopes of the activations, in 64-bit floats.

Run as `python activations.py`; writes activations.safetensors beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, safetensors 0.8.0.

`input` walks from -12 to 12 in steps that f32 holds exactly; for each function `<name>.value` and `<name>.slope`.
`extremes` are inputs at the ends of f32, with the values that torch gives in 64-bit floats.
"""

from pathlib import Path

import safetensors.torch
import torch
from torch.nn import functional

SMOOTH = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "silu": functional.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
}
EXTREMES = [1e30, -1e30, 1e-40, -1e-40, 0.0, float("inf"), float("-inf"), float("nan")]


def write(script, functions):
    x = (torch.arange(-384, 385, dtype=torch.float64) / 32).requires_grad_()
    extremes = torch.tensor(EXTREMES)
    tensors = {"input": x.detach(), "extremes": extremes}
    for function_name, function in functions.items():
        value = function(x)
        (slope,) = torch.autograd.grad(value.sum(), x)
        tensors[f"{function_name}.value"] = value.detach()
        tensors[f"{function_name}.slope"] = slope
        tensors[f"{function_name}.extremes"] = function(extremes.double())
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    safetensors.torch.save_file(tensors, Path(script).with_suffix(".safetensors"))


if __name__ == "__main__":
    write(__file__, SMOOTH)
