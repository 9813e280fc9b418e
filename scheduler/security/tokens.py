"""The token file: the callers with the SHA-256 of their secrets, which voxpool generates.

A secret is 256 random bits and can't be guessed, however fast hashing is: a slow hash, which protects passwords that
people choose, would only slow down each request.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec

from voxpool.scheduler.chance import fresh_secret
from voxpool.scheduler.config import PRIORITY_MAX
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.security.caller import Caller, Role
from voxpool.scheduler.security.private_file import open_private, read_private
from voxpool.scheduler.sentences import wrong
from voxpool.scheduler.small_file import parse_toml

FILE_BYTES_MAX = 1024 * 1024
TOKENS_MAX = 1000
"""Each request is compared with all of them, about 0.1 us each."""
SECRET_CHARACTERS_MAX = 512
SECRET_BITS = 256
SECRET_PREFIX = "vxp_"  # nosec B105  # lets scanners of leaked secrets find one; it isn't one
_SECRET = re.compile(SECRET_PREFIX + r"[A-Za-z0-9_-]+")
NAME = r"^[A-Za-z0-9._-]{1,64}\Z"


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """One [[tokens]] of the file."""

    name: Annotated[str, msgspec.Meta(pattern=NAME)]
    role: Role
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    rate_per_s: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None
    weight: Annotated[float, msgspec.Meta(ge=0.01, le=100)] = 1.0
    keys: bool = False
    priority_min: Annotated[int, msgspec.Meta(ge=1, le=PRIORITY_MAX)] = 1


class _File(msgspec.Struct, forbid_unknown_fields=True):
    tokens: Annotated[list[_Entry], msgspec.Meta(min_length=1, max_length=TOKENS_MAX)]


_KEYS = (*_File.__struct_fields__, *_Entry.__struct_fields__)


class Tokens:
    """The entries of one file."""

    def __init__(self, callers: list[Caller]) -> None:
        self._callers = [(bytes.fromhex(caller.digest), caller) for caller in callers]
        self._by_digest = {caller.digest: caller for caller in callers}

    def __len__(self) -> int:
        return len(self._callers)

    def __repr__(self) -> str:
        return f"<{len(self._callers)} tokens>"

    @property
    def own_rates(self) -> dict[str, float]:
        """The digest of each token with a bound of its own on submits -> that bound, a second."""
        return {caller.digest: caller.rate_per_s for _, caller in self._callers if caller.rate_per_s is not None}

    def find(self, secret: str) -> Caller | None:
        """Return the caller of `secret`, or None; the time is the same for every entry and for none."""
        if len(secret) > SECRET_CHARACTERS_MAX:
            return None
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        found = None
        for known, caller in self._callers:
            if hmac.compare_digest(known, digest):
                found = caller
        return found

    def again(self, caller: Caller) -> Caller | None:
        """Return `caller`, who was accepted by an earlier file, by this one; None when its token is gone.

        A token with another name or role is another caller.
        """
        now = self._by_digest.get(caller.digest)
        return now if now is not None and (now.name, now.role) == (caller.name, caller.role) else None


def read_tokens(file: Path) -> Tokens:
    """Read a token file. Raises ConfigError, which names the file and the place but no secret."""
    if file.name.startswith(SECRET_PREFIX):
        raise ConfigError("access_file is the path of a file, not a token")
    return parse_tokens(file, read_private(file, FILE_BYTES_MAX))


def parse_tokens(file: Path, content: bytes) -> Tokens:
    """Return the tokens that `content` of `file` has. Raises ConfigError."""
    try:
        read = parse_toml(content, str(file))
    except ConfigError as error:
        raise ConfigError(_without_secrets(str(error))) from None
    if not read:
        raise ConfigError(
            f"{file}: has no token, so no caller would be accepted; voxpool token NAME --role ROLE makes one"
        )
    try:
        entries = msgspec.convert(read, _File).tokens
    except msgspec.ValidationError as error:
        hint = "an entry is what voxpool token NAME --role ROLE writes"
        raise ConfigError(_without_secrets(f"{file}: {wrong(error, _KEYS).sentence}; {hint}")) from None
    return Tokens(_callers(file, entries))


def new_token(name: str, role: Role, **rights: Any) -> tuple[str, Caller]:
    """Return a new secret and its caller; `rights` are further fields of Caller.

    Raises ConfigError for what no file may have.
    """
    secret = SECRET_PREFIX + fresh_secret(SECRET_BITS)
    caller = Caller(name, role, digest=digest_of(secret), **rights)
    if not re.match(NAME, name):
        raise ConfigError(f"{name!r}: a name has 1 to 64 of A-Z a-z 0-9 . _ -")
    parse_tokens(Path("the new token"), entry_text(caller).encode())
    return secret, caller


def entry_text(caller: Caller) -> str:
    """Return the lines of `caller` for a token file."""
    lines = ["[[tokens]]", f'name = "{caller.name}"', f'role = "{caller.role}"', f'sha256 = "{caller.digest}"']
    lines += [] if caller.rate_per_s is None else [f"rate_per_s = {caller.rate_per_s!r}"]
    lines += [] if caller.weight == 1 else [f"weight = {caller.weight!r}"]
    lines += ["keys = true"] if caller.keys else []
    lines += [] if caller.priority_min == 1 else [f"priority_min = {caller.priority_min}"]
    return "\n".join(lines) + "\n"


def append_token(file: Path, caller: Caller) -> None:
    """Add `caller` to `file`, which is made if it doesn't exist. Raises ConfigError and leaves the file unchanged.

    Two processes that do so at the same time take turns.
    """
    with open_private(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, FILE_BYTES_MAX) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        before = os.read(descriptor, FILE_BYTES_MAX)
        gap = b"" if not before else b"\n" if before.endswith(b"\n") else b"\n\n"
        added = gap + entry_text(caller).encode()
        parse_tokens(file, before + added)
        os.write(descriptor, added)


def digest_of(secret: str) -> str:
    """Return the digest of `secret` for the token file."""
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
    return [
        Caller(entry.name, entry.role, entry.rate_per_s, entry.sha256, entry.weight, entry.keys, entry.priority_min)
        for entry in entries
    ]


def _without_secrets(text: str) -> str:
    """Return `text` without anything that looks like a token: a user may have put one in the wrong place."""
    return _SECRET.sub(f"{SECRET_PREFIX}…", text)
