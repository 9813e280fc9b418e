"""The machine's source of chance, for the composition roots, for programs that use the SDK and for new tokens."""

from __future__ import annotations

import os
import random
import secrets


def fresh_random() -> random.Random:
    """Return a random source with a seed from the operating system."""
    return random.Random(os.urandom(32))  # nosec B311  # draws and names, no secrets


def fresh_secret(bits: int) -> str:
    """Return a secret of `bits` random bits, in letters that a header, a file and a command line allow."""
    return secrets.token_urlsafe(bits // 8)


def unpredictable_bytes(count: int) -> bytes:
    """Return bytes that nobody can foresee, for masks of frames; they change nothing that anybody decides."""
    return os.urandom(count)
