"""Reads a secret option: the value, or a file with it, so that it is not visible on the command line."""

from __future__ import annotations

from pathlib import Path

from voxpool.leakgate.errors import WrongInput

BYTES_MAX = 4096


def secret_of(token: str, flag: str = "--token") -> str:
    """Return the secret: `token`, or the content of the file after an @. Raises WrongInput with the name `flag`."""
    if not token.startswith("@"):
        return token
    file = Path(token[1:])
    try:
        with file.open("rb") as opened:
            secret = opened.read(BYTES_MAX).decode("ascii").strip()
    except OSError as error:
        raise WrongInput(f"{flag} {token}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongInput(f"{flag} {token}: has no token in it") from None
    if not secret:
        raise WrongInput(f"{flag} {token}: is empty")
    return secret
