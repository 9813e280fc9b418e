"""The machine's source of chance, for the composition roots and for programs that use the SDK."""

from __future__ import annotations

import os
import random


def fresh_random() -> random.Random:
    """Return a random source with a seed from the operating system."""
    return random.Random(os.urandom(32))
