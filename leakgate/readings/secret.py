"""A secret as programs take it: itself, or a file that has it, so that it stands on no command line."""

from __future__ import annotations

from pathlib import Path

from voxpool.leakgate.errors import WrongInput

BYTES_MAX = 4096


def secret_of(token: str, flag: str = "--token") -> str:
    """Return the secret that `flag` names: itself, or what is in the file behind an @. Raises WrongInput."""
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
