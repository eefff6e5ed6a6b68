"""Golden outputs and gradients of convolutions, computed in 64-bit floats and saved in 32.

Run as `python convolution.py`; writes convolution.safetensors beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, safetensors 0.8.0.

Inputs aren't saved: `numbers` makes them of fractions that 32-bit floats hold exactly, and the test does the same. For each case
`<name>.output` and the gradients `<name>.input`, `<name>.weight` and `<name>.bias` of the sum of the output times other numbers.
"""

from pathlib import Path

import safetensors.torch
import torch
from torch.nn import functional

# Name: input, weight, stride, padding, dilation, groups.
CASES = {
    "odd": ([2, 3, 7, 11], [5, 3, 3, 3], 1, 1, 1, 1),
    "strided": ([3, 5, 9, 7], [7, 5, 3, 3], 2, 1, 1, 1),
    "stem": ([1, 3, 17, 19], [5, 3, 7, 7], 2, 3, 1, 1),
    "pointwise": ([2, 13, 5, 3], [11, 13, 1, 1], 1, 0, 1, 1),
    "dilated": ([1, 2, 13, 11], [3, 2, 3, 3], 1, 2, 3, 1),
    "grouped": ([1, 16, 5, 7], [24, 8, 3, 3], 1, 1, 1, 2),
    "depthwise": ([2, 3, 9, 19], [3, 1, 3, 3], 1, 1, 1, 3),
    "depthwise_strided": ([1, 3, 11, 13], [3, 1, 5, 5], 2, 2, 1, 3),
    "winograd": ([1, 32, 6, 5], [33, 32, 3, 3], 1, 1, 1, 1),
}


def numbers(shape, seed):
    count = torch.Size(shape).numel()
    values = (torch.arange(count) * 7919 + 613 * seed) % 1021
    return ((values - 510).double() / 512).reshape(shape)


def save(cases, path):
    tensors = {}
    for name, (input_shape, weight_shape, stride, padding, dilation, groups) in cases.items():
        x = numbers(input_shape, 1).requires_grad_()
        weight = numbers(weight_shape, 2).requires_grad_()
        bias = numbers(weight_shape[:1], 3).requires_grad_()
        output = functional.conv2d(x, weight, bias, stride, padding, dilation, groups)
        loss = (output * numbers(output.shape, 4)).sum()
        gradients = torch.autograd.grad(loss, (x, weight, bias))
        for part, tensor in zip(["output", "input", "weight", "bias"], [output, *gradients]):
            tensors[f"{name}.{part}"] = tensor.detach().float().contiguous()
    safetensors.torch.save_file(tensors, path.with_suffix(".safetensors"))


if __name__ == "__main__":
    save(CASES, Path(__file__))
