"""One seed for a run, split into a sub-seed for each part by its name: one more draw here shifts nothing there."""

from __future__ import annotations

import random
from hashlib import blake2b

import numpy as np


def sub_seed(seed: int, part: str) -> int:
    """Return the 64-bit seed of `part` in a run with `seed`; the same in every process and Python version."""
    return int.from_bytes(blake2b(f"{seed}/{part}".encode(), digest_size=8).digest(), "big")


def generator(seed: int, part: str) -> np.random.Generator:
    """Return the numpy source of chance of `part`."""
    return np.random.Generator(np.random.PCG64(sub_seed(seed, part)))


def plain_random(seed: int, part: str) -> random.Random:
    """Return the source of chance of `part` in the form that scheduler/ takes."""
    return random.Random(sub_seed(seed, part))
