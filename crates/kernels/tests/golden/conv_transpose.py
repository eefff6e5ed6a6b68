"""Golden outputs and gradients of transposed convolutions, computed in 64-bit floats and saved in 32.

Run as `python conv_transpose.py`; writes conv_transpose.safetensors beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, safetensors 0.8.0.

Inputs aren't saved: `numbers` makes them of fractions that 32-bit floats hold exactly, and the test does the same. For each case
`<name>.output` and the gradients `<name>.input`, `<name>.weight` and `<name>.bias` of the sum of the output times other numbers.
"""

from pathlib import Path

import safetensors.torch
import torch
from torch.nn import functional

from convolution import numbers

# Name: input, weight, stride, padding, output padding, dilation, groups.
CASES = {
    "doubling": ([2, 5, 3, 4], [5, 3, 2, 2], 2, 0, 0, 1, 1),
    "odd": ([2, 3, 5, 7], [3, 4, 3, 3], 1, 1, 0, 1, 1),
    "strided": ([1, 4, 5, 6], [4, 3, 3, 3], 2, 1, 1, 1, 1),
    "overlapping": ([1, 6, 4, 5], [6, 5, 4, 4], 2, 1, 0, 1, 1),
    "pointwise": ([2, 13, 5, 3], [13, 11, 1, 1], 1, 0, 0, 1, 1),
    "spread": ([1, 3, 4, 5], [3, 2, 1, 1], 2, 0, 1, 1, 1),
    "dilated": ([1, 2, 6, 5], [2, 3, 3, 3], 1, 2, 0, 3, 1),
    "grouped": ([1, 16, 5, 4], [16, 8, 3, 3], 2, 1, 0, 1, 2),
    "depthwise": ([2, 3, 5, 7], [3, 1, 3, 3], 2, 1, 1, 1, 3),
    "winograd": ([1, 33, 6, 5], [33, 32, 3, 3], 1, 1, 0, 1, 1),
}


def main():
    tensors = {}
    for name, (input_shape, weight_shape, stride, padding, output_padding, dilation, groups) in CASES.items():
        x = numbers(input_shape, 1).requires_grad_()
        weight = numbers(weight_shape, 2).requires_grad_()
        bias = numbers([weight_shape[1] * groups], 3).requires_grad_()
        output = functional.conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation)
        loss = (output * numbers(output.shape, 4)).sum()
        gradients = torch.autograd.grad(loss, (x, weight, bias))
        for part, tensor in zip(["output", "input", "weight", "bias"], [output, *gradients]):
            tensors[f"{name}.{part}"] = tensor.detach().float().contiguous()
    safetensors.torch.save_file(tensors, Path(__file__).with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
