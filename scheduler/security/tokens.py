"""The token file: who has a token, kept as SHA-256 of secrets that we made ourselves.

A secret is 256 bits of chance, so that nobody guesses it, however fast hashing is: a slow hash, which protects the
short words that people think of, would only slow down each request.
"""

from __future__ import annotations

import hashlib
import hmac
import stat
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec

from scheduler.errors import ConfigError
from scheduler.security.caller import Caller, Role

FILE_BYTES_MAX = 1024 * 1024
TOKENS_MAX = 1000
"""Each request is compared with all of them, about 0.1 us each."""
SECRET_CHARACTERS_MAX = 512
SECRET_PREFIX = "vxp_"  # lets scanners of leaked secrets find it; it isn't one


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """One [[tokens]] of the file."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
    role: Role
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    rate_per_s: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    tokens: Annotated[list[_Entry], msgspec.Meta(min_length=1, max_length=TOKENS_MAX)]


class Tokens:
    """The entries of one file."""

    def __init__(self, callers: list[Caller]) -> None:
        self._callers = [(bytes.fromhex(caller.digest), caller) for caller in callers]

    def __len__(self) -> int:
        return len(self._callers)

    def __repr__(self) -> str:
        return f"<{len(self._callers)} tokens>"

    def find(self, secret: str) -> Caller | None:
        """Return who has `secret`; takes the same time whichever entry it is, or none."""
        if len(secret) > SECRET_CHARACTERS_MAX:
            return None
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        found = None
        for known, caller in self._callers:
            if hmac.compare_digest(known, digest):
                found = caller
        return found

    def has(self, caller: Caller) -> bool:
        """Whether the token that let `caller` in still counts, for the same name and role."""
        return any(
            known.digest == caller.digest and known.name == caller.name and known.role == caller.role
            for _, known in self._callers
        )


def read_tokens(file: Path) -> Tokens:
    """Read a token file. Raises ConfigError, which names the file and the place but quotes nothing of it."""
    try:
        about = file.stat()
        if about.st_size > FILE_BYTES_MAX:
            raise ConfigError(f"{file}: {about.st_size} bytes are above {FILE_BYTES_MAX}: this is no token file")
        if about.st_mode & stat.S_IWOTH:
            raise ConfigError(f"{file}: everybody on this machine can write it; run chmod o-w {file}")
        text = file.read_bytes().decode()
    except OSError as error:
        raise ConfigError(f"{file}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is not text in UTF-8") from None
    try:
        entries = msgspec.convert(tomllib.loads(text), _File).tokens
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file}: {error}; an entry is what voxpool token NAME --role ROLE prints") from None
    return Tokens(_callers(file, entries))


def digest_of(secret: str) -> str:
    """Return what the token file keeps of `secret`."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _callers(file: Path, entries: list[_Entry]) -> list[Caller]:
    """Check what goes together: one name may have several secrets (an old and a new one), all with one role."""
    roles: dict[str, Role] = {}
    digests: set[str] = set()
    for number, entry in enumerate(entries, 1):
        if roles.setdefault(entry.name, entry.role) is not entry.role:
            raise ConfigError(f"{file}: entry {number}: {entry.name!r} has two roles; give each role its own name")
        if entry.sha256 in digests:
            raise ConfigError(f"{file}: entry {number} ({entry.name!r}): its sha256 stands there twice")
        digests.add(entry.sha256)
    return [Caller(entry.name, entry.role, entry.rate_per_s, entry.sha256) for entry in entries]
