"""Golden learning-rate schedules.

Run as `python schedules.py`; writes schedules.json beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0.
"""

import json
from pathlib import Path

import torch
from torch.optim import lr_scheduler as schedulers

PEAK = 0.3


def rates(build, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler = build(optimizer)
    values = []
    for step in range(steps):
        values.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if step + 1 < steps:
            scheduler.step()
    return values


def warmup_cosine(warmup, total, final_factor):
    def build(optimizer):
        cosine = schedulers.CosineAnnealingLR(optimizer, total - warmup, eta_min=PEAK * final_factor)
        if warmup == 0:
            return cosine
        linear = schedulers.LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
        return schedulers.SequentialLR(optimizer, [linear, cosine], milestones=[warmup])

    return {"name": "warmup_cosine", "warmup": warmup, "final_factor": final_factor}, build, total


def one_cycle(total, **arguments):
    def build(optimizer):
        return schedulers.OneCycleLR(optimizer, PEAK, total_steps=total, cycle_momentum=False, **arguments)

    return {"name": "one_cycle", **arguments}, build, total


def noam(warmup, total):
    def build(optimizer):
        def factor(step):
            return min((step + 1) / warmup, (warmup / (step + 1)) ** 0.5)

        return schedulers.LambdaLR(optimizer, factor)

    return {"name": "noam", "warmup": warmup}, build, total


CASES = [
    ({"name": "constant"}, lambda optimizer: schedulers.ConstantLR(optimizer, factor=1.0), 5),
    warmup_cosine(0, 23, 0.0),
    warmup_cosine(5, 31, 0.0),
    warmup_cosine(7, 29, 0.1),
    noam(1, 11),
    noam(7, 29),
    ({"name": "step", "every": 7}, lambda optimizer: schedulers.StepLR(optimizer, 7), 23),
    ({"name": "step", "every": 3, "gamma": 0.5}, lambda optimizer: schedulers.StepLR(optimizer, 3, gamma=0.5), 13),
    ({"name": "milestones", "at": [5, 11, 13]}, lambda optimizer: schedulers.MultiStepLR(optimizer, [5, 11, 13]), 17),
    one_cycle(37),
    one_cycle(10),
    one_cycle(23, pct_start=0.17, div_factor=7.0, final_div_factor=100.0),
    one_cycle(13, pct_start=0.0),
    one_cycle(13, pct_start=1.0),
]


def main():
    cases = [
        {"config": config, "total_steps": steps, "peak": PEAK, "rates": rates(build, steps)}
        for config, build, steps in CASES
    ]
    Path(__file__).with_suffix(".json").write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
