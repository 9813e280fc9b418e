"""What a program leaves open, its environment says: where the scheduler is, and the token for it."""

from __future__ import annotations

import os
import re

from scheduler.errors import ConfigError

DEFAULT_URL = "http://127.0.0.1:5010"
_TOKEN = re.compile(r"[\x21-\x7e]+")


def given_url(url: str | None) -> str:
    """Return `url`, else VOXPOOL_URL, else the scheduler of this machine."""
    return url or os.environ.get("VOXPOOL_URL") or DEFAULT_URL


def given_token(token: str | None) -> str | None:
    """Return `token`, else VOXPOOL_TOKEN; "" is none at all. Raises ConfigError for what can't stand in a header."""
    given = (os.environ.get("VOXPOOL_TOKEN") if token is None else token) or None
    if given is not None and not _TOKEN.fullmatch(given):
        raise ConfigError("the token has blanks or letters that no token has: give what `voxpool token` printed")
    return given
