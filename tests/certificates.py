"""A self-signed certificate, made by the command openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificate(NamedTuple):
    """Two PEM files. A client can trust the first one directly."""

    cert: Path
    key: Path


def make_certificate(folder: Path, name: str = "self", subjects: str = "DNS:localhost,IP:127.0.0.1") -> Certificate:
    """Write NAME-cert.pem and NAME-key.pem for `subjects` into `folder`, replacing old ones."""
    made = Certificate(folder / f"{name}-cert.pem", folder / f"{name}-key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", made.key, "-out", made.cert, "-days", "2", "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName={subjects}", "-addext", "keyUsage=digitalSignature"),
        ],
        check=True,
        capture_output=True,
    )
    made.key.chmod(0o600)
    return made
