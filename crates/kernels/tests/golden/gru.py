"""Golden values and gradients of gated recurrent units, in 64-bit floats of numbers that 32-bit floats hold exactly.

Run as `python gru.py`; writes gru.safetensors beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, safetensors 0.8.0.

The input's weight is the identity, so that the input is what it contributes to the gates. Matrices are held as ours are,
and sequences steps first. The loss is the sum of the output times `coefficients`.
"""

from pathlib import Path

import safetensors.torch
import torch

STEPS, BATCH, HIDDEN = 5, 3, 37


def main():
    generator = torch.Generator().manual_seed(23)

    def draw(*shape):
        return torch.randn(*shape, generator=generator).double().requires_grad_()

    projected, hidden = draw(STEPS, BATCH, 3 * HIDDEN), draw(BATCH, HIDDEN)
    coefficients = draw(STEPS, BATCH, HIDDEN).detach()
    layer = torch.nn.GRU(3 * HIDDEN, HIDDEN).double()
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.eye(3 * HIDDEN))
        layer.weight_hh_l0.copy_((draw(3 * HIDDEN, HIDDEN) / HIDDEN**0.5).float())
        layer.bias_ih_l0.zero_()
        layer.bias_hh_l0.copy_(draw(3 * HIDDEN))
    output, _ = layer(projected, hidden[None])
    (output * coefficients).sum().backward()
    inputs = {
        "projected": projected,
        "weight": layer.weight_hh_l0.T,
        "bias": layer.bias_hh_l0,
        "hidden": hidden,
        "coefficients": coefficients,
    }
    results = {
        "output": output,
        "gradient.projected": projected.grad,
        "gradient.weight": layer.weight_hh_l0.grad.T,
        "gradient.bias": layer.bias_hh_l0.grad,
        "gradient.hidden": hidden.grad,
    }
    tensors = {name: tensor.float() for name, tensor in inputs.items()} | results
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    safetensors.torch.save_file(tensors, Path(__file__).with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
