"""Golden values and gradients of cross entropy.

Run as `python cross_entropy.py`; writes cross_entropy.safetensors beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, safetensors 0.8.0.

For each logits tensor (`ordinary`, `extreme`) and each label smoothing (0, 0.1): the loss and its gradient, for labels
(`hard`) and for soft targets (`soft`).
"""

from pathlib import Path

import safetensors.torch
import torch

SAMPLES, CLASSES = 5, 7


def main():
    generator = torch.Generator().manual_seed(20260131)
    labels = torch.randint(CLASSES, [SAMPLES], generator=generator)
    # Mixup: two labels, a different share for each sample.
    other = torch.randint(CLASSES, [SAMPLES], generator=generator)
    share = torch.rand([SAMPLES, 1], generator=generator)
    one_hot = torch.nn.functional.one_hot
    targets = share * one_hot(labels, CLASSES) + (1 - share) * one_hot(other, CLASSES)
    sign = torch.sign(torch.randn([SAMPLES, CLASSES], generator=generator))
    logits = {
        "ordinary": 3 * torch.randn([SAMPLES, CLASSES], generator=generator),
        "extreme": 1e4 * sign,
    }
    tensors = {"labels": labels, "targets": targets}
    for name, values in logits.items():
        tensors[f"{name}.logits"] = values
        for smoothing in (0.0, 0.1):
            criterion = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)
            for kind, target in (("hard", labels), ("soft", targets)):
                leaf = values.clone().requires_grad_()
                loss = criterion(leaf, target)
                loss.backward()
                tensors[f"{name}.{kind}.{smoothing}.loss"] = loss.detach().reshape(1)
                tensors[f"{name}.{kind}.{smoothing}.gradient"] = leaf.grad
    safetensors.torch.save_file(tensors, Path(__file__).with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
