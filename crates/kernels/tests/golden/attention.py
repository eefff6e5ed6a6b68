"""Golden values and gradients of attention, in 64-bit floats.

Run as `python attention.py`; writes attention.safetensors beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, safetensors 0.8.0.

Six heads of queries share three of keys. The loss is the sum of the output times `weight`. `causal` aligns the last
query to the last key; `hidden` is 1 where a key is hidden.
"""

from pathlib import Path

import safetensors.torch
import torch
from torch.nn.functional import scaled_dot_product_attention

BATCH, HEADS, GROUPS, QUERIES, KEYS, WIDTH, VALUE_WIDTH = 2, 6, 3, 11, 13, 7, 5
SCALE = 0.4


def main():
    generator = torch.Generator().manual_seed(13)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    tensors = {
        "query": draw(BATCH, HEADS, QUERIES, WIDTH),
        "key": draw(BATCH, GROUPS, KEYS, WIDTH),
        "value": draw(BATCH, GROUPS, KEYS, VALUE_WIDTH),
        "weight": draw(BATCH, HEADS, QUERIES, VALUE_WIDTH),
    }
    # The first two keys stay visible, so that no query is left without any.
    hidden = torch.rand(BATCH, 1, 1, KEYS, generator=generator) < 0.4
    hidden[..., :2] = False
    tensors["hidden"] = hidden.float()
    causal = torch.ones(QUERIES, KEYS, dtype=torch.bool).tril(KEYS - QUERIES)
    names = ["query", "key", "value"]
    parts = [tensors[name].double().requires_grad_() for name in names]
    for mode, seen in {"plain": None, "causal": causal, "masked": causal & ~hidden}.items():
        output = scaled_dot_product_attention(*parts, attn_mask=seen, scale=SCALE, enable_gqa=True)
        gradients = torch.autograd.grad((output * tensors["weight"]).sum(), parts)
        tensors[f"{mode}.output"] = output
        for name, gradient in zip(names, gradients):
            tensors[f"{mode}.{name}"] = gradient
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    safetensors.torch.save_file(tensors, Path(__file__).with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
