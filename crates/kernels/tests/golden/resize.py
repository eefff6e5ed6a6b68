"""Golden values and gradients of resized images, in 64-bit floats: as average_pooling.py, whose text says what is in the file.

Run as `python resize.py`; writes resize.safetensors beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, safetensors 0.8.0.
"""

from torch.nn.functional import interpolate

from average_pooling import write

SIZES = {
    "double": ([2, 3, 5, 7], (10, 14)),
    "larger": ([1, 2, 7, 5], (11, 17)),
    "smaller": ([1, 2, 17, 13], (5, 3)),
    "mixed": ([1, 3, 11, 4], (3, 19)),
    "point": ([1, 3, 4, 5], (1, 1)),
    "from_point": ([1, 3, 1, 1], (3, 4)),
}
MODES = {
    "nearest": {"mode": "nearest"},
    "bilinear": {"mode": "bilinear", "align_corners": False},
    "corners": {"mode": "bilinear", "align_corners": True},
}


def case(shape, size, mode):
    return shape, lambda x: interpolate(x, size, **mode)


if __name__ == "__main__":
    cases = {
        f"{mode}.{name}": case(shape, size, MODES[mode]) for mode in MODES for name, (shape, size) in SIZES.items()
    }
    write(__file__, cases)
