"""The token file of a simulated scheduler."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from voxpool.scheduler.security.tokens import SECRET_PREFIX
from voxpool.sim.chance.seeds import plain_random

ROLES = ("client", "node", "admin")


def write_tokens(path: Path, seed: int) -> dict[str, str]:
    """Write a token of each role into `path`, and return the secrets by role; that of the clients may name keys."""
    random = plain_random(seed, "tokens")
    secrets = {role: f"{SECRET_PREFIX}{random.getrandbits(256):064x}" for role in ROLES}
    path.write_text(
        "".join(
            f'[[tokens]]\nname = "{role}"\nrole = "{role}"\nsha256 = "{sha256(secret.encode()).hexdigest()}"\n'
            + ("keys = true\n" if role == "client" else "")
            for role, secret in secrets.items()
        ),
        encoding="utf-8",
    )
    path.chmod(0o600)
    return secrets
