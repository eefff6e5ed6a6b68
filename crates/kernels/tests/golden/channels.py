"""Golden values and gradients of batch normalisation, in 64-bit floats.

Run as `python channels.py`; writes channels.safetensors beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, safetensors 0.8.0.

The loss is the sum of the output times `weight`. `train` normalises by the batch, `eval` by `mean` and `variance`.
"""

from pathlib import Path

import safetensors.torch
import torch
from torch.nn import functional

SHAPE = (3, 5, 7, 11)
CHANNELS = SHAPE[1]


def main():
    generator = torch.Generator().manual_seed(12)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    tensors = {
        "input": 2 * draw(*SHAPE) + 3 * draw(1, CHANNELS, 1, 1),
        "weight": draw(*SHAPE),
        "gamma": 1 + 0.3 * draw(CHANNELS),
        "beta": draw(CHANNELS),
        "mean": draw(CHANNELS),
        "variance": 0.1 + draw(CHANNELS).square(),
    }
    double = {name: tensor.double() for name, tensor in tensors.items()}
    names = ["input", "gamma", "beta"]
    parameters = [double[name].requires_grad_() for name in names]
    for mode in ["train", "eval"]:
        mean, variance = double["mean"].clone(), double["variance"].clone()
        x, gamma, beta = parameters
        value = functional.batch_norm(x, mean, variance, gamma, beta, mode == "train", 0.1, 1e-5)
        gradients = torch.autograd.grad((value * double["weight"]).sum(), parameters)
        tensors[f"{mode}.value"] = value
        for name, gradient in zip(names, gradients):
            tensors[f"{mode}.{name}"] = gradient
    of_channel = parameters[0].transpose(0, 1).flatten(1)
    tensors["train.mean"] = of_channel.mean(1)
    tensors["train.variance"] = of_channel.var(1, correction=0)
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    safetensors.torch.save_file(tensors, Path(__file__).with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
