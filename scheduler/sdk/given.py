"""What a caller may give, or leave to a default: URL and token are in the environment, a request id is drawn."""

from __future__ import annotations

import os
import random
import re

from voxpool.leakgate.errors import WrongInput
from voxpool.leakgate.readings.secret import secret_of
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sdk.errors import SubmitRejected
from voxpool.scheduler.sentences import NAME_FORM

DEFAULT_URL = "http://127.0.0.1:5010"
_TOKEN = re.compile(r"[\x21-\x7e]+")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def given_url(url: str | None) -> str:
    """Return `url`, else VOXPOOL_URL, else the scheduler of this machine."""
    return url or os.environ.get("VOXPOOL_URL") or DEFAULT_URL


def given_token(token: str | None, name: str = "token=") -> str | None:
    """Return `token`, else VOXPOOL_TOKEN; "" means no token. A value that begins with @ names a file with the token.

    `name` is the name of `token` in errors. Raises ConfigError for a file that can't be read, and for text that can't
    be in a header.
    """
    place, given = ("VOXPOOL_TOKEN", os.environ.get("VOXPOOL_TOKEN")) if token is None else (name, token)
    if not given:
        return None
    try:
        secret = secret_of(given, place)
    except WrongInput as error:
        raise ConfigError(str(error)) from None
    if not _TOKEN.fullmatch(secret):
        raise ConfigError(f"{place}: has blanks or letters that no token has: give what `voxpool token` printed")
    return secret


def given_request_id(request_id: str | None, chance: random.Random) -> str:
    """Return `request_id`, else a new one. Raises SubmitRejected for one that no scheduler accepts."""
    if request_id is None:
        return f"r-{chance.getrandbits(96):024x}"
    if not _REQUEST_ID.fullmatch(request_id):
        raise SubmitRejected("bad_request_id", f"a request id is {NAME_FORM}", None)
    return request_id
