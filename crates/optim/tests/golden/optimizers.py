"""Golden trajectories of optimisers, and of gradient clipping.

Run as `python optimizers.py`; writes optimizers.safetensors beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, timm 1.0.31 (Lion), safetensors 0.8.0.

Three parameters of different ranks take 12 steps with recorded gradients and a learning rate that changes at every step.
The metadata key `cases` lists, for each case, its name, our configuration and the learning rate at step 0.
"""

import json
from pathlib import Path

import safetensors.torch
import timm.optim
import torch

STEPS = 12
SHAPES = {"vector": [7], "matrix": [5, 3], "kernel": [2, 3, 5, 1]}

CASES = [
    # name, our configuration, reference, learning rate
    ("sgd", {"name": "sgd"}, torch.optim.SGD, 0.1),
    ("sgd_momentum", {"name": "sgd", "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.05}, torch.optim.SGD, 0.1),
    ("sgd_nesterov", {"name": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}, torch.optim.SGD, 0.1),
    ("adam", {"name": "adam"}, torch.optim.Adam, 0.1),
    ("adam_decay", {"name": "adam", "weight_decay": 0.1, "betas": [0.8, 0.95], "eps": 1e-3}, torch.optim.Adam, 0.1),
    ("adam_amsgrad", {"name": "adam", "amsgrad": True, "betas": [0.9, 0.5]}, torch.optim.Adam, 0.1),
    ("adamw", {"name": "adamw"}, torch.optim.AdamW, 0.1),
    ("adamw_decay", {"name": "adamw", "weight_decay": 0.3, "amsgrad": True, "betas": [0.9, 0.5]}, torch.optim.AdamW, 0.1),
    ("rmsprop", {"name": "rmsprop"}, torch.optim.RMSprop, 0.01),
    ("rmsprop_centered", {"name": "rmsprop", "centered": True, "alpha": 0.9}, torch.optim.RMSprop, 0.01),
    ("rmsprop_momentum", {"name": "rmsprop", "momentum": 0.9, "centered": True, "weight_decay": 0.1}, torch.optim.RMSprop, 0.01),
    ("lion", {"name": "lion"}, timm.optim.Lion, 0.01),
    ("lion_decay", {"name": "lion", "weight_decay": 0.5, "betas": [0.95, 0.98]}, timm.optim.Lion, 0.01),
]


def main():
    generator = torch.Generator().manual_seed(20260131)
    start = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    # A spread of magnitudes, so that the terms that keep divisions finite count too.
    gradients = {
        name: torch.randn([STEPS, *shape], generator=generator)
        * 10 ** (4 * torch.rand(shape, generator=generator) - 3)
        for name, shape in SHAPES.items()
    }
    tensors = {f"start.{name}": value for name, value in start.items()}
    tensors |= {f"gradients.{name}": value for name, value in gradients.items()}

    for case, config, reference, lr in CASES:
        parameters = {name: torch.nn.Parameter(value.clone()) for name, value in start.items()}
        arguments = {key: value for key, value in config.items() if key != "name"}
        optimizer = reference(parameters.values(), lr=lr, **arguments)
        trajectory = {name: [] for name in SHAPES}
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = lr / (1 + step)
            for name, parameter in parameters.items():
                parameter.grad = gradients[name][step].clone()
            optimizer.step()
            for name, parameter in parameters.items():
                trajectory[name].append(parameter.detach().clone())
        tensors |= {f"{case}.{name}": torch.stack(values) for name, values in trajectory.items()}

    for label, max_norm in [("clipped", 1.0), ("unclipped", 1e4)]:
        parameters = {name: torch.nn.Parameter(value.clone()) for name, value in start.items()}
        for name, parameter in parameters.items():
            parameter.grad = gradients[name][0].clone()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), max_norm)
        tensors[f"{label}.norm"] = norm.reshape(1)
        tensors |= {f"{label}.{name}": parameter.grad for name, parameter in parameters.items()}

    cases = [{"name": name, "config": config, "lr": lr} for name, config, _, lr in CASES]
    path = Path(__file__).with_suffix(".safetensors")
    safetensors.torch.save_file(tensors, path, metadata={"cases": json.dumps(cases)})


if __name__ == "__main__":
    main()
