"""Splits the seed of a run into a sub-seed for each named part, so an extra draw in one part changes no other."""

from __future__ import annotations

import random
from hashlib import blake2b

import numpy as np


def sub_seed(seed: int, part: str) -> int:
    """Return the 64-bit seed of `part` in a run with `seed`; the same in every process and Python version."""
    return int.from_bytes(blake2b(f"{seed}/{part}".encode(), digest_size=8).digest(), "big")


def generator(seed: int, part: str) -> np.random.Generator:
    """Return the numpy random generator of `part`."""
    return np.random.Generator(np.random.PCG64(sub_seed(seed, part)))


def plain_random(seed: int, part: str) -> random.Random:
    """Return the random generator of `part` as a `random.Random`, which scheduler/ takes."""
    return random.Random(sub_seed(seed, part))
