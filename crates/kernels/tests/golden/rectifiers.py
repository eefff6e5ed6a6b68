"""Golden values and slopes of the rectifiers, in 64-bit floats: as activations.py, whose text says what is in the file.

Run as `python rectifiers.py`; writes rectifiers.safetensors beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, safetensors 0.8.0.
"""

from torch.nn import functional

from activations import write

RECTIFIERS = {
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "relu6": functional.relu6,
    "hard_sigmoid": functional.hardsigmoid,
    "hard_swish": functional.hardswish,
}


if __name__ == "__main__":
    write(__file__, RECTIFIERS)
