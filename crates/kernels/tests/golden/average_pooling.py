"""Golden values and gradients of average pooling, in 64-bit floats.

Run as `python average_pooling.py`; writes average_pooling.safetensors beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, safetensors 0.8.0.

Inputs aren't saved: `numbers` makes them of fractions that 32-bit floats hold exactly, and the test does the same. For each case
`<name>.value` and the gradient `<name>.input` of the sum of the output times other numbers.
"""

from pathlib import Path

import safetensors.torch
import torch
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d

from convolution import numbers

CASES = {
    "windows": ([2, 3, 7, 11], lambda x: avg_pool2d(x, 3, 2, 1)),
    "inside": ([2, 3, 7, 11], lambda x: avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
    "ceil": ([1, 2, 8, 9], lambda x: avg_pool2d(x, 3, 2, 1, ceil_mode=True)),
    "ceil_inside": ([1, 2, 8, 10], lambda x: avg_pool2d(x, 4, 3, 2, ceil_mode=True, count_include_pad=False)),
    "rectangles": ([1, 2, 6, 17], lambda x: avg_pool2d(x, (2, 5), (1, 3), (1, 2))),
    "gaps": ([1, 2, 11, 17], lambda x: avg_pool2d(x, 2, 3)),
    "adaptive": ([2, 3, 11, 13], lambda x: adaptive_avg_pool2d(x, (4, 7))),
    "enlarging": ([1, 2, 5, 3], lambda x: adaptive_avg_pool2d(x, (7, 4))),
    "global": ([2, 5, 9, 7], lambda x: adaptive_avg_pool2d(x, 1)),
}


def write(script, cases):
    tensors = {}
    for name, (shape, function) in cases.items():
        x = numbers(shape, 1).requires_grad_()
        value = function(x)
        (gradient,) = torch.autograd.grad((value * numbers(value.shape, 2)).sum(), x)
        tensors[f"{name}.value"] = value.detach().contiguous()
        tensors[f"{name}.input"] = gradient.contiguous()
    safetensors.torch.save_file(tensors, Path(script).with_suffix(".safetensors"))


if __name__ == "__main__":
    write(__file__, CASES)
