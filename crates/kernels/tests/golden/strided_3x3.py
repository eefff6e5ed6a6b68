"""Golden outputs and gradients of a convolution with stride 2 and so many channels that it is transformed; see convolution.py.

Run as `python strided_3x3.py`; writes strided_3x3.safetensors beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, safetensors 0.8.0.
"""

from pathlib import Path

from convolution import save

if __name__ == "__main__":
    save({"strided_3x3": ([1, 32, 8, 7], [33, 32, 3, 3], 2, 1, 1, 1)}, Path(__file__))
