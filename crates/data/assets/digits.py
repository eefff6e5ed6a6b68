"""Writes the two IDX files of the embedded digits beside itself.

The 1,797 scans of 8 x 8 pixels that scikit-learn ships: the test part of "Optical Recognition of Handwritten Digits"
(E. Alpaydin, C. Kaynak, 1998, UCI Machine Learning Repository, CC BY 4.0, https://doi.org/10.24432/C50P49). Pixel
values stay as published, 0 to 16.

Run with scikit-learn 1.9.1 and numpy 2.4.6: python digits.py
"""

import gzip
import struct
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

HERE = Path(__file__).parent


def write(name: str, magic: int, array: np.ndarray) -> None:
    header = struct.pack(f">{1 + array.ndim}I", magic, *array.shape)
    packed = gzip.compress(header + array.astype(np.uint8).tobytes(), compresslevel=9, mtime=0)
    (HERE / name).write_bytes(packed)
    print(name, len(packed))


digits = load_digits()
write("digits-images-idx3-ubyte.gz", 0x803, digits.images)
write("digits-labels-idx1-ubyte.gz", 0x801, digits.target)
