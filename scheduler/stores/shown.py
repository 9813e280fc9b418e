"""The setting `store` without its password, as it may be shown, and in a command line to paste."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

VARIABLE = "VOXPOOL_STORE"
"""A pasted command takes a store with a password from this variable of the shell; `voxpool serve` reads it, too."""


def without_password(spec: str) -> str:
    """Return the setting `store` as it may be shown."""
    return re.sub(r"(?<=password=)[^&]*", "***", re.sub(r"//[^/]*@", "//***@", spec))


def line_to_paste(words: Sequence[str], store: str = "") -> str:
    """Return the command `words` as a line of shell, with `--store` unless that is "".

    A store with a password is a variable of the shell in it, and a comment at its end says how to set that.
    """
    line, shown = shlex.join(words), without_password(store)
    if not store:
        return line
    if shown == store:
        return f"{line} --store {shlex.quote(store)}"
    return f'{line} --store "${VARIABLE}"  # first: export {VARIABLE}={shlex.quote(shown)}, with its user and password'
