"""Golden values and gradients of contrastive losses.

Run as `python contrastive.py`; writes contrastive.safetensors beside itself. Deterministic.

InfoNCE as sentence-transformers' MultipleNegativesRankingLoss states it: cross entropy over scaled cosines.
"""

from pathlib import Path

import safetensors.torch
import torch

ANCHORS, EXTRA, WIDTH = 5, 3, 7


def main():
    generator = torch.Generator().manual_seed(20261128)
    draw = lambda rows: torch.randn([rows, WIDTH], generator=generator)
    anchors, positives, negatives = draw(ANCHORS), draw(ANCHORS), draw(ANCHORS)
    candidates = torch.cat([positives, draw(EXTRA)])
    tensors = {"anchors": anchors, "positives": positives, "negatives": negatives, "candidates": candidates}
    for temperature in (0.05, 0.5):
        a, b = (x.clone().double().requires_grad_() for x in (anchors, candidates))
        cosines = torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=-1)
        loss = torch.nn.functional.cross_entropy(cosines / temperature, torch.arange(ANCHORS))
        loss.backward()
        name = f"info_nce.{temperature}"
        tensors |= {f"{name}.loss": loss.detach().reshape(1), f"{name}.anchors": a.grad, f"{name}.candidates": b.grad}
    for margin in (0.25, 1.0):
        a, p, n = (x.clone().double().requires_grad_() for x in (anchors, positives, negatives))
        loss = torch.nn.TripletMarginLoss(margin=margin)(a, p, n)
        loss.backward()
        name = f"triplet.{margin}"
        tensors |= {f"{name}.loss": loss.detach().reshape(1), f"{name}.anchors": a.grad, f"{name}.negatives": n.grad}
    tensors = {name: tensor.float().contiguous() for name, tensor in tensors.items()}
    safetensors.torch.save_file(tensors, Path(__file__).with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
